"""The corpus as rows: documents, their text, chunks, vectors. The one source of truth of an index.

Consistency. A document is in it wholly or not at all. Every publication raises the store's *generation*: in one SQLite
transaction the writer puts rows in and takes them out, makes the files of the dense and lexical indexes that go with
them, under new names and without touching the old, and notes those names (`derived_files`). Its COMMIT publishes all of
it at once. A reader works inside one read transaction, and so sees documents, chunks and both derived indexes of one
generation, whatever the writer does meanwhile. Knows no encoder and no search; `indexes.database` opens it.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from indexes.errors import IndexDamaged
from indexes.metadata import Metadata
from indexes.node_table import NodeTable
from indexes.schema import CHUNK_FACTS, DOCUMENT_FACTS, checksum, vector_checksum
from indexes.sources import is_file
from indexes.types import Chunk, Document, DocumentInfo, Vectors

SEGMENT_SIZE = 16_384  # chunk ids to one segment of the dense index: its unit of rebuilding, held in memory then

_PIECE = 16_384  # characters of a document's text to one compressed row
_DOCUMENT_COLUMNS = f"{DOCUMENT_FACTS}, checksum"
_CHUNK_COLUMNS = f"{CHUNK_FACTS}, checksum"


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


class Store:
    """The rows of an open database, in the transaction that `indexes.database` began: one to read or one to write.

    Every row is checked against its checksum when it is read: IndexDamaged is raised for one that is not what it was.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.nodes = NodeTable(connection)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """All changes inside are kept together or not at all, within the transaction that is open."""
        self._db.execute("SAVEPOINT changes")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # SQLite has ended it itself when the disk was full
                self._db.execute("ROLLBACK TO changes")
                self._db.execute("RELEASE changes")
            raise
        self._db.execute("RELEASE changes")

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

    def set_meta(self, key: str, value: str) -> None:
        """Remember a fact about the index as a whole."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def add_document(self, document: Document, content_hash: str, generation: int, stamp: str | None = None) -> int:
        """Put a document in, without its chunks; returns its id. One with the same source must have been removed.

        `stamp` is the file's status, if an equal one means that the file has not changed.
        """
        about = (document.metadata.json, document.modified, zlib.crc32(document.text.encode()), stamp)
        row = (document.source, document.title, content_hash, len(document.text), generation, *about)
        document_id = self._db.execute(
            "INSERT INTO documents (source, title, content_hash, characters, generation, metadata, modified,"
            " text_checksum, stamp, chunks, tokens) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)",
            row,
        ).lastrowid
        assert document_id is not None
        pieces = (
            (document_id, number, zlib.compress(document.text[start : start + _PIECE].encode(), 1))
            for number, start in enumerate(range(0, len(document.text), _PIECE))
        )
        self._db.executemany("INSERT INTO texts VALUES (?, ?, ?)", pieces)
        self._seal(document_id)
        return document_id

    def add_chunks(self, document_id: int, chunks: Sequence[Chunk], vectors: Vectors, generation: int) -> range:
        """Add (n,) chunks of a document with their (n, dimension) vectors; returns their ids."""
        first = self._next_chunk_id()
        ids = range(first, first + len(chunks))
        rows = [
            (i, document_id, c.heading, c.page, c.start, c.end, c.line, c.tokens)
            for i, c in zip(ids, chunks, strict=True)
        ]
        sums = (checksum(row, chunk.text.encode()) for row, chunk in zip(rows, chunks, strict=True))
        self._db.executemany(
            "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((*row, sum_) for row, sum_ in zip(rows, sums, strict=True)),
        )
        blobs = ((i, vector.astype("<f4").tobytes()) for i, vector in zip(ids, vectors, strict=True))
        self._db.executemany("INSERT INTO vectors VALUES (?, ?, ?)", ((i, b, vector_checksum(i, b)) for i, b in blobs))
        self._db.execute(
            "UPDATE documents SET chunks = chunks + ?, tokens = tokens + ? WHERE id = ?",
            (len(chunks), sum(chunk.tokens for chunk in chunks), document_id),
        )
        self._seal(document_id)
        self._touch_segments(ids, generation)
        return ids

    def remove_document(self, source: str, generation: int) -> bool:
        """Take a document out, with all that belongs to it; False if it was not there."""
        found = self.document(source)
        if found is None:
            return False
        document_id = found[0]
        ids = self._db.execute("SELECT id FROM chunks WHERE document_id = ?", (document_id,))
        self._touch_segments([chunk_id for (chunk_id,) in ids], generation)
        self._db.execute("DELETE FROM documents WHERE id = ?", (document_id,))
        self._db.execute("INSERT INTO removals VALUES (?, ?)", (document_id, generation))
        return True

    def documents(self, after: int = 0) -> Iterator[tuple[int, DocumentInfo]]:
        """(id, document) of those put in after generation `after`, by source."""
        # "+": SQLite would rather read all documents in this order than sort the few that are new.
        sql = f"SELECT {_DOCUMENT_COLUMNS} FROM documents WHERE generation > ? ORDER BY +source"  # noqa: S608
        return ((row[0], _document(row)) for row in self._db.execute(sql, (after,)))

    def documents_in(self, place: str) -> Iterator[tuple[int, DocumentInfo]]:
        """(id, document) of the one whose source is `place`, or of those in that folder: see `sources.lies_in`."""
        inside = place.rstrip(os.sep) + os.sep
        after = inside[:-1] + chr(ord(os.sep) + 1)
        sql = f"SELECT {_DOCUMENT_COLUMNS} FROM documents WHERE source = ? OR (? AND source > ? AND source < ?)"  # noqa: S608
        rows = self._db.execute(sql, (place, is_file(place), inside, after))
        return ((row[0], _document(row)) for row in rows)

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

    def set_stamp(self, source: str, stamp: str | None, modified: str | None) -> None:
        """Remember the status of a document's file, and when it was written, when it was found unchanged."""
        sql = "UPDATE documents SET stamp = ?, modified = ? WHERE source = ? RETURNING id"
        [[document_id]] = self._db.execute(sql, (stamp, modified, source)).fetchall()
        self._seal(document_id)

    def removals(self, after: int) -> list[int]:
        """Ids of the documents taken out after generation `after`."""
        rows = self._db.execute("SELECT document_id FROM removals WHERE generation > ?", (after,))
        return [document_id for (document_id,) in rows]

    def forget_removals(self) -> None:
        """Drop the list of removals, once all derived indexes have followed."""
        self._db.execute("DELETE FROM removals")

    def counts(self) -> tuple[int, int, int]:
        """Documents, chunks and tokens."""
        row = self._db.execute("SELECT count(*), total(chunks), total(tokens) FROM documents").fetchone()
        return int(row[0]), int(row[1]), int(row[2])

    def is_empty(self) -> bool:
        """Whether there is no document."""
        return not self._db.execute("SELECT EXISTS (SELECT 1 FROM documents)").fetchone()[0]

    def chunks(self, ids: Iterable[int]) -> dict[int, Chunk]:
        """Chunks by id. Raises IndexDamaged for one that is not there: the derived indexes hold none but these."""
        sql = f"SELECT {_CHUNK_COLUMNS} FROM chunks WHERE id = ?"  # noqa: S608
        documents: dict[int, DocumentInfo] = {}
        found = {}
        for chunk_id in ids:
            row = _found(self._db.execute(sql, (chunk_id,)).fetchone(), f"chunk {chunk_id}")
            if row[1] not in documents:
                documents[row[1]] = self._document_of(row[1])
            found[chunk_id] = self._chunk(row, documents[row[1]])
        return found

    def chunks_of(self, document_id: int) -> Iterator[Chunk]:
        """A document's chunks, in order."""
        document = self._document_of(document_id)
        sql = f"SELECT {_CHUNK_COLUMNS} FROM chunks WHERE document_id = ? ORDER BY id"  # noqa: S608
        return (self._chunk(row, document) for row in self._db.execute(sql, (document_id,)))

    def chunk_ids_of(self, document_ids: Iterable[int]) -> set[int]:
        """The ids of the chunks of some documents."""
        sql = "SELECT id FROM chunks WHERE document_id = ?"
        return {chunk_id for document_id in document_ids for (chunk_id,) in self._db.execute(sql, (document_id,))}

    def widened(self, chunk: Chunk, neighbours: int) -> Chunk:
        """A chunk with up to so many before it and after it in its document; id and heading are its own."""
        [document_id] = self._db.execute("SELECT document_id FROM chunks WHERE id = ?", (chunk.id,)).fetchone()
        ids = "SELECT id FROM chunks WHERE document_id = ?"
        before = self._db.execute(
            f"{ids} AND id <= ? ORDER BY id DESC LIMIT ?", (document_id, chunk.id, neighbours + 1)
        )
        after = self._db.execute(f"{ids} AND id > ? ORDER BY id LIMIT ?", (document_id, chunk.id, neighbours))
        parts = list(self.chunks(i for [i] in [*reversed(before.fetchall()), *after.fetchall()]).values())
        first, end = parts[0], parts[-1].end
        text, tokens = self.text(document_id, first.start, end), sum(part.tokens for part in parts)
        return replace(chunk, text=text, start=first.start, end=end, page=first.page, line=first.line, tokens=tokens)

    def text(self, document_id: int, start: int, end: int) -> str:
        """`document.text[start:end]`."""
        first = start // _PIECE
        rows = self._db.execute(
            "SELECT text FROM texts WHERE document_id = ? AND piece BETWEEN ? AND ? ORDER BY piece",
            (document_id, first, max(first, (end - 1) // _PIECE)),
        )
        try:
            text = "".join(zlib.decompress(blob).decode() for (blob,) in rows)
        except (zlib.error, UnicodeDecodeError, TypeError) as error:
            raise IndexDamaged(f"the text of document {document_id} is damaged ({error})") from error
        return text[start - first * _PIECE : end - first * _PIECE]

    def whole_text(self, document_id: int) -> str:
        """All of a document's text, checked."""
        row = self._db.execute("SELECT characters, text_checksum FROM documents WHERE id = ?", (document_id,))
        characters, expected = _found(row.fetchone(), f"document {document_id}")
        text = self.text(document_id, 0, characters)
        if zlib.crc32(text.encode()) != expected:
            raise IndexDamaged(f"the text of document {document_id} is not what it was")
        return text

    def segments(self) -> dict[int, int]:
        """The generation in which each segment of chunk ids last changed."""
        rows = self._db.execute("SELECT id, generation FROM segments").fetchall()
        return dict(_of_types(rows, (int, int), "the list of segments"))

    def chunk_ids(self, segments: range | None = None) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The ids (n,) of the chunks in some consecutive segments, or of all, in rising order."""
        first, end = (segments.start * SEGMENT_SIZE, segments.stop * SEGMENT_SIZE) if segments else (0, 2**63 - 1)
        rows = self._db.execute("SELECT id FROM chunks WHERE id >= ? AND id < ? ORDER BY id", (first, end))
        return np.fromiter((chunk_id for (chunk_id,) in rows), dtype=np.int64)

    def segment_vectors(self, segment: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Vectors]:
        """A segment's chunk ids (n,) and vectors (n, dimension)."""
        first = segment * SEGMENT_SIZE
        sql = "SELECT chunk_id, vector, checksum FROM vectors WHERE chunk_id BETWEEN ? AND ?"
        ids, data = array("q"), bytearray()
        for chunk_id, vector, expected in self._db.execute(sql, (first, first + SEGMENT_SIZE - 1)):
            _check_vector(chunk_id, vector, expected)
            ids.append(chunk_id)
            data += vector
        return np.array(ids, dtype=np.int64), np.frombuffer(data, dtype="<f4").reshape(len(ids), -1 if ids else 0)

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """(n,) chunk ids to their (n, dimension) vectors. Raises IndexDamaged for one that is not there."""
        sql = "SELECT vector, checksum FROM vectors WHERE chunk_id = ?"
        data = bytearray()
        for chunk_id in ids:
            vector, expected = _found(self._db.execute(sql, (chunk_id,)).fetchone(), f"the vector of chunk {chunk_id}")
            _check_vector(chunk_id, vector, expected)
            data += vector
        return np.frombuffer(data, dtype="<f4").reshape(len(ids), -1 if ids else 0)

    def dimension(self) -> int | None:
        """How long a vector is; None while there is none."""
        row = self._db.execute("SELECT length(vector) / 4 FROM vectors LIMIT 1").fetchone()
        return None if row is None else int(row[0])

    def derived_files(self) -> list[DerivedFile]:
        """The files of the derived indexes that belong to this generation."""
        rows = self._db.execute("SELECT * FROM derived_files ORDER BY name").fetchall()
        return [DerivedFile(*row) for row in _of_types(rows, (str, int, int, int), "the list of derived files")]

    def set_derived_files(self, files: Iterable[DerivedFile]) -> None:
        """Name the files that belong to the generation that is being made."""
        self._db.execute("DELETE FROM derived_files")
        self._db.executemany("INSERT INTO derived_files VALUES (?, ?, ?, ?)", files)

    def rows(self, sql: str) -> Iterator[Sequence[Any]]:
        """What a query gives, for `indexes.verify`."""
        return self._db.execute(sql)

    def _document_of(self, document_id: int) -> DocumentInfo:
        sql = f"SELECT {_DOCUMENT_COLUMNS} FROM documents WHERE id = ?"  # noqa: S608
        return _document(_found(self._db.execute(sql, (document_id,)).fetchone(), f"document {document_id}"))

    def _chunk(self, row: Sequence[Any], document: DocumentInfo) -> Chunk:
        chunk_id, document_id, heading, page, start, end, line, tokens, expected = row
        text = self.text(document_id, start, end) if isinstance(start, int) and isinstance(end, int) else ""
        _check(row[:-1], expected, f"chunk {chunk_id} of {document.source}", text.encode())
        about = (document.metadata, document.modified)
        return Chunk(text, document.source, document.title, heading, page, start, end, line, tokens, chunk_id, *about)

    def _seal(self, document_id: int) -> None:
        sql = f"SELECT {DOCUMENT_FACTS} FROM documents WHERE id = ?"  # noqa: S608
        row = self._db.execute(sql, (document_id,)).fetchone()
        self._db.execute("UPDATE documents SET checksum = ? WHERE id = ?", (checksum(row), document_id))

    def _next_chunk_id(self) -> int:
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'").fetchone()
        return 1 if row is None else int(row[0]) + 1

    def _touch_segments(self, chunk_ids: Iterable[int], generation: int) -> None:
        touched = {chunk_id // SEGMENT_SIZE for chunk_id in chunk_ids}
        self._db.executemany("INSERT OR REPLACE INTO segments VALUES (?, ?)", ((s, generation) for s in touched))


def _document(row: Sequence[Any]) -> DocumentInfo:
    document_id, source, title, content_hash, characters, chunks, tokens, metadata, modified, _, expected = row
    _check(row[:-1], expected, f"document {document_id} ({source})")
    return DocumentInfo(source, title, characters, chunks, tokens, content_hash, Metadata.parse(metadata), modified)


def _found(row: Any, what: str) -> Sequence[Any]:
    if row is None:
        raise IndexDamaged(f"{what} is missing")
    return row  # type: ignore[no-any-return]


def _of_types(rows: list[Any], types: Sequence[type], what: str) -> list[Any]:
    """Rows without a checksum, if they can be what they were."""
    if any(not isinstance(value, kind) for row in rows for value, kind in zip(row, types, strict=True)):
        raise IndexDamaged(f"{what} is not what it was")
    return rows


def _check_vector(chunk_id: int, vector: object, expected: object) -> None:
    if not isinstance(vector, bytes) or vector_checksum(chunk_id, vector) != expected:
        raise IndexDamaged(f"the vector of chunk {chunk_id} is not what it was")


def _check(row: Sequence[object], expected: object, what: str, data: bytes = b"") -> None:
    try:
        whole = checksum(row, data) == expected
    except TypeError:  # bytes where text or a number was
        whole = False
    if not whole:
        raise IndexDamaged(f"{what} is not what it was")
