"""The corpus in SQLite: documents, their text, chunks, vectors. The one source of truth of an index.

A document is in it wholly or not at all. Every change raises the store's *generation*; the dense and lexical indexes
carry the generation that they reflect and catch up from here. Knows no encoder and no search.
"""

from __future__ import annotations

import sqlite3
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from indexes.errors import CorpusError, IndexDamaged, IndexMismatch
from indexes.metadata import Metadata
from indexes.node_table import NODE_SCHEMA, NodeTable
from indexes.types import Chunk, Document, DocumentInfo, Vectors

FORMAT_VERSION = 2
SEGMENT_SIZE = 16_384  # chunk ids to one segment of the dense index: its unit of rebuilding, held in memory then

_PIECE = 16_384  # characters of a document's text to one compressed row
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('generation', '0');
-- AUTOINCREMENT: an id that was removed never comes back, so a derived index cannot mistake one document for another.
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL UNIQUE, title TEXT NOT NULL, content_hash TEXT NOT NULL,
    characters INTEGER NOT NULL, chunks INTEGER NOT NULL, tokens INTEGER NOT NULL, generation INTEGER NOT NULL,
    metadata TEXT NOT NULL DEFAULT '{}', modified TEXT
) STRICT;
CREATE TABLE texts (
    document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE, piece INTEGER NOT NULL, text BLOB NOT NULL,
    PRIMARY KEY (document_id, piece)
) STRICT, WITHOUT ROWID;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    heading TEXT NOT NULL, page INTEGER, "start" INTEGER NOT NULL, "end" INTEGER NOT NULL, line INTEGER NOT NULL,
    tokens INTEGER NOT NULL
) STRICT;
CREATE INDEX chunks_of_document ON chunks (document_id);
CREATE TABLE vectors (chunk_id INTEGER PRIMARY KEY REFERENCES chunks ON DELETE CASCADE, vector BLOB NOT NULL) STRICT;
-- What the derived indexes need to catch up: documents taken out, and when each range of chunk ids last changed.
CREATE TABLE removals (document_id INTEGER PRIMARY KEY, generation INTEGER NOT NULL) STRICT;
CREATE TABLE segments (id INTEGER PRIMARY KEY, generation INTEGER NOT NULL) STRICT;
"""
_DOCUMENT_COLUMNS = "id, source, title, characters, chunks, tokens, content_hash, metadata, modified"
_CHUNKS = "chunks c JOIN documents d ON d.id = c.document_id"
_CHUNK_COLUMNS = (
    'c.id, c.document_id, d.source, d.title, c.heading, c.page, c."start", c."end", c.line, c.tokens,'
    " d.metadata, d.modified"
)


class Store:
    """An open database. `Store.open` makes or opens one; every method that changes it belongs in a `transaction`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.nodes = NodeTable(connection)

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open the database at `path`, or make it. Raises IndexDamaged and IndexMismatch."""
        # Threads may share a Store: SQLite serialises the calls, and CorpusIndex allows one writer at a time.
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA foreign_keys = ON")
            _check_format(connection, path)
        except sqlite3.OperationalError as error:
            connection.close()
            raise CorpusError(f"{path} cannot be opened: {error}") from error
        except sqlite3.DatabaseError as error:
            connection.close()
            raise IndexDamaged(
                f"{path} is not a whole database ({error}): put a copy of it back, "
                "or delete its folder and ingest again"
            ) from error
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[int]:
        """All changes inside are kept together or not at all; yields the generation that they make."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            generation = self.generation() + 1
            self.set_meta("generation", str(generation))
            yield generation
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def generation(self) -> int:
        """The number of changes so far."""
        return int(self.meta("generation") or 0)

    def meta(self, key: str) -> str | None:
        """A fact about the index as a whole."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Remember a fact about the index as a whole."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def add_document(self, document: Document, content_hash: str, generation: int) -> int:
        """Put a document in, without its chunks; returns its id. One with the same source must have been removed."""
        about = (document.metadata.json, document.modified)
        row = (document.source, document.title, content_hash, len(document.text), generation, *about)
        document_id = self._db.execute(
            "INSERT INTO documents"
            " (source, title, content_hash, characters, generation, metadata, modified, chunks, tokens)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0)",
            row,
        ).lastrowid
        assert document_id is not None
        pieces = (
            (document_id, number, zlib.compress(document.text[start : start + _PIECE].encode(), 1))
            for number, start in enumerate(range(0, len(document.text), _PIECE))
        )
        self._db.executemany("INSERT INTO texts VALUES (?, ?, ?)", pieces)
        return document_id

    def add_chunks(self, document_id: int, chunks: Sequence[Chunk], vectors: Vectors, generation: int) -> range:
        """Add (n,) chunks of a document with their (n, dimension) vectors; returns their ids."""
        first = self._next_chunk_id()
        ids = range(first, first + len(chunks))
        self._db.executemany(
            "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (i, document_id, c.heading, c.page, c.start, c.end, c.line, c.tokens)
                for i, c in zip(ids, chunks, strict=True)
            ),
        )
        rows = ((i, vector.astype("<f4").tobytes()) for i, vector in zip(ids, vectors, strict=True))
        self._db.executemany("INSERT INTO vectors VALUES (?, ?)", rows)
        self._db.execute(
            "UPDATE documents SET chunks = chunks + ?, tokens = tokens + ? WHERE id = ?",
            (len(chunks), sum(chunk.tokens for chunk in chunks), document_id),
        )
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
        sql = f"SELECT {_DOCUMENT_COLUMNS} FROM documents WHERE generation > ? ORDER BY source"  # noqa: S608
        return ((row[0], _document(row)) for row in self._db.execute(sql, (after,)))

    def document(self, source: str) -> tuple[int, DocumentInfo] | None:
        """(id, document) of the one with that source."""
        sql = f"SELECT {_DOCUMENT_COLUMNS} FROM documents WHERE source = ?"  # noqa: S608
        row = self._db.execute(sql, (source,)).fetchone()
        return None if row is None else (row[0], _document(row))

    def removals(self, after: int) -> list[int]:
        """Ids of the documents taken out after generation `after`."""
        rows = self._db.execute("SELECT document_id FROM removals WHERE generation > ?", (after,))
        return [document_id for (document_id,) in rows]

    def counts(self) -> tuple[int, int, int]:
        """Documents, chunks and tokens."""
        row = self._db.execute("SELECT count(*), total(chunks), total(tokens) FROM documents").fetchone()
        return int(row[0]), int(row[1]), int(row[2])

    def is_empty(self) -> bool:
        """Whether there is no document."""
        return not self._db.execute("SELECT EXISTS (SELECT 1 FROM documents)").fetchone()[0]

    def chunks(self, ids: Iterable[int]) -> dict[int, Chunk]:
        """Chunks by id. An id that is not there, because its document has gone, is left out."""
        found = {}
        for chunk_id in ids:
            sql = f"SELECT {_CHUNK_COLUMNS} FROM {_CHUNKS} WHERE c.id = ?"  # noqa: S608
            if row := self._db.execute(sql, (chunk_id,)).fetchone():
                found[chunk_id] = self._chunk(row)
        return found

    def chunks_of(self, document_id: int) -> Iterator[Chunk]:
        """A document's chunks, in order."""
        sql = f"SELECT {_CHUNK_COLUMNS} FROM {_CHUNKS} WHERE d.id = ? ORDER BY c.id"  # noqa: S608
        return (self._chunk(row) for row in self._db.execute(sql, (document_id,)))

    def chunk_ids_of(self, document_ids: Iterable[int]) -> set[int]:
        """The ids of the chunks of some documents."""
        sql = "SELECT id FROM chunks WHERE document_id = ?"
        return {chunk_id for document_id in document_ids for (chunk_id,) in self._db.execute(sql, (document_id,))}

    def widened(self, chunk: Chunk, neighbours: int) -> Chunk:
        """A chunk with up to so many before it and after it in its document; id and heading are its own."""
        [document_id] = self._db.execute("SELECT document_id FROM chunks WHERE id = ?", (chunk.id,)).fetchone()
        columns = 'SELECT "start", "end", page, line, tokens FROM chunks WHERE document_id = ?'
        before = self._db.execute(
            f"{columns} AND id <= ? ORDER BY id DESC LIMIT ?", (document_id, chunk.id, neighbours + 1)
        )
        after = self._db.execute(f"{columns} AND id > ? ORDER BY id LIMIT ?", (document_id, chunk.id, neighbours))
        rows = [*reversed(before.fetchall()), *after.fetchall()]
        start, end = rows[0][0], rows[-1][1]
        text, tokens = self.text(document_id, start, end), sum(row[4] for row in rows)
        return replace(chunk, text=text, start=start, end=end, page=rows[0][2], line=rows[0][3], tokens=tokens)

    def text(self, document_id: int, start: int, end: int) -> str:
        """`document.text[start:end]`."""
        first = start // _PIECE
        rows = self._db.execute(
            "SELECT text FROM texts WHERE document_id = ? AND piece BETWEEN ? AND ? ORDER BY piece",
            (document_id, first, max(first, (end - 1) // _PIECE)),
        )
        text = "".join(zlib.decompress(blob).decode() for (blob,) in rows)
        return text[start - first * _PIECE : end - first * _PIECE]

    def segments(self) -> dict[int, int]:
        """The generation in which each segment of chunk ids last changed."""
        return dict(self._db.execute("SELECT id, generation FROM segments").fetchall())

    def segment_vectors(self, segment: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Vectors]:
        """A segment's chunk ids (n,) and vectors (n, dimension)."""
        first = segment * SEGMENT_SIZE
        sql = "SELECT chunk_id, vector FROM vectors WHERE chunk_id BETWEEN ? AND ?"
        ids, data = array("q"), bytearray()
        for chunk_id, vector in self._db.execute(sql, (first, first + SEGMENT_SIZE - 1)):
            ids.append(chunk_id)
            data += vector
        return np.array(ids, dtype=np.int64), np.frombuffer(data, dtype="<f4").reshape(len(ids), -1 if ids else 0)

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """(n,) chunk ids to their (n, dimension) vectors. Each must be there."""
        sql = "SELECT vector FROM vectors WHERE chunk_id = ?"
        rows = [self._db.execute(sql, (chunk_id,)).fetchone()[0] for chunk_id in ids]
        return np.frombuffer(b"".join(rows), dtype="<f4").reshape(len(rows), -1 if rows else 0)

    def dimension(self) -> int | None:
        """How long a vector is; None while there is none."""
        row = self._db.execute("SELECT length(vector) / 4 FROM vectors LIMIT 1").fetchone()
        return None if row is None else int(row[0])

    def problems(self) -> list[str]:
        """What SQLite finds wrong with the file, and rows that do not fit each other."""
        found = [str(row[0]) for row in self._db.execute("PRAGMA integrity_check(10)") if row[0] != "ok"]
        found += [f"row of {row[0]} without its {row[2]}" for row in self._db.execute("PRAGMA foreign_key_check")]
        checks = {
            "chunks without a vector": "SELECT count(*) FROM chunks WHERE id NOT IN (SELECT chunk_id FROM vectors)",
            "documents whose chunks do not add up": "SELECT count(*) FROM documents d WHERE chunks !="
            " (SELECT count(*) FROM chunks WHERE document_id = d.id)",
            "chunks that reach outside their document": "SELECT count(*) FROM chunks c JOIN documents d ON"
            ' d.id = c.document_id WHERE c."start" < 0 OR c."end" < c."start" OR c."end" > d.characters',
        }
        counts = {what: self._db.execute(sql).fetchone()[0] for what, sql in checks.items()}
        return found + [f"{count} {what}" for what, count in counts.items() if count]

    def _chunk(self, row: Sequence[Any]) -> Chunk:
        chunk_id, document_id, source, title, heading, page, start, end, line, tokens, metadata, modified = row
        about = (Metadata.parse(metadata), modified)
        return Chunk(
            self.text(document_id, start, end), source, title, heading, page, start, end, line, tokens, chunk_id, *about
        )

    def _next_chunk_id(self) -> int:
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'").fetchone()
        return 1 if row is None else int(row[0]) + 1

    def _touch_segments(self, chunk_ids: Iterable[int], generation: int) -> None:
        touched = {chunk_id // SEGMENT_SIZE for chunk_id in chunk_ids}
        self._db.executemany("INSERT OR REPLACE INTO segments VALUES (?, ?)", ((s, generation) for s in touched))


def _document(row: Sequence[Any]) -> DocumentInfo:
    _, source, title, characters, chunks, tokens, content_hash, metadata, modified = row
    return DocumentInfo(source, title, characters, chunks, tokens, content_hash, Metadata.parse(metadata), modified)


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        connection.executescript(
            f"BEGIN IMMEDIATE; {_SCHEMA} {NODE_SCHEMA} PRAGMA user_version = {FORMAT_VERSION}; COMMIT;"
        )
    elif version != FORMAT_VERSION:
        raise IndexMismatch(
            f"{path} has format {version} and this longctx knows format {FORMAT_VERSION}: upgrade longctx "
            "(pip install -U longctx), or ingest into a new index"
        )
