"""Reading chunks and texts from the database; every row is checked against its checksum."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import takewhile
from typing import Any

from indexes.errors import IndexDamaged
from indexes.sources import is_file
from indexes.storage.sqlite.checksums import check_row, found, text_checksum
from indexes.storage.sqlite.conditions import Condition, with_ids
from indexes.storage.sqlite.documents import Connection, DocumentReader
from indexes.storage.sqlite.nodes import NodeRows
from indexes.storage.sqlite.schema import CHUNK_FACTS
from indexes.storage.sqlite.vectors import VectorRows
from indexes.text import CleanText, clean
from indexes.types import Chunk, DocumentInfo, Table, tables_between

TEXT_BLOCK = 16_384  # characters of a document's text to one compressed row

_CHUNK_COLUMNS = f"{CHUNK_FACTS}, checksum"


class StoreReader(DocumentReader):
    """Read access to the documents, texts and chunks of an open database, in the transaction that it has open.

    Every method that reads documents, chunks or texts raises IndexDamaged for a row that does not match its checksum.

    Attributes:
        nodes: The table of llama-index nodes.
        vectors: The table of vectors.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.nodes = NodeRows(connection)
        self.vectors = VectorRows(connection)

    def chunk_count(self) -> int:
        """The number of chunks."""
        return int(self._db.execute("SELECT count(*) FROM chunks").fetchone()[0])

    def chunks(self, ids: Iterable[int]) -> dict[int, Chunk]:
        """Read chunks.

        Args:
            ids: Their ids.

        Returns:
            The chunks by id, in the order of `ids`.

        Raises:
            IndexDamaged: If one is missing, since the search indexes have no others, or does not match its checksum.
        """
        ids = [*ids]
        rows = self._chunk_rows(_CHUNK_COLUMNS, ids)
        documents = self._documents_of({row[1] for row in rows.values()})
        [[has_tables]] = self._db.execute("SELECT EXISTS (SELECT 1 FROM tables)")
        chunks: dict[int, Chunk] = {}
        for chunk_id in ids:
            row = rows[chunk_id]
            tables = self.tables(row[1], row[4], row[5]) if has_tables else ()
            chunks[chunk_id] = read_chunk(row, documents[row[1]], partial(self._text_block, row[1]), tables)
        return chunks

    def titles(self, chunk_ids: Iterable[int]) -> dict[int, tuple[str, str]]:
        """Read the sources and the titles of the documents of chunks, without texts.

        Args:
            chunk_ids: The ids of the chunks.

        Returns:
            The source and the title of the document of each chunk.

        Raises:
            IndexDamaged: If a chunk or a document is missing, or a document does not match its checksum.
        """
        rows = self._chunk_rows("id, document_id", [*chunk_ids])
        documents = self._documents_of({document_id for _, document_id in rows.values()})
        titles: dict[int, tuple[str, str]] = {}
        for chunk_id, document_id in rows.values():
            document = documents[document_id]
            titles[chunk_id] = document.source, document.title
        return titles

    def chunks_of(self, document_id: int) -> Iterator[Chunk]:
        """Read the chunks of a document.

        Args:
            document_id: The id of the document.

        Returns:
            The chunks, in reading order.
        """
        document = self._documents_of([document_id])[document_id]
        block = lru_cache(maxsize=2)(partial(self._text_block, document_id))  # decompressed once, not for each chunk
        sql = f"SELECT {_CHUNK_COLUMNS} FROM chunks WHERE document_id = ? ORDER BY id"  # noqa: S608
        tables = self.tables(document_id)
        rows = self._db.execute(sql, (document_id,))
        return (read_chunk(row, document, block, tables_between(tables, row[4], row[5])) for row in rows)

    def tables(self, document_id: int, start: int = 0, end: int = 2**62) -> tuple[Table, ...]:
        """Read the tables that have rows in a part of a document.

        Args:
            document_id: The id of the document.
            start: The offset of the part in the document's text.
            end: The offset after it.

        Returns:
            The tables, in order.
        """
        sql = 'SELECT "start", "end", header, checksum FROM tables WHERE document_id = ? AND "start" < ? AND "end" > ?'
        rows = self._db.execute(f'{sql} ORDER BY "start"', (document_id, end, start)).fetchall()
        for *row, expected in rows:
            check_row((document_id, *row), expected, f"a table of document {document_id}")
        return tuple(Table(*row[:3]) for row in rows)

    def chunk_ids_of(self, document_ids: Iterable[int]) -> set[int]:
        """List the chunks of documents.

        Args:
            document_ids: The ids of the documents.

        Returns:
            The ids of the chunks.
        """
        each = map(self.chunk_ids_where, with_ids("id", document_ids))
        return set[int]().union(*each)

    def chunk_ids_among(self, ids: Iterable[int]) -> set[int]:
        """Tell which chunks are there.

        Args:
            ids: Ids of chunks that may have been removed.

        Returns:
            The ids of those that have not.
        """
        found = set[int]()
        for condition in with_ids("id", ids):
            sql = f"SELECT id FROM chunks WHERE {condition.sql}"  # noqa: S608
            found |= {chunk_id for (chunk_id,) in self._db.execute(sql, condition.parameters)}
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
        document_id = self._document_id(chunk.id)
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
            `document.text[start:end]`, as it is in the document.
        """
        document_id = self._document_id(chunk_id)
        return text_slice(partial(self._text_block, document_id), start, end)

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
        text = text_slice(partial(self._text_block, document_id), 0, characters)
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

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Sequence[Any]]:
        """Run any query, for `indexes.storage.verify`.

        Args:
            sql: The query.
            values: What its question marks stand for.

        Returns:
            Its rows.
        """
        rows: Iterator[Sequence[Any]] = self._db.execute(sql, values)
        return rows

    def _chunk_rows(self, columns: str, ids: Sequence[int]) -> dict[int, Sequence[Any]]:
        """Columns of chunks, the id first, by id; the chunks must be there."""
        rows: dict[int, Sequence[Any]] = {}
        for condition in with_ids("id", ids):
            sql = f"SELECT {columns} FROM chunks WHERE {condition.sql}"  # noqa: S608
            rows |= {row[0]: row for row in self._db.execute(sql, condition.parameters)}
        return {each: found(rows.get(each), f"chunk {each}") for each in ids}

    def _document_id(self, chunk_id: int) -> int:
        row = self._db.execute("SELECT document_id FROM chunks WHERE id = ?", (chunk_id,)).fetchone()
        return int(found(row, f"chunk {chunk_id}")[0])

    def _text_block(self, document_id: int, number: int) -> str:
        """One of the blocks that a document's text is stored in; empty after the last."""
        sql = "SELECT text FROM texts WHERE document_id = ? AND piece = ?"
        row = self._db.execute(sql, (document_id, number)).fetchone()
        return "" if row is None else unpacked(row[0], document_id)


def unpacked(data: bytes, document_id: int) -> str:
    """Unpack a block of a document's text.

    Args:
        data: The block as it is stored.
        document_id: The id of the document.

    Returns:
        The text.

    Raises:
        IndexDamaged: If it is damaged.
    """
    try:
        return zlib.decompress(data).decode()
    except (zlib.error, UnicodeDecodeError, TypeError) as error:
        raise IndexDamaged(f"the text of document {document_id} is damaged ({error})") from error


def text_slice(block: Callable[[int], str], start: int, end: int) -> str:
    """A text's characters from `start` to `end`, from its blocks."""
    first, last = start // TEXT_BLOCK, (end - 1) // TEXT_BLOCK
    text = "".join(takewhile(bool, map(block, range(first, last + 1))))
    return text[start - first * TEXT_BLOCK : end - first * TEXT_BLOCK]


def read_chunk(
    row: Sequence[Any], document: DocumentInfo, block: Callable[[int], str], tables: tuple[Table, ...]
) -> Chunk:
    """Make a chunk from its row, and check it against its checksum.

    Args:
        row: The row: CHUNK_FACTS and the checksum.
        document: Its document.
        block: Reads a block of the document's text.
        tables: The tables that it has rows of.

    Returns:
        The chunk.

    Raises:
        IndexDamaged: If the row or the text is not what it was.
    """
    chunk_id, _, heading, page, start, end, line, tokens, expected = row
    original = text_slice(block, start, end) if isinstance(start, int) and isinstance(end, int) else ""
    check_row(row[:-1], expected, f"chunk {chunk_id} of {document.source}", original.encode())
    # a node of llama-index is returned as it was given
    cleaned = clean(original) if is_file(document.source) else CleanText(original)
    return Chunk(
        cleaned.text,
        document.source,
        document.title,
        heading,
        page,
        start,
        end,
        line,
        tokens,
        chunk_id,
        document.metadata,
        document.modified,
        cleaned.shifts,
        tables,
        document.copies,
    )
