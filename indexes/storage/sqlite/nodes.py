"""The rows behind llama-index's nodes. A part of the store; knows no llama-index.

A node that was added through llama-index is a chunk with a row in `nodes`; a file's chunk has none.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from indexes.errors import IndexDamaged
from indexes.types import Spot

_OF_DOCUMENTS = "nodes n JOIN chunks c ON c.id = n.chunk_id JOIN documents d ON d.id = c.document_id"


class NodeRow(NamedTuple):
    """A row: `metadata` and `rest` are JSON."""

    chunk_id: int
    node_id: str
    metadata: str
    rest: str


class ScannedNode(NamedTuple):
    """What a filter looks at: the node's id, its document's source, its metadata as JSON."""

    chunk_id: int
    node_id: str
    source: str
    metadata: str


class NodeRows:
    """The nodes of an open database. What changes it belongs in a writer's batch.

    Rows are checked against their checksums when they are read, as the store's are: IndexDamaged.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def add(self, rows: Iterable[NodeRow]) -> None:
        """Add the nodes of chunks that are there already."""
        self._db.executemany(
            "INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?)",
            ((*row, _checksum(row.node_id, row.metadata), _checksum(row.node_id, row.rest)) for row in rows),
        )

    def of_chunks(self, chunk_ids: Iterable[int]) -> dict[int, NodeRow]:
        """The nodes of those chunks that have one, by chunk id."""
        sql = "SELECT * FROM nodes WHERE chunk_id = ?"
        rows = (self._db.execute(sql, (chunk_id,)).fetchone() for chunk_id in chunk_ids)
        return {row[0]: _checked(row) for row in rows if row is not None}

    def places(self, node_ids: Iterable[str]) -> Iterator[tuple[int, str]]:
        """(chunk id, source of its document) of each node that is there."""
        sql = f"SELECT n.chunk_id, d.source FROM {_OF_DOCUMENTS} WHERE n.node_id = ?"  # noqa: S608
        rows = (self._db.execute(sql, (node_id,)).fetchone() for node_id in node_ids)
        return (row for row in rows if row is not None)

    def scan(self, condition: tuple[str, list[Any]]) -> Iterator[ScannedNode]:
        """Every node that meets the condition on `n.metadata`, for a filter to look at."""
        columns = "n.chunk_id, n.node_id, d.source, n.metadata, n.metadata_checksum"
        sql = f"SELECT {columns} FROM {_OF_DOCUMENTS} WHERE {condition[0]}"  # noqa: S608
        for chunk_id, node_id, source, metadata, expected in self._db.execute(sql, condition[1]):
            _check(node_id, metadata, expected)
            yield ScannedNode(chunk_id, node_id, source, metadata)

    def read_all(self) -> None:
        """Read every row, to have it checked."""
        for row in self._db.execute("SELECT * FROM nodes"):
            _checked(row)

    def chunk_ids(self, document_id: int) -> Iterator[int]:
        """The chunks of a document, in order."""
        rows = self._db.execute("SELECT id FROM chunks WHERE document_id = ? ORDER BY id", (document_id,))
        return (chunk_id for (chunk_id,) in rows)

    def all_chunk_ids(self) -> Iterator[int]:
        """All chunks, files' too, in the order in which they came."""
        return (chunk_id for (chunk_id,) in self._db.execute("SELECT id FROM chunks ORDER BY id"))

    def spots(self, document_id: int) -> Iterator[Spot]:
        """Where the chunks of a document stand in it, for a filter to look at."""
        sql = 'SELECT id, heading, page, line, "start", "end" FROM chunks WHERE document_id = ? ORDER BY id'
        return map(Spot._make, self._db.execute(sql, (document_id,)))


def _checksum(node_id: str, text: str) -> int:
    return zlib.crc32(text.encode(), zlib.crc32(node_id.encode()))


def _checked(row: Sequence[object]) -> NodeRow:
    chunk_id, node_id, metadata, rest, metadata_checksum, rest_checksum = row
    _check(node_id, metadata, metadata_checksum)
    _check(node_id, rest, rest_checksum)
    return NodeRow(chunk_id, node_id, metadata, rest)  # type: ignore[arg-type]


def _check(node_id: object, text: object, expected: object) -> None:
    if not isinstance(node_id, str) or not isinstance(text, str) or _checksum(node_id, text) != expected:
        raise IndexDamaged(f"the node {node_id!r} is not what it was")
