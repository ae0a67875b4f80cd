"""The tables of the lexical index in PostgreSQL: postings, terms, and how many chunks there are of each language.

A posting says how often a chunk holds a term; with it are the chunk's language and length, so that BM25 needs nothing
else. The chunks that were indexed together are a segment, which has one row for each of their terms and is never
changed: a removed chunk stays in its segment, and no search finds it, until `segments` makes that anew.
"""

from __future__ import annotations

import re
import struct
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from indexes.storage.lexical import FILLER, indexed_terms
from indexes.storage.lexical_query import language_code
from indexes.storage.postgres.connection import Connection
from indexes.types import Chunk

POSTING = np.dtype([("chunk", "<i8"), ("count", "<u2"), ("language", "<u2"), ("length", "<u4")])
_PACK = struct.Struct("<qHHI").pack
SEGMENT_SIZE = 16_384  # chunks; what is smaller is merged
_MOST_COUNT = 2**16 - 1
_LONGEST_TERM = 128  # characters; what is longer is cut, and found by its beginning
_MOST_STATISTICS = 256  # rows, before they are added up
_SPACE = re.compile("[ \t\n\r\f]+")  # what ends a term for tantivy

PostingArray = npt.NDArray[np.void]


def term_key(term: str) -> str:
    """A term as it is stored."""
    return term[:_LONGEST_TERM]


@dataclass(slots=True)
class _Segment:
    """What a segment will hold: the postings of each term, and the number of chunks and of the terms in them."""

    postings: dict[str, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    chunks: int = 0
    terms: int = 0


class Postings:
    """Access to the lexical index of a database."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, documents: Iterable[tuple[int, Iterable[Chunk]]]) -> None:
        """Index documents that are not in the lexical index.

        Args:
            documents: The id and the chunks of each.
        """
        segment = _Segment()
        languages: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])
        for document_id, chunks in documents:
            for chunk, language, terms in indexed_terms(chunks):
                counts = _counted(terms)
                code, length = language_code(language), counts.total()
                facts = languages[document_id, language]
                facts[0], facts[1] = facts[0] + 1, facts[1] + length
                del counts[FILLER]
                for term, count in counts.items():
                    segment.postings[term] += _PACK(chunk.id, min(count, _MOST_COUNT), code, length)
                segment.chunks, segment.terms = segment.chunks + 1, segment.terms + length
                if segment.chunks == SEGMENT_SIZE:
                    self._write(segment)
                    segment = _Segment()
        self._write(segment)
        its = [(*key, chunk_count, length) for key, (chunk_count, length) in languages.items()]
        self._db.copy("languages", ("int8", "text", "int8", "int8"), its)
        self._db.executemany("INSERT INTO statistics VALUES (?, ?, ?)", _totals(its))

    def _write(self, segment: _Segment) -> None:
        if segment.chunks:
            self.write(sorted(segment.postings.items()), segment.chunks, segment.terms)
            # all writers add terms in one order, so that no two wait for each other
            sql = "INSERT INTO terms SELECT unnest(?::text[]) ON CONFLICT DO NOTHING"
            self._db.execute(sql, (sorted(segment.postings),))

    def write(self, postings: Iterable[tuple[str, bytes | bytearray]], chunks: int, terms: int) -> None:
        """Write a segment.

        Args:
            postings: The postings of each term that it has.
            chunks: How many chunks it has.
            terms: How many terms these have.
        """
        sql = "INSERT INTO segments (chunks, terms) VALUES (?, ?) RETURNING id"
        [[segment]] = self._db.execute(sql, (chunks, terms))
        self._db.copy("postings", ("text", "int8", "bytea"), ((term, segment, its) for term, its in postings))

    def remove(self, document_id: int, *, keep_document: bool = False) -> None:
        """Take a document out of the lexical index; its chunks must be removed, too.

        Args:
            document_id: Its id.
            keep_document: Whether the document itself stays.
        """
        its = "SELECT language, -chunks, -terms FROM languages WHERE document_id = ?"
        self._db.execute(f"INSERT INTO statistics {its}", (document_id,))
        if keep_document:
            self._db.execute("DELETE FROM languages WHERE document_id = ?", (document_id,))

    def clear(self) -> None:
        """Empty the lexical index; no other process may write to it."""
        for table in ("postings", "segments", "languages", "statistics", "terms"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608

    def add_up(self) -> None:
        """Add up the rows of the statistics where there are many, but for those that another writer adds up now."""
        [[rows]] = self._db.execute("SELECT count(*) FROM statistics")
        if rows > _MOST_STATISTICS:
            self._db.execute(
                "WITH gone AS (DELETE FROM statistics WHERE ctid = ANY(ARRAY(SELECT ctid FROM statistics"
                " FOR UPDATE SKIP LOCKED)) RETURNING *)"
                " INSERT INTO statistics SELECT language, sum(chunks), sum(terms) FROM gone GROUP BY language"
            )

    def statistics(self) -> dict[str, tuple[int, int]]:
        """The number of chunks in each language, and of the terms in them."""
        sql = "SELECT language, sum(chunks)::bigint, sum(terms)::bigint FROM statistics GROUP BY language"
        return {language: (chunks, terms) for language, chunks, terms in self._db.execute(sql) if chunks}

    def totals(self) -> tuple[int, int]:
        """The number of chunks in all segments, removed ones among them, and of the terms in them."""
        [[chunks, terms]] = self._db.execute("SELECT sum(chunks)::bigint, sum(terms)::bigint FROM segments")
        return chunks or 0, terms or 0

    def there(self, chunks: Collection[int]) -> set[int]:
        """Tell which of some chunks have not been removed."""
        sql = "SELECT id FROM chunks WHERE id = ANY(?::bigint[])"
        return {chunk for (chunk,) in self._db.execute(sql, (list(chunks),))}

    def in_languages(self, languages: Collection[str], among: Collection[int]) -> set[int]:
        """Find the chunks of documents without a chunk in another language.

        Args:
            languages: The languages.
            among: The ids of the chunks to look at.

        Returns:
            Their ids.
        """
        sql = (
            "SELECT c.id FROM chunks c WHERE c.id = ANY(?::bigint[]) AND NOT EXISTS (SELECT 1 FROM languages l"
            " WHERE l.document_id = c.document_id AND l.language <> ALL(?::text[]))"
        )
        return {chunk for (chunk,) in self._db.execute(sql, (sorted(among), sorted(languages)))}

    def of(self, terms: Collection[str]) -> dict[str, PostingArray]:
        """Read the postings of terms.

        Args:
            terms: The terms.

        Returns:
            The postings of each that there is.
        """
        keys = {term_key(term): term for term in terms}
        sql = "SELECT term, chunks FROM postings WHERE term = ANY(?::text[]) ORDER BY term, segment"
        found: dict[str, list[bytes]] = defaultdict(list)
        for term, chunks in self._db.execute(sql, (sorted(keys),)):
            found[keys[term]].append(chunks)
        return {term: np.frombuffer(b"".join(its), dtype=POSTING) for term, its in found.items()}

    def counts(self, terms: Collection[str]) -> dict[str, int]:
        """Count the chunks that hold each of some terms, removed ones among them; 0 for one that none does."""
        keys = {term_key(term): term for term in terms}
        sql = "SELECT term, sum(length(chunks)) FROM postings WHERE term = ANY(?::text[]) GROUP BY term"
        rows = self._db.execute(sql, (sorted(keys),))
        return dict.fromkeys(terms, 0) | {keys[term]: int(size) // POSTING.itemsize for term, size in rows}

    def terms_like(self, pattern: str) -> list[str]:
        """List the terms that a regular expression matches."""
        rows = self._db.execute("SELECT term FROM terms WHERE term ~ ?", (f"^({pattern})$",))
        return [term for (term,) in rows]

    def terms_of_length(self, shortest: int, longest: int) -> Iterator[str]:
        """The terms that have so many characters."""
        sql = "SELECT term FROM terms WHERE char_length(term) BETWEEN ? AND ?"
        return (term for (term,) in self._db.execute(sql, (shortest, longest)))

    def of_segments(self) -> Iterator[PostingArray]:
        """All postings, a segment at a time."""
        for (segment,) in self._db.execute("SELECT id FROM segments ORDER BY id").fetchall():
            rows = self._db.execute("SELECT chunks FROM postings WHERE segment = ?", (segment,))
            yield np.frombuffer(b"".join(chunks for (chunks,) in rows), dtype=POSTING)


def _counted(terms: Iterable[str]) -> Counter[str]:
    """How often each term occurs, as it is stored: tantivy divides one that has a space in it."""
    counts = Counter(terms)
    if (
        len(max(counts, key=len, default="")) <= _LONGEST_TERM
        and "" not in counts
        and not _SPACE.search("".join(counts))
    ):
        return counts
    for term in [term for term in counts if len(term) > _LONGEST_TERM or not term or _SPACE.search(term)]:
        count = counts.pop(term)
        for part in filter(None, _SPACE.split(term)):
            counts[term_key(part)] += count
    return counts


def _totals(its: Iterable[tuple[int, str, int, int]]) -> list[tuple[str, int, int]]:
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for _, language, chunks, terms in its:
        totals[language][0] += chunks
        totals[language][1] += terms
    return [(language, chunks, terms) for language, (chunks, terms) in sorted(totals.items())]
