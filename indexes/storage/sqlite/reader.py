"""The corpus as rows, read and checked: documents, their text, chunks. `indexes.storage.sqlite.store` changes them."""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice, takewhile
from typing import Any, NamedTuple

from indexes.errors import IndexDamaged
from indexes.metadata import Metadata
from indexes.sources import is_file
from indexes.storage.sqlite.checksums import check_row, found, of_types, text_checksum
from indexes.storage.sqlite.nodes import NodeRows
from indexes.storage.sqlite.schema import CHUNK_FACTS, DOCUMENT_FACTS
from indexes.storage.sqlite.vectors import VectorRows
from indexes.types import Chunk, DocumentInfo

PIECE = 16_384  # characters of a document's text to one compressed row

_AT_ONCE = 500  # parameters of one statement

_DOCUMENT_COLUMNS = f"{DOCUMENT_FACTS}, checksum"
_CHUNK_COLUMNS = f"{CHUNK_FACTS}, checksum"


Condition = tuple[str, list[Any]]  # SQL on a row of `documents`, and the values of its parameters


def in_place(place: str) -> Condition:
    """That `sources.lies_in` holds for a source."""
    inside = place.rstrip(os.sep) + os.sep
    after = inside[:-1] + chr(ord(os.sep) + 1)
    return "(source = ? OR (? AND source > ? AND source < ?))", [place, is_file(place), inside, after]


class DerivedFile(NamedTuple):
    """A file of a derived index: its path relative to the index's folder, what it was when it was made."""

    name: str
    bytes: int
    mtime_ns: int
    checksum: int


class KnownFile(NamedTuple):
    """The hash of a document's file, and its status: None where an equal one would not mean an equal file."""

    content_hash: str
    stamp: str | None
    modified: str | None


class StoreReader:
    """The rows of an open database, in the transaction that `indexes.storage.sqlite.database` began.

    Every row is checked against its checksum when it is read: IndexDamaged is raised for one that is not what it was.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.nodes = NodeRows(connection)
        self.vectors = VectorRows(connection)

    def format(self) -> int:
        """The version of the tables."""
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def generation(self) -> int:
        """The number of publications so far; inside a writer's transaction, that of the one to come."""
        value = self.meta("generation") or ""
        if not value.isdecimal():
            raise IndexDamaged("its generation is no number")
        return int(value)

    def meta(self, key: str) -> str | None:
        """A fact about the index as a whole."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def documents(self, after: int = 0) -> Iterator[tuple[int, DocumentInfo]]:
        """(id, document) of those put in after generation `after`, by source."""
        # "+": SQLite would rather read all documents in this order than sort the few that are new.
        sql = f"SELECT {_DOCUMENT_COLUMNS} FROM documents WHERE generation > ? ORDER BY +source"  # noqa: S608
        return ((row[0], _document(row)) for row in self._db.execute(sql, (after,)))

    def documents_in(self, place: str) -> Iterator[tuple[int, DocumentInfo]]:
        """(id, document) of the one whose source is `place`, or of those in that folder: see `sources.lies_in`."""
        return self.documents_where(in_place(place))

    def documents_where(self, condition: Condition, *, check: bool = True) -> Iterator[tuple[int, DocumentInfo]]:
        """(id, document) of those whose row meets the condition.

        Unless `check`, their rows are not checked: for those who will read, and so check, what they choose of them.
        """
        sql = f"SELECT {_DOCUMENT_COLUMNS} FROM documents WHERE {condition[0]}"  # noqa: S608
        return ((row[0], (_document if check else _info)(row)) for row in self._db.execute(sql, condition[1]))

    def document(self, source: str) -> tuple[int, DocumentInfo] | None:
        """(id, document) of the one with that source."""
        sql = f"SELECT {_DOCUMENT_COLUMNS} FROM documents WHERE source = ?"  # noqa: S608
        row = self._db.execute(sql, (source,)).fetchone()
        return None if row is None else (row[0], _document(row))

    def check_absent(self, source: str) -> None:
        """Look at every document for one that has not been found by its source. Raises IndexDamaged if it is there."""
        sql = "SELECT EXISTS (SELECT 1 FROM documents NOT INDEXED WHERE source = ?)"
        if self._db.execute(sql, (source,)).fetchone()[0]:
            raise IndexDamaged(f"{source} is there and is not found")

    def stamp(self, source: str) -> KnownFile | None:
        """What the file of the document with that source was when it was read."""
        sql = "SELECT content_hash, stamp, modified FROM documents WHERE source = ?"
        row = self._db.execute(sql, (source,)).fetchone()
        return None if row is None else KnownFile(*row)

    def removals(self, after: int) -> list[int]:
        """Ids of the documents taken out after generation `after`."""
        rows = self._db.execute("SELECT document_id FROM removals WHERE generation > ?", (after,))
        return [document_id for (document_id,) in rows]

    def counts(self) -> tuple[int, int, int]:
        """Documents, chunks and tokens."""
        row = self._db.execute("SELECT count(*), total(chunks), total(tokens) FROM documents").fetchone()
        return int(row[0]), int(row[1]), int(row[2])

    def chunk_count(self) -> int:
        """How many chunks there are."""
        return int(self._db.execute("SELECT count(*) FROM chunks").fetchone()[0])

    def is_empty(self) -> bool:
        """Whether there is no document."""
        return not self._db.execute("SELECT EXISTS (SELECT 1 FROM documents)").fetchone()[0]

    def chunks(self, ids: Iterable[int]) -> dict[int, Chunk]:
        """Chunks by id. Raises IndexDamaged for one that is not there: the derived indexes hold none but these."""
        sql = f"SELECT {_CHUNK_COLUMNS} FROM chunks WHERE id = ?"  # noqa: S608
        documents: dict[int, DocumentInfo] = {}
        chunks: dict[int, Chunk] = {}
        for chunk_id in ids:
            row = found(self._db.execute(sql, (chunk_id,)).fetchone(), f"chunk {chunk_id}")
            if row[1] not in documents:
                documents[row[1]] = self._document_of(row[1])
            chunks[chunk_id] = _chunk(row, documents[row[1]], partial(self._piece, row[1]))
        return chunks

    def chunks_of(self, document_id: int) -> Iterator[Chunk]:
        """A document's chunks, in order."""
        document = self._document_of(document_id)
        piece = lru_cache(maxsize=2)(partial(self._piece, document_id))  # or it would be decompressed for each chunk
        sql = f"SELECT {_CHUNK_COLUMNS} FROM chunks WHERE document_id = ? ORDER BY id"  # noqa: S608
        return (_chunk(row, document, piece) for row in self._db.execute(sql, (document_id,)))

    def chunk_ids_of(self, document_ids: Iterable[int]) -> set[int]:
        """The ids of the chunks of some documents."""
        ids, found = iter(document_ids), set[int]()
        while some := list(islice(ids, _AT_ONCE)):
            found |= self.chunk_ids_where((f"id IN ({', '.join('?' * len(some))})", some))
        return found

    def chunk_ids_where(self, condition: Condition) -> set[int]:
        """The ids of the chunks of the documents whose row, which is not checked, meets the condition."""
        documents = f"SELECT id FROM documents WHERE {condition[0]}"  # noqa: S608
        sql = f"SELECT id FROM chunks WHERE document_id IN ({documents})"  # noqa: S608
        return {chunk_id for (chunk_id,) in self._db.execute(sql, condition[1])}

    def around(self, chunk: Chunk, neighbours: int) -> list[Chunk]:
        """A chunk with up to so many before it and after it in its document, in order."""
        [document_id] = self._db.execute("SELECT document_id FROM chunks WHERE id = ?", (chunk.id,)).fetchone()
        ids = "SELECT id FROM chunks WHERE document_id = ?"
        before = self._db.execute(
            f"{ids} AND id <= ? ORDER BY id DESC LIMIT ?", (document_id, chunk.id, neighbours + 1)
        )
        after = self._db.execute(f"{ids} AND id > ? ORDER BY id LIMIT ?", (document_id, chunk.id, neighbours))
        return list(self.chunks(i for [i] in [*reversed(before.fetchall()), *after.fetchall()]).values())

    def stretch(self, chunk_id: int, start: int, end: int) -> str:
        """`document.text[start:end]` of a chunk's document."""
        [document_id] = self._db.execute("SELECT document_id FROM chunks WHERE id = ?", (chunk_id,)).fetchone()
        return self.text(document_id, start, end)

    def text(self, document_id: int, start: int, end: int) -> str:
        """`document.text[start:end]`."""
        return _stretch(partial(self._piece, document_id), start, end)

    def whole_text(self, document_id: int) -> str:
        """All of a document's text, checked."""
        row = self._db.execute("SELECT characters, text_checksum FROM documents WHERE id = ?", (document_id,))
        characters, expected = found(row.fetchone(), f"document {document_id}")
        text = self.text(document_id, 0, characters)
        if text_checksum(text) != expected:
            raise IndexDamaged(f"the text of document {document_id} is not what it was")
        return text

    def text_of(self, source: str) -> str | None:
        """The text of the document with that source, checked; None if there is none."""
        there = self.document(source)
        if there is None:
            self.check_absent(source)
            return None
        return self.whole_text(there[0])

    def derived_files(self) -> list[DerivedFile]:
        """The files of the derived indexes that belong to this generation."""
        rows = self._db.execute("SELECT * FROM derived_files ORDER BY name").fetchall()
        return [DerivedFile(*row) for row in of_types(rows, (str, int, int, int), "the list of derived files")]

    def rows(self, sql: str) -> Iterator[Sequence[Any]]:
        """What a query gives, for `indexes.storage.verify`."""
        return self._db.execute(sql)

    def _document_of(self, document_id: int) -> DocumentInfo:
        sql = f"SELECT {_DOCUMENT_COLUMNS} FROM documents WHERE id = ?"  # noqa: S608
        return _document(found(self._db.execute(sql, (document_id,)).fetchone(), f"document {document_id}"))

    def _piece(self, document_id: int, number: int) -> str:
        """One of the rows that a document's text is in; nothing after the last."""
        sql = "SELECT text FROM texts WHERE document_id = ? AND piece = ?"
        row = self._db.execute(sql, (document_id, number)).fetchone()
        try:
            return "" if row is None else zlib.decompress(row[0]).decode()
        except (zlib.error, UnicodeDecodeError, TypeError) as error:
            raise IndexDamaged(f"the text of document {document_id} is damaged ({error})") from error


def _stretch(piece: Callable[[int], str], start: int, end: int) -> str:
    """A text's characters from `start` to `end`, from its pieces."""
    first, last = start // PIECE, (end - 1) // PIECE
    text = "".join(takewhile(bool, map(piece, range(first, last + 1))))
    return text[start - first * PIECE : end - first * PIECE]


def _chunk(row: Sequence[Any], document: DocumentInfo, piece: Callable[[int], str]) -> Chunk:
    chunk_id, _, heading, page, start, end, line, tokens, expected = row
    text = _stretch(piece, start, end) if isinstance(start, int) and isinstance(end, int) else ""
    check_row(row[:-1], expected, f"chunk {chunk_id} of {document.source}", text.encode())
    about = (document.metadata, document.modified)
    return Chunk(text, document.source, document.title, heading, page, start, end, line, tokens, chunk_id, *about)


def _document(row: Sequence[Any]) -> DocumentInfo:
    check_row(row[:-1], row[-1], f"document {row[0]} ({row[1]})")
    return _info(row)


def _info(row: Sequence[Any]) -> DocumentInfo:
    _, source, title, content_hash, characters, chunks, tokens, metadata, modified, _, _ = row
    return DocumentInfo(source, title, characters, chunks, tokens, content_hash, Metadata.parse(metadata), modified)
