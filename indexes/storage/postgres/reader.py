"""Reading the tables of an index in PostgreSQL with few statements, since each goes to the server and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from itertools import groupby
from typing import Any

from indexes.errors import IndexDamaged
from indexes.storage.sqlite import (
    CHUNK_FACTS,
    DOCUMENT_FACTS,
    TEXT_BLOCK,
    Condition,
    NodeRow,
    NodeRows,
    StoreReader,
    check_row,
    read_chunk,
    read_document,
    unpacked,
)
from indexes.types import Chunk, DocumentInfo, Table


class PostgresNodes(NodeRows):
    """Access to the nodes of an open database."""

    def of_chunks(self, chunk_ids: Iterable[int]) -> dict[int, NodeRow]:
        """Read the nodes of chunks, by chunk id, without those chunks that have none."""
        rows = self._db.execute("SELECT * FROM nodes WHERE chunk_id = ANY(?::bigint[])", (list(chunk_ids),))
        return {row[0]: self.checked(row) for row in rows}

    def scan(self, condition: Condition) -> Iterator[tuple[int, str, str, str]]:
        """Read the nodes that meet a condition on `n.metadata`, for a filter."""
        return super().scan(_in_text(condition))


class PostgresReader(StoreReader):
    """Read access to a database."""

    def chunks(self, ids: Iterable[int]) -> dict[int, Chunk]:
        """Read chunks, with a few statements for all of them, since each goes to the server and back.

        Args:
            ids: Their ids.

        Returns:
            The chunks by id, in the order of `ids`.

        Raises:
            IndexDamaged: If one is missing or is not what it was.
        """
        wanted = list(ids)
        rows = {row[0]: row for row in self._of_chunks(f"{CHUNK_FACTS}, checksum", "chunks c", wanted)}
        if missing := [i for i in wanted if i not in rows]:
            raise IndexDamaged(f"chunk {missing[0]} is missing")
        its = sorted({row[1] for row in rows.values()})
        documents = dict(self._documents("id = ANY(?::bigint[])", its))
        tables = self._tables_of(wanted)
        piece = f'generate_series(c."start" / {TEXT_BLOCK}, (c."end" - 1) / {TEXT_BLOCK})::int AS piece'
        where = f"SELECT DISTINCT document_id, {piece} FROM chunks c WHERE c.id = ANY(?::bigint[])"  # noqa: S608
        sql = f"SELECT document_id, piece, text FROM ({where}) AS places JOIN texts USING (document_id, piece)"  # noqa: S608
        texts = {row[:2]: row[2] for row in self._db.execute(sql, (wanted,))}

        @lru_cache(maxsize=2)
        def block(document_id: int, number: int) -> str:
            return unpacked(texts[document_id, number], document_id) if (document_id, number) in texts else ""

        return {
            i: read_chunk(rows[i], documents[rows[i][1]], partial(block, rows[i][1]), tables.get(i, ())) for i in wanted
        }

    def titles(self, chunk_ids: Iterable[int]) -> dict[int, tuple[str, str]]:
        """Read the sources and the titles of the documents of chunks; for the arguments see `StoreReader`."""
        wanted = list(chunk_ids)
        of = dict(self._of_chunks("c.id, c.document_id", "chunks c", wanted))
        documents = dict(self._documents("id = ANY(?::bigint[])", sorted(set(of.values()))))
        if missing := [i for i in wanted if of.get(i) not in documents]:
            raise IndexDamaged(f"chunk {missing[0]} is missing")
        return {i: (documents[of[i]].source, documents[of[i]].title) for i in wanted}

    def chunks_of_documents(self, ids: list[int]) -> Iterator[tuple[int, list[Chunk]]]:
        """Read the chunks of documents, with a few statements for all of them.

        Args:
            ids: The ids of the documents.

        Yields:
            The id and the chunks, in reading order, of each that has any.
        """
        sql = "SELECT id, document_id FROM chunks WHERE document_id = ANY(?::bigint[]) ORDER BY document_id, id"
        its = dict(self._db.execute(sql, (ids,)).fetchall())
        read = self.chunks(its) if its else {}
        for document_id, chunks in groupby(read.items(), key=lambda item: its[item[0]]):
            yield document_id, [chunk for _, chunk in chunks]

    def _of_chunks(self, columns: str, tables: str, ids: list[int], further: str = "") -> list[Any]:
        sql = f"SELECT {columns} FROM {tables} WHERE c.id = ANY(?::bigint[]) {further}"  # noqa: S608
        return self._db.execute(sql, (ids,)).fetchall()  # type: ignore[no-any-return]

    def _tables_of(self, ids: list[int]) -> dict[int, tuple[Table, ...]]:
        """The tables that each chunk has rows of."""
        found: dict[int, tuple[Table, ...]] = {}
        columns = 'c.id, document_id, t."start", t."end", t.header, t.checksum'
        overlap = 'AND t."start" < c."end" AND t."end" > c."start" ORDER BY t."start"'
        for chunk_id, *row, expected in self._of_chunks(
            columns, "chunks c JOIN tables t USING (document_id)", ids, overlap
        ):
            check_row(row, expected, f"a table of document {row[0]}")
            found[chunk_id] = (*found.get(chunk_id, ()), Table(*row[1:]))
        return found

    def _documents(self, where: str, *parameters: object, check: bool = True) -> Iterator[tuple[int, DocumentInfo]]:
        sql = f"SELECT {DOCUMENT_FACTS}, checksum FROM documents WHERE {where}"  # noqa: S608
        rows = self._db.execute(sql, parameters).fetchall()
        copies = self._copies_of([row[0] for row in rows])
        return ((row[0], read_document(row, copies.get(row[0], ()), check=check)) for row in rows)

    def _copies_of(self, ids: list[int]) -> dict[int, tuple[str, ...]]:
        """The sources of the copies of each document that has any, sorted."""
        found: dict[int, tuple[str, ...]] = {}
        sql = "SELECT document_id, source, checksum FROM copies WHERE document_id = ANY(?::bigint[]) ORDER BY source"
        for document_id, source, expected in self._db.execute(sql, (ids,)) if ids else ():
            check_row((document_id, source), expected, f"a copy of document {document_id}")
            found[document_id] = (*found.get(document_id, ()), source)
        return found

    def documents(self, after: int = 0) -> Iterator[tuple[int, DocumentInfo]]:
        """List all documents, sorted by source."""
        return self._documents("TRUE ORDER BY source")

    def documents_where(self, condition: Condition, *, check: bool = True) -> Iterator[tuple[int, DocumentInfo]]:
        """Select the documents whose row meets a condition; for the arguments see `Store`."""
        return super().documents_where(_in_text(condition), check=check)

    def chunk_ids_among(self, ids: Iterable[int]) -> set[int]:
        """Tell which chunks are there."""
        return {chunk_id for (chunk_id,) in self._of_chunks("c.id", "chunks c", list(ids))}

    def chunk_ids_where(self, condition: Condition) -> set[int]:
        """List the chunks of the documents whose row meets a condition."""
        return super().chunk_ids_where(_in_text(condition))


def _in_text(condition: Condition) -> Condition:
    """A condition with its parameters as text, which takes whatever type it stands beside."""
    return condition._replace(parameters=[str(value) for value in condition.parameters])
