"""Reading documents, their texts and chunks from the database; every row is checked against its checksum."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, NamedTuple

from indexes.errors import IndexDamaged
from indexes.metadata import Metadata
from indexes.sources import full_source
from indexes.storage.sqlite.checksums import check_row, found, of_types, text_checksum
from indexes.storage.sqlite.conditions import Condition
from indexes.storage.sqlite.nodes import NodeRows
from indexes.storage.sqlite.schema import CHUNK_FACTS, DOCUMENT_FACTS
from indexes.storage.sqlite.vectors import VectorRows
from indexes.types import Chunk, DocumentInfo

TEXT_BLOCK = 16_384  # characters of a document's text to one compressed row

_AT_ONCE = 500  # parameters of one statement

_DOCUMENT_COLUMNS = f"{DOCUMENT_FACTS}, checksum"
_CHUNK_COLUMNS = f"{CHUNK_FACTS}, checksum"


class DerivedFile(NamedTuple):
    """The record of a file of the dense or the lexical index.

    Attributes:
        name: Its path, relative to the index's folder.
        bytes: Its size.
        mtime_ns: When it was written, in nanoseconds.
        checksum: The CRC-32 of its content.
    """

    name: str
    bytes: int
    mtime_ns: int
    checksum: int


class KnownFile(NamedTuple):
    """The state of a document's file when it was read.

    Attributes:
        content_hash: A hash of its content.
        stamp: Its status; None where an equal status would not mean an equal file.
        modified: When it was last written; None for what is no file.
    """

    content_hash: str
    stamp: str | None
    modified: str | None


class StoreReader:
    """Read access to the documents, texts and chunks of an open database, in the transaction that it has open.

    Every method that reads documents, chunks or texts raises IndexDamaged for a row that does not match its checksum.

    Attributes:
        nodes: The table of llama-index nodes.
        vectors: The table of vectors.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.nodes = NodeRows(connection)
        self.vectors = VectorRows(connection)

    def generation(self) -> int:
        """The number of the newest publication; in a writer's transaction, of the one to come."""
        value = self.meta("generation") or ""
        if not value.isdecimal():
            raise IndexDamaged("its generation is no number")
        return int(value)

    def meta(self, key: str) -> str | None:
        """Read a setting of the whole index.

        Args:
            key: Its name, such as "encoder".

        Returns:
            Its value; None if it is not set.
        """
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def documents(self, after: int = 0) -> Iterator[tuple[int, DocumentInfo]]:
        """List documents.

        Args:
            after: The generation after which they were added; 0 for all documents.

        Returns:
            (id, document) of each, sorted by source.
        """
        # "+": SQLite would rather read all documents in this order than sort the few that are new.
        return self._documents("generation > ? ORDER BY +source", after)

    def documents_where(self, condition: Condition, *, check: bool = True) -> Iterator[tuple[int, DocumentInfo]]:
        """Select the documents whose row meets a condition.

        Args:
            condition: The condition on the row.
            check: Whether to check the rows against their checksums. A caller that will read the documents it chooses,
                and so check them, saves the time.

        Returns:
            (id, document) of each.
        """
        return self._documents(condition.sql, *condition.parameters, check=check)

    def document(self, source: str) -> tuple[int, DocumentInfo] | None:
        """Look a document up by its source.

        Args:
            source: The source.

        Returns:
            (id, document); None if there is none.
        """
        return next(self._documents("source = ?", source), None)

    def find_source(self, given: str | Path) -> str:
        """Resolve what a user calls a document.

        Args:
            given: The name of a document, or a path.

        Returns:
            `given`, if it is the source of a document; otherwise the absolute path.
        """
        return str(given) if self.document(str(given)) is not None else full_source(given)

    def check_absent(self, source: str) -> None:
        """Check, without the database's index of sources, that there is no document with a source.

        Args:
            source: A source by which no document was found.

        Raises:
            IndexDamaged: If there is one.
        """
        sql = "SELECT EXISTS (SELECT 1 FROM documents NOT INDEXED WHERE source = ?)"
        if self._db.execute(sql, (source,)).fetchone()[0]:
            raise IndexDamaged(f"{source} is there and is not found")

    def stamp(self, source: str) -> KnownFile | None:
        """Read by what a document is recognized as unchanged.

        Args:
            source: The source of the document.

        Returns:
            The state of its file when it was read; None if there is no such document.
        """
        sql = "SELECT content_hash, stamp, modified FROM documents WHERE source = ?"
        row = self._db.execute(sql, (source,)).fetchone()
        return None if row is None else KnownFile(*row)

    def removals(self, after: int) -> list[int]:
        """List removed documents that the lexical index may still contain.

        Args:
            after: The generation after which they were removed.

        Returns:
            Their ids.
        """
        rows = self._db.execute("SELECT document_id FROM removals WHERE generation > ?", (after,))
        return [document_id for (document_id,) in rows]

    def counts(self) -> tuple[int, int, int]:
        """The numbers of documents, chunks and tokens."""
        row = self._db.execute("SELECT count(*), total(chunks), total(tokens) FROM documents").fetchone()
        return int(row[0]), int(row[1]), int(row[2])

    def chunk_count(self) -> int:
        """The number of chunks."""
        return int(self._db.execute("SELECT count(*) FROM chunks").fetchone()[0])

    def is_empty(self) -> bool:
        """Whether there is no document."""
        return not self._db.execute("SELECT EXISTS (SELECT 1 FROM documents)").fetchone()[0]

    def chunks(self, ids: Iterable[int]) -> dict[int, Chunk]:
        """Read chunks.

        Args:
            ids: Their ids.

        Returns:
            The chunks by id, in the order of `ids`.

        Raises:
            IndexDamaged: If one is missing, since the search indexes have no others, or does not match its checksum.
        """
        sql = f"SELECT {_CHUNK_COLUMNS} FROM chunks WHERE id = ?"  # noqa: S608
        documents: dict[int, DocumentInfo] = {}
        chunks: dict[int, Chunk] = {}
        for chunk_id in ids:
            row = found(self._db.execute(sql, (chunk_id,)).fetchone(), f"chunk {chunk_id}")
            if row[1] not in documents:
                documents[row[1]] = self._document_of(row[1])
            chunks[chunk_id] = _chunk(row, documents[row[1]], partial(self._text_block, row[1]))
        return chunks

    def chunks_of(self, document_id: int) -> Iterator[Chunk]:
        """Read the chunks of a document.

        Args:
            document_id: The id of the document.

        Returns:
            The chunks, in reading order.
        """
        document = self._document_of(document_id)
        block = lru_cache(maxsize=2)(partial(self._text_block, document_id))  # decompressed once, not for each chunk
        sql = f"SELECT {_CHUNK_COLUMNS} FROM chunks WHERE document_id = ? ORDER BY id"  # noqa: S608
        return (_chunk(row, document, block) for row in self._db.execute(sql, (document_id,)))

    def chunk_ids_of(self, document_ids: Iterable[int]) -> set[int]:
        """List the chunks of documents.

        Args:
            document_ids: The ids of the documents.

        Returns:
            The ids of the chunks.
        """
        ids, found = iter(document_ids), set[int]()
        while some := list(islice(ids, _AT_ONCE)):
            found |= self.chunk_ids_where(Condition(f"id IN ({', '.join('?' * len(some))})", some))
        return found

    def chunk_ids_where(self, condition: Condition) -> set[int]:
        """List the chunks of the documents whose row meets a condition; the rows are not checked.

        Args:
            condition: The condition on a row of `documents`.

        Returns:
            The ids of the chunks.
        """
        documents = f"SELECT id FROM documents WHERE {condition.sql}"  # noqa: S608
        sql = f"SELECT id FROM chunks WHERE document_id IN ({documents})"  # noqa: S608
        return {chunk_id for (chunk_id,) in self._db.execute(sql, condition.parameters)}

    def chunks_around(self, chunk: Chunk, neighbours: int) -> list[Chunk]:
        """Read a chunk with its neighbours.

        Args:
            chunk: A chunk of the index.
            neighbours: How many chunks to read on either side, at most.

        Returns:
            The neighbours before it, the chunk, and those after it, in the order of the document.
        """
        [document_id] = self._db.execute("SELECT document_id FROM chunks WHERE id = ?", (chunk.id,)).fetchone()
        ids = "SELECT id FROM chunks WHERE document_id = ?"
        before = self._db.execute(
            f"{ids} AND id <= ? ORDER BY id DESC LIMIT ?", (document_id, chunk.id, neighbours + 1)
        )
        after = self._db.execute(f"{ids} AND id > ? ORDER BY id LIMIT ?", (document_id, chunk.id, neighbours))
        return list(self.chunks(i for [i] in [*reversed(before.fetchall()), *after.fetchall()]).values())

    def text_around(self, chunk_id: int, start: int, end: int) -> str:
        """Read a part of the document that a chunk belongs to.

        Args:
            chunk_id: The id of the chunk.
            start: The offset of the part in the document's text, in characters.
            end: The offset after it.

        Returns:
            `document.text[start:end]`.
        """
        [document_id] = self._db.execute("SELECT document_id FROM chunks WHERE id = ?", (chunk_id,)).fetchone()
        return _slice(partial(self._text_block, document_id), start, end)

    def whole_text(self, document_id: int) -> str:
        """Read the text of a document, and check it against its checksum.

        Args:
            document_id: The id of the document.

        Returns:
            The whole text.

        Raises:
            IndexDamaged: If it does not match its checksum.
        """
        row = self._db.execute("SELECT characters, text_checksum FROM documents WHERE id = ?", (document_id,))
        characters, expected = found(row.fetchone(), f"document {document_id}")
        text = _slice(partial(self._text_block, document_id), 0, characters)
        if text_checksum(text) != expected:
            raise IndexDamaged(f"the text of document {document_id} is not what it was")
        return text

    def text_of(self, source: str) -> str | None:
        """Read the text of the document with a source, and check it against its checksum.

        Args:
            source: The source of the document.

        Returns:
            The whole text; None if there is no such document.
        """
        there = self.document(source)
        if there is None:
            self.check_absent(source)
            return None
        return self.whole_text(there[0])

    def derived_files(self) -> list[DerivedFile]:
        """The files of the dense and the lexical index that belong to this generation."""
        rows = self._db.execute("SELECT * FROM derived_files ORDER BY name").fetchall()
        return [DerivedFile(*row) for row in of_types(rows, (str, int, int, int), "the list of derived files")]

    def rows(self, sql: str) -> Iterator[Sequence[Any]]:
        """Run any query, for `indexes.storage.verify`.

        Args:
            sql: The query.

        Returns:
            Its rows.
        """
        return self._db.execute(sql)

    def _documents(self, where: str, *parameters: object, check: bool = True) -> Iterator[tuple[int, DocumentInfo]]:
        sql = f"SELECT {_DOCUMENT_COLUMNS} FROM documents WHERE {where}"  # noqa: S608
        return ((row[0], _document(row, check)) for row in self._db.execute(sql, parameters))

    def _document_of(self, document_id: int) -> DocumentInfo:
        row = next(self._documents("id = ?", document_id), None)
        return found(row, f"document {document_id}")[1]  # type: ignore[no-any-return]

    def _text_block(self, document_id: int, number: int) -> str:
        """One of the blocks that a document's text is stored in; empty after the last."""
        sql = "SELECT text FROM texts WHERE document_id = ? AND piece = ?"
        row = self._db.execute(sql, (document_id, number)).fetchone()
        try:
            return "" if row is None else zlib.decompress(row[0]).decode()
        except (zlib.error, UnicodeDecodeError, TypeError) as error:
            raise IndexDamaged(f"the text of document {document_id} is damaged ({error})") from error


def _slice(block: Callable[[int], str], start: int, end: int) -> str:
    """A text's characters from `start` to `end`, from its blocks."""
    first, last = start // TEXT_BLOCK, (end - 1) // TEXT_BLOCK
    text = "".join(takewhile(bool, map(block, range(first, last + 1))))
    return text[start - first * TEXT_BLOCK : end - first * TEXT_BLOCK]


def _chunk(row: Sequence[Any], document: DocumentInfo, block: Callable[[int], str]) -> Chunk:
    chunk_id, _, heading, page, start, end, line, tokens, expected = row
    text = _slice(block, start, end) if isinstance(start, int) and isinstance(end, int) else ""
    check_row(row[:-1], expected, f"chunk {chunk_id} of {document.source}", text.encode())
    about = (document.metadata, document.modified)
    return Chunk(text, document.source, document.title, heading, page, start, end, line, tokens, chunk_id, *about)


def _document(row: Sequence[Any], check: bool) -> DocumentInfo:
    if check:
        check_row(row[:-1], row[-1], f"document {row[0]} ({row[1]})")
    _, source, title, content_hash, characters, chunks, tokens, metadata, modified, _, _ = row
    return DocumentInfo(source, title, characters, chunks, tokens, content_hash, Metadata.parse(metadata), modified)
