"""The table of what llama-index's nodes hold beyond a chunk. A part of the store; knows no llama-index.

A node that was added through llama-index is a chunk with a row here; a file's chunk has none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

NAMESPACE = "llama-index:"  # before a llama-index document's id, in its source: no path of a file begins so

NODE_SCHEMA = """
CREATE TABLE nodes (
    chunk_id INTEGER PRIMARY KEY REFERENCES chunks ON DELETE CASCADE, node_id TEXT NOT NULL UNIQUE,
    metadata TEXT NOT NULL, rest TEXT NOT NULL
) STRICT;
"""
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


class NodeTable:
    """The nodes of an open database. What changes it belongs in a transaction of the store."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def add(self, rows: Iterable[NodeRow]) -> None:
        """Add the nodes of chunks that are there already."""
        self._db.executemany("INSERT INTO nodes VALUES (?, ?, ?, ?)", rows)

    def of_chunks(self, chunk_ids: Iterable[int]) -> dict[int, NodeRow]:
        """The nodes of those chunks that have one, by chunk id."""
        sql = "SELECT chunk_id, node_id, metadata, rest FROM nodes WHERE chunk_id = ?"
        rows = (self._db.execute(sql, (chunk_id,)).fetchone() for chunk_id in chunk_ids)
        return {row[0]: NodeRow(*row) for row in rows if row is not None}

    def places(self, node_ids: Iterable[str]) -> Iterator[tuple[int, str]]:
        """(chunk id, source of its document) of each node that is there."""
        sql = f"SELECT n.chunk_id, d.source FROM {_OF_DOCUMENTS} WHERE n.node_id = ?"  # noqa: S608
        rows = (self._db.execute(sql, (node_id,)).fetchone() for node_id in node_ids)
        return (row for row in rows if row is not None)

    def scan(self) -> Iterator[ScannedNode]:
        """Every node, for a filter to look at."""
        sql = f"SELECT n.chunk_id, n.node_id, d.source, n.metadata FROM {_OF_DOCUMENTS}"  # noqa: S608
        return map(ScannedNode._make, self._db.execute(sql))
