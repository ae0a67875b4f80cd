"""The table of llama-index nodes: a node that was added through llama-index is a chunk with a row in it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from indexes.errors import IndexDamaged
from indexes.storage.sqlite.conditions import Condition
from indexes.storage.sqlite.documents import Connection
from indexes.types import ChunkPosition

_OF_DOCUMENTS = "nodes n JOIN chunks c ON c.id = n.chunk_id JOIN documents d ON d.id = c.document_id"


class NodeRow(NamedTuple):
    """A llama-index node in the table `nodes`.

    Attributes:
        chunk_id: The id of its chunk, which has its text.
        node_id: llama-index's id of the node.
        metadata: Its metadata, as JSON.
        rest: The other fields of the node, as JSON.
    """

    chunk_id: int
    node_id: str
    metadata: str
    rest: str


class NodeRows:
    """Access to the nodes of an open database.

    Every method that reads raises IndexDamaged for a row that does not match its checksum.
    """

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, rows: Iterable[NodeRow]) -> None:
        """Add the nodes of chunks that are in the store already.

        Args:
            rows: The nodes.
        """
        self._db.executemany(
            "INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?)",
            ((*row, _checksum(row.node_id, row.metadata), _checksum(row.node_id, row.rest)) for row in rows),
        )

    def of_chunks(self, chunk_ids: Iterable[int]) -> dict[int, NodeRow]:
        """Read the nodes of chunks.

        Args:
            chunk_ids: The ids of the chunks.

        Returns:
            The nodes by chunk id, without those chunks that have none.
        """
        sql = "SELECT * FROM nodes WHERE chunk_id = ?"
        rows = (self._db.execute(sql, (chunk_id,)).fetchone() for chunk_id in chunk_ids)
        return {row[0]: self.checked(row) for row in rows if row is not None}

    def places(self, node_ids: Iterable[str]) -> Iterator[tuple[int, str]]:
        """Find where nodes are.

        Args:
            node_ids: llama-index's ids of the nodes.

        Returns:
            (chunk id, source of the document) of each that exists.
        """
        sql = f"SELECT n.chunk_id, d.source FROM {_OF_DOCUMENTS} WHERE n.node_id = ?"  # noqa: S608
        rows = (self._db.execute(sql, (node_id,)).fetchone() for node_id in node_ids)
        return (row for row in rows if row is not None)

    def scan(self, condition: Condition) -> Iterator[tuple[int, str, str, str]]:
        """Read the nodes that meet a condition on `n.metadata`, for a filter.

        Args:
            condition: The condition.

        Yields:
            (chunk id, node id, source of the document, metadata as JSON) of each.
        """
        columns = "n.chunk_id, n.node_id, d.source, n.metadata, n.metadata_checksum"
        sql = f"SELECT {columns} FROM {_OF_DOCUMENTS} WHERE {condition.sql}"  # noqa: S608
        for chunk_id, node_id, source, metadata, expected in self._db.execute(sql, condition.parameters):
            _check(node_id, metadata, expected)
            yield chunk_id, node_id, source, metadata

    @staticmethod
    def checked(row: Sequence[object]) -> NodeRow:
        """Check a row of the table.

        Args:
            row: The row.

        Returns:
            The node.

        Raises:
            IndexDamaged: If it is not what it was.
        """
        chunk_id, node_id, metadata, rest, metadata_checksum, rest_checksum = row
        _check(node_id, metadata, metadata_checksum)
        _check(node_id, rest, rest_checksum)
        return NodeRow(chunk_id, node_id, metadata, rest)  # type: ignore[arg-type]

    def read_all(self) -> None:
        """Check every row against its checksums."""
        for row in self._db.execute("SELECT * FROM nodes"):
            self.checked(row)

    def chunk_positions(self, document_id: int) -> Iterator[ChunkPosition]:
        """Read the positions of a document's chunks.

        Args:
            document_id: The id of the document.

        Returns:
            The positions, in order.
        """
        sql = 'SELECT id, heading, page, line, "start", "end" FROM chunks WHERE document_id = ? ORDER BY id'
        return map(ChunkPosition._make, self._db.execute(sql, (document_id,)))


def _checksum(node_id: str, text: str) -> int:
    return zlib.crc32(text.encode(), zlib.crc32(node_id.encode()))


def _check(node_id: object, text: object, expected: object) -> None:
    if not isinstance(node_id, str) or not isinstance(text, str) or _checksum(node_id, text) != expected:
        raise IndexDamaged(f"the node {node_id!r} is not what it was")
