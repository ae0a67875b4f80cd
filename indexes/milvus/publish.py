"""Bringing a collection up to date with an index: what has changed is written, and what has gone is deleted.

The first passage of each document says what state of it is there. It is written before the others, without a state, and
again after them, so that the next run finds and mends what an interrupted one has left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean

from indexes.errors import CorpusError
from indexes.index import CorpusIndex
from indexes.milvus.collection import AT_ONCE, Collection, Row
from indexes.milvus.conditions import BETWEEN
from indexes.milvus.fields import Note
from indexes.milvus.sparse import passage_vector, term_id
from indexes.search import Retrieval
from indexes.sources import composed
from indexes.storage import FILLER, UNKNOWN, LexicalSearch, Store, indexed_terms
from indexes.text import ANALYSIS_VERSION, folded
from indexes.types import Chunk, DocumentInfo

_SAMPLED = 500  # documents, for the mean length of a passage
_GROWN = 2  # times as many passages, or as few: then all are written anew, with a new mean
_MUCH = 0.5  # of a collection: to delete more of it at once is likely a mistake

PublishCallback = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What was done to a collection.

    Attributes:
        written: Documents that were written: new ones, and such as had changed.
        unchanged: Documents that were there already.
        deleted: Documents that were deleted.
        passages: How many passages the collection has now.
    """

    written: int
    unchanged: int
    deleted: int
    passages: int


def publish(
    index: CorpusIndex, collection: Collection, *, progress: PublishCallback | None = None, sure: bool = False
) -> PublishReport:
    """Bring a collection up to date with an index: it then has the passages of all its documents, and no others.

    Args:
        index: The index.
        collection: The collection; it is made if there is none.
        progress: A function to call with the documents that are written, and those that are to be; None for none.
        sure: Whether to delete even most of the collection.

    Returns:
        What was done.

    Raises:
        CorpusError: If Milvus fails, longctx did not make the collection, its vectors are another encoder's, or more
            than half of its documents would be deleted and `sure` is false.
    """
    return index.read(lambda of: _Publication(of, collection, progress).run(sure=sure))


class _Publication:
    def __init__(self, of: Retrieval, collection: Collection, progress: PublishCallback | None) -> None:
        of.check_encoder()
        self._store: Store = of.store
        self._lexical: LexicalSearch = of.lexical
        self._encoder, self._collection, self._progress = of.encoder, collection, progress
        self._documents = dict(of.store.documents())

    def run(self, *, sure: bool) -> PublishReport:
        note, is_new = self._note()
        if note is None:
            return PublishReport(0, 0, 0, 0)
        held = {row["document"]: row for row in self._collection.rows("number == 0", ["document", "state", "source"])}
        gone = sorted(held.keys() - self._documents.keys())
        self._check_deletion(held, sure=sure)
        states = {i: _state(document) for i, document in self._documents.items()}
        kept = set() if is_new else {i for i, state in states.items() if i in held and held[i]["state"] == state}
        wanted = [i for i in self._documents if i not in kept]
        for first in range(0, len(wanted), AT_ONCE):
            some = wanted[first : first + AT_ONCE]
            self._write(some, states, note.average)
            if self._progress is not None:
                self._progress(first + len(some), len(wanted))
        for first in range(0, len(gone), AT_ONCE):
            self._delete(gone[first : first + AT_ONCE])
        self._collection.set_note(replace(note, passages=self._store.chunk_count(), languages=self._languages()))
        return PublishReport(len(wanted), len(kept), len(gone), self._store.chunk_count())

    def _note(self) -> tuple[Note | None, bool]:
        """What is noted of the collection, which is made if need be, and whether all is to be written anew."""
        note, passages = self._collection.note(), self._store.chunk_count()
        if note is not None and note.fingerprint != self._encoder.fingerprint:
            raise CorpusError(
                f"the vectors of {self._collection.shown} are of the encoder {note.encoder!r} with other weights or "
                f"settings than {self._encoder.name!r} of the index: give another name behind #"
            )
        if note is not None and note.analysis == ANALYSIS_VERSION:
            if not passages or note.averaged / _GROWN <= passages <= note.averaged * _GROWN:
                return note, False
        elif note is None and not passages:
            return None, False
        encoder = self._encoder
        new = Note(encoder.name, encoder.fingerprint, ANALYSIS_VERSION, self._average(), passages)
        if note is None:
            self._collection.create(self._store.vectors.dimension() or 1, new)
        return new, True

    def _average(self) -> float:
        """The mean length of a passage, in the terms that BM25 counts."""
        step = max(1, len(self._documents) // _SAMPLED)
        some = islice(self._documents, 0, None, step)
        lengths = [len(terms) for i in some for _, _, terms in indexed_terms(self._store.chunks_of(i))]
        return fmean(lengths) if lengths else 1.0

    def _check_deletion(self, held: dict[int, Row], *, sure: bool) -> None:
        """Refuse what looks like another index's collection: most of its documents are not in this one."""
        contents = {f"{i} {_content(document)}" for i, document in self._documents.items()}
        sources = {document.source for document in self._documents.values()}
        others = (row for i, row in held.items() if f"{i} {row['state'].partition(' ')[0]}" not in contents)
        lost = [row["source"] for row in others if row["source"] not in sources]
        if len(lost) > _MUCH * len(held) and not sure:
            raise CorpusError(
                f"{self._collection.shown} has {len(held):,} documents, of which {len(lost):,} are not in the index, "
                f"such as {lost[0]!r}: nothing was changed; if they are to be deleted, give --yes, otherwise "
                "another name behind #"
            )

    def _delete(self, documents: Sequence[int]) -> None:
        """Delete documents, their first passages last, after their terms are counted without them."""
        these = f"document in {list(documents)}"
        places = {place for row in self._collection.rows(these, ["sparse"]) for place in row["sparse"]}
        known = self._collection.terms(places)
        counts = self._lexical.counts({term for term, _ in known.values()})
        self._collection.set_terms((place, term, counts[term]) for place, (term, _) in sorted(known.items()))
        self._collection.delete(f"{these} and number > 0")
        self._collection.delete(these)

    def _write(self, documents: Sequence[int], states: dict[int, str], average: float) -> None:
        """Write documents; an id of a passage never comes to mean another, so what is there of them is replaced."""
        rows = (row for each in documents for row in self._rows(each, average))
        first: list[Row] = []
        while some := list(islice(rows, AT_ONCE)):
            self._collection.put(some)
            first += (row for row in some if row["number"] == 0)
        self._collection.put([{**row, "state": states[row["document"]]} for row in first])

    def _rows(self, document_id: int, average: float) -> Iterator[Row]:
        document = self._documents[document_id]
        analysed = indexed_terms(self._store.chunks_of(document_id))
        number = 0
        while some := list(islice(analysed, AT_ONCE)):
            vectors = self._store.vectors.of([chunk.id for chunk, _, _ in some])
            counts = {(language, term) for _, language, found in some for term in found if term != FILLER}
            self._count(counts)
            for (chunk, language, found), vector in zip(some, vectors, strict=True):
                fields = {"document": document_id, "number": number, "state": ""}
                fields |= {"language": language, "dense": vector, "sparse": passage_vector(found, language, average)}
                yield {**_passage(chunk, document), **fields}
                number += 1

    def _count(self, terms: set[tuple[str, str]]) -> None:
        """Note in how many passages terms of languages are, before they are."""
        counts = self._lexical.counts({term for _, term in terms})
        self._collection.set_terms((term_id(term, language), term, counts[term]) for language, term in sorted(terms))

    def _languages(self) -> dict[str, int]:
        known = self._lexical.languages
        unknown = self._store.chunk_count() - sum(known.values())
        return {**known, UNKNOWN: unknown} if unknown else dict(known)


def _passage(chunk: Chunk, document: DocumentInfo) -> Row:
    """The fields of a passage as its index has it."""
    names = [composed(name) for name in (document.source, *document.copies)]
    tables = [[table.start, table.end, table.header] for table in chunk.tables]
    return {
        "id": chunk.id,
        "source": chunk.source,
        "names": BETWEEN.join(["", *names, ""]),
        "title": chunk.title,
        "folded": folded(chunk.title),
        "heading": chunk.heading,
        "page": chunk.page or 0,
        "line": chunk.line,
        "start": chunk.start,
        "end": chunk.end,
        "tokens": chunk.tokens,
        "modified": chunk.modified or "",
        "text": chunk.text,
        "metadata": json.loads(chunk.metadata.json),
        "layout": {"shifts": [list(shift) for shift in chunk.shifts], "tables": tables},
    }


def _state(document: DocumentInfo) -> str:
    """What the rows of a document depend on: its content, and a hash of the rest."""
    facts = [document.source, document.copies, document.title, document.metadata.json, document.modified]
    return f"{_content(document)} {hashlib.sha256(json.dumps(facts).encode()).hexdigest()}"


def _content(document: DocumentInfo) -> str:
    return document.content_hash.replace(" ", "")
