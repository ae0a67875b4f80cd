"""The tables of the lexical index in PostgreSQL: postings, terms, and how many chunks there are of each language.

A posting says how often a chunk holds a term; with it are the chunk's language and length, so that BM25 needs nothing
else. How many chunks hold a term is counted when it is searched for, so that it is right in every snapshot.
"""

from __future__ import annotations

import re
import struct
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from indexes.storage.lexical import FILLER, indexed_terms
from indexes.storage.lexical_query import UNKNOWN
from indexes.storage.postgres.connection import Connection
from indexes.types import Chunk

POSTING = np.dtype([("chunk", "<i8"), ("count", "<u2"), ("language", "<u2"), ("length", "<u4")])
_PACK = struct.Struct("<qHHI").pack
_MOST_IN_PIECE = 128  # postings: an index row has room for 2.7 kB
_MOST_COUNT = 2**16 - 1
_LONGEST_TERM = 128  # characters; what is longer is cut, and found by its beginning
_MOST_STATISTICS = 256  # rows, before they are added up
_SPACE = re.compile("[ \t\n\r\f]+")  # what ends a term for tantivy

PostingArray = npt.NDArray[np.void]


def language_code(language: str) -> int:
    """A language as a number, for a posting."""
    return 0 if language == UNKNOWN else int.from_bytes(language.encode(), "big")


def term_key(term: str) -> str:
    """A term as it is stored."""
    return term[:_LONGEST_TERM]


class Postings:
    """Access to the lexical index of a database."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, documents: Iterable[tuple[int, Iterable[Chunk]]]) -> None:
        """Index documents that are not in the lexical index.

        Args:
            documents: The id and the chunks of each.
        """
        rows: list[tuple[str, int, int, bytes]] = []
        languages: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])
        for document_id, chunks in documents:
            found: dict[str, bytearray] = defaultdict(bytearray)
            for chunk, language, terms in indexed_terms(chunks):
                terms = [term_key(term) for term in _SPACE.split(" ".join(terms)) if term]
                facts = languages[document_id, language]
                facts[0], facts[1] = facts[0] + 1, facts[1] + len(terms)
                code, length = language_code(language), len(terms)
                for term, count in Counter(terms).items():
                    if term != FILLER:
                        found[term] += _PACK(chunk.id, min(count, _MOST_COUNT), code, length)
            rows += _pieces(document_id, found)
        rows.sort()  # all writers add terms in one order, so that no two wait for each other
        self._copy(rows)
        self._db.execute(
            "INSERT INTO terms SELECT unnest(?::text[]) ON CONFLICT DO NOTHING", (sorted({row[0] for row in rows}),)
        )
        its = [(document_id, language, facts[0], facts[1]) for (document_id, language), facts in languages.items()]
        self._db.executemany("INSERT INTO languages VALUES (?, ?, ?, ?)", its)
        self._db.executemany("INSERT INTO statistics VALUES (?, ?, ?)", _totals(its))

    def remove(self, document_id: int, *, keep_document: bool = False) -> None:
        """Take a document out of the lexical index.

        Args:
            document_id: Its id.
            keep_document: Whether the document stays; otherwise its postings go with it.
        """
        its = "SELECT language, -chunks, -terms FROM languages WHERE document_id = ?"
        self._db.execute(f"INSERT INTO statistics {its}", (document_id,))
        if keep_document:
            for table in ("postings", "languages"):
                self._db.execute(f"DELETE FROM {table} WHERE document_id = ?", (document_id,))  # noqa: S608

    def clear(self) -> None:
        """Empty the lexical index."""
        for table in ("postings", "languages", "statistics", "terms"):
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
            The postings of each that there is, in no particular order.
        """
        keys = {term_key(term): term for term in terms}
        sql = "SELECT term, string_agg(chunks, '') FROM postings WHERE term = ANY(?::text[]) GROUP BY term"
        rows = self._db.execute(sql, (sorted(keys),))
        return {keys[term]: np.frombuffer(chunks, dtype=POSTING) for term, chunks in rows}

    def counts(self, terms: Collection[str]) -> dict[str, int]:
        """Count the chunks that hold each of some terms; 0 for one that none does."""
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

    def of_document(self, document_id: int) -> PostingArray:
        """All postings of a document."""
        sql = "SELECT string_agg(chunks, '') FROM postings WHERE document_id = ?"
        [[chunks]] = self._db.execute(sql, (document_id,))
        return np.frombuffer(chunks or b"", dtype=POSTING)

    def _copy(self, rows: Iterable[tuple[str, int, int, bytes]]) -> None:
        with self._db.raw.cursor() as cursor, cursor.copy("COPY postings FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["text", "int8", "int4", "bytea"])
            for row in rows:
                copy.write_row(row)


def _pieces(document_id: int, found: dict[str, bytearray]) -> Iterator[tuple[str, int, int, bytes]]:
    size = _MOST_IN_PIECE * POSTING.itemsize
    for term, postings in found.items():
        for piece, start in enumerate(range(0, len(postings), size)):
            yield term, document_id, piece, bytes(postings[start : start + size])


def _totals(its: Iterable[tuple[int, str, int, int]]) -> list[tuple[str, int, int]]:
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for _, language, chunks, terms in its:
        totals[language][0] += chunks
        totals[language][1] += terms
    return [(language, chunks, terms) for language, (chunks, terms) in sorted(totals.items())]
