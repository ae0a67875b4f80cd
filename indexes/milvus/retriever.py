"""A collection that `publish` has written, as a llama-index retriever.

It is searched as an index is, by the same code: only where vectors, terms and passages come from is another place.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Any, cast

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle

from indexes.encoders import load_encoder
from indexes.errors import CorpusError, IndexMismatch
from indexes.llama_index import chunk_node, in_thread
from indexes.metadata import Metadata
from indexes.milvus.collection import Collection, Row
from indexes.milvus.conditions import BETWEEN, condition_of
from indexes.milvus.fields import Note
from indexes.milvus.sparse import query_vector, term_id
from indexes.search import Retrieval, SearchFilter, SearchRequest, named_as_allowed, rank_chunks
from indexes.storage import UNKNOWN, idf_of, telling, term_groups
from indexes.text import ANALYSIS_VERSION, phrase_terms
from indexes.types import Chunk, Encoder, Table, Vectors

_MOST_WITH_PHRASE = 500  # passages that are read to see whether they contain a phrase
_ATTEMPTS = 3
_FIELDS = (
    *("id", "source", "names", "title", "heading", "page", "line", "start", "end", "tokens", "modified", "text"),
    *("metadata", "layout"),
)

Scored = list[tuple[int, float]]


class MilvusRetriever(BaseRetriever):
    """Search a collection that `longctx ingest --into` has written.

    What is found, and in which order, is what the index finds, except that words that are only spelt alike, `light*`
    and single kanji in longer words are not looked for. `DocumentQA.open(retriever=...)` asks it, and its citations
    have the page and the exact offsets.

    Args:
        address: The collection, as for `Collection`.
        k: The maximum number of passages.
        mode: "hybrid", "dense" or "lexical", as in `CorpusIndex.search`.
        filters: Which documents may be found; None for all.
        encoder: The encoder of the collection; None to load the one that is noted there.

    Raises:
        CorpusError: If the address is none, or Milvus does not answer.
        IndexNotFound: If there is no such collection.
        IndexMismatch: If its vectors are another encoder's, or its terms another version's.
    """

    def __init__(
        self,
        address: str,
        k: int = 10,
        mode: str = "hybrid",
        *,
        filters: SearchFilter | None = None,
        encoder: str | Encoder | None = None,
    ) -> None:
        self._collection, self._filters = Collection(address), filters
        self._request = SearchRequest("?", k, mode)
        self._request.check()
        note = self._noted()
        # what is in a database may be somebody else's: what it names is not fetched
        self.encoder = load_encoder(note.encoder, download=False) if encoder is None else load_encoder(encoder)
        self._check(note)
        super().__init__()

    def close(self) -> None:
        """Close the connection."""
        self._collection.close()

    def _noted(self) -> Note:
        note = self._collection.note()
        if note is None:
            raise CorpusError(
                f"there is no collection {self._collection.name!r} in {self._collection.shown}: `longctx ingest PATH "
                f"--into {self._collection.shown}` makes one"
            )
        return note

    def _check(self, note: Note) -> None:
        if note.fingerprint != self.encoder.fingerprint:
            raise IndexMismatch(
                f"the vectors of {self._collection.shown} are of the encoder {note.encoder!r}, in other weights or "
                f"settings than {self.encoder.name!r}: give that one"
            )
        if note.analysis != ANALYSIS_VERSION:
            raise IndexMismatch(
                f"the terms of {self._collection.shown} are of another version of longctx: `longctx ingest PATH --into "
                f"{self._collection.shown}` makes them anew"
            )

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        for attempt in range(_ATTEMPTS):
            try:
                return self._retrieve_once(query_bundle.query_str)
            except KeyError:  # a passage that was found has been deleted since
                if attempt + 1 == _ATTEMPTS:
                    raise
        raise AssertionError

    _aretrieve = in_thread(_retrieve)

    def _retrieve_once(self, query: str) -> list[NodeWithScore]:
        note = self._noted()
        self._check(note)
        request = replace(self._request, query=query)
        condition = condition_of(self._filters)
        lexical = _Lexical(self._collection, note, condition)
        store, dense = _Passages(self._collection, note), _Dense(self._collection, condition)
        retrieval = Retrieval(cast(Any, store), cast(Any, dense), cast(Any, lexical), self.encoder, lambda: None)
        hits = list(islice(rank_chunks(retrieval, request), request.k))
        chunks = named_as_allowed((hit.chunk for hit in hits), self._filters)
        return [NodeWithScore(node=chunk_node(each), score=hit.score) for each, hit in zip(chunks, hits, strict=True)]


class _Passages:
    """The passages of a collection, where a search reads the store of an index."""

    def __init__(self, collection: Collection, note: Note) -> None:
        self._collection, self._note = collection, note

    def is_empty(self) -> bool:
        return not self._note.passages

    def chunks(self, ids: Iterable[int]) -> dict[int, Chunk]:
        wanted = list(ids)
        found = {row["id"]: _chunk(row) for row in self._collection.get(wanted, _FIELDS)}
        return {i: found[i] for i in wanted if i in found}

    def titles(self, ids: Iterable[int]) -> dict[int, tuple[str, str]]:
        rows = self._collection.get(list(ids), ["id", "source", "title"])
        return {row["id"]: (row["source"], row["title"]) for row in rows}


class _Dense:
    def __init__(self, collection: Collection, condition: str) -> None:
        self._collection, self._condition = collection, condition

    def search(self, query: Vectors, k: int, allowed: Set[int] | None = None) -> Scored:
        return self._collection.search("dense", query, k, _among(self._condition, allowed))


class _Lexical:
    """BM25 as an inner product, where a search uses the lexical index."""

    def __init__(self, collection: Collection, note: Note, condition: str) -> None:
        self._collection, self._note, self._condition = collection, note, condition
        self._counts: dict[int, int] = {}

    @cached_property
    def languages(self) -> dict[str, int]:
        return {language: count for language, count in self._note.languages.items() if language != UNKNOWN}

    def search(self, query: str, k: int, allowed: Set[int] | None = None) -> Scored:
        return self._search(self._asked(query), k, _among(self._condition, allowed))

    def _search(self, asked: dict[int, float], k: int, condition: str) -> Scored:
        vector = query_vector(asked, self._counts_of(asked), self._note.passages)
        return self._collection.search("sparse", vector, k, condition) if vector else []

    def _asked(self, query: str) -> dict[int, float]:
        """The terms of a query in each language, with their weights."""
        asked: dict[int, float] = {}
        for group in term_groups(query, list(self._note.languages)):
            languages = group.languages or list(self._note.languages)
            of = {term: [term_id(term, language) for language in languages] for term in group.terms}
            counts = self._counts_of(place for places in of.values() for place in places)
            count_of = {term: max(counts.get(place, 0) for place in places) for term, places in of.items()}
            for term, weight in telling(group.terms, self._note.passages, count_of.__getitem__).items():
                asked |= dict.fromkeys(of[term], weight * group.boost)
        return asked

    def may_hold(self, phrase: str) -> set[int]:
        languages = list(self._note.languages)
        asked = {term_id(t, language): 1.0 for language in languages for t in phrase_terms(phrase, language)}
        return {chunk for chunk, _ in self._search(asked, _MOST_WITH_PHRASE, self._condition)}

    def in_languages(self, languages: Set[str], among: Set[int]) -> set[int]:
        rows = self._collection.get(sorted(among), ["id", "language"])
        return {row["id"] for row in rows if row["language"] in languages}

    def idf(self, of: Iterable[str]) -> dict[str, float]:
        places = {term: [term_id(term, language) for language in self._note.languages] for term in of}
        counts = self._counts_of(place for some in places.values() for place in some)
        held = {term: max((counts.get(place, 0) for place in some), default=0) for term, some in places.items()}
        return idf_of(held, self._note.passages)

    def _counts_of(self, places: Iterable[int]) -> dict[int, int]:
        """In how many passages terms are; each is read once for a query."""
        wanted = set(places)
        new = wanted - self._counts.keys()
        self._counts |= dict.fromkeys(new, 0) | {i: count for i, (_, count) in self._collection.terms(new).items()}
        return {place: self._counts[place] for place in wanted}


def _among(condition: str, allowed: Set[int] | None) -> str:
    if allowed is None:
        return condition
    among = f"id in {sorted(allowed)}"
    return f"{condition} and {among}" if condition else among


def _chunk(row: Row) -> Chunk:
    """A passage from its row."""
    layout = cast(dict[str, Any], row["layout"])
    names = str(row["names"]).strip(BETWEEN).split(BETWEEN)
    return Chunk(
        text=row["text"],
        source=row["source"],
        title=row["title"],
        heading=row["heading"],
        page=row["page"] or None,
        start=row["start"],
        end=row["end"],
        line=row["line"],
        tokens=row["tokens"],
        id=row["id"],
        metadata=Metadata(row["metadata"]),
        modified=row["modified"] or None,
        shifts=tuple((first, second) for first, second in layout["shifts"]),
        tables=tuple(Table(*table) for table in layout["tables"]),
        copies=tuple(names[1:]),
    )
