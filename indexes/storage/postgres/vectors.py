"""The table of vectors in PostgreSQL, and searching it: all of it, or by an HNSW index where there are many.

The table holds the vectors in 32 bits, and a search that compares all gives what a folder's does. The HNSW index holds
them in 16; what it finds are candidates, to be compared exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Set
from itertools import islice

import numpy as np

from indexes.errors import IndexDamaged
from indexes.storage.dense import FLAT_BELOW
from indexes.storage.postgres.connection import Connection
from indexes.storage.sqlite import VectorRows, check_vector, vector_checksum
from indexes.types import Vectors

MOST_DIMENSIONS = 4000  # of a halfvec that pgvector can index
_INDEX = "vectors_hnsw"
_MORE_CANDIDATES = 50  # than asked for, because 16 bits err in the fourth decimal
_MOST_EFFORT = 1000  # pgvector's limit for hnsw.ef_search; from 0.8 on, more is found by going on from there
_MOST_CANDIDATES = 20_000  # of more, and of less than a tenth that is allowed, all vectors are compared
_LEAST_SHARE = 1 / 10
_MORE_WHERE_FILTERED = 2  # times as many candidates as are needed if what is allowed is as near as the rest
_LEAST_EFFORT = 200  # hnsw.ef_search: of 10 neighbours of 1,000,000 vectors, 9.9 are found
_AT_ONCE = 4096  # vectors, read into memory
_PATIENCE = "5s"  # for writers that are in the middle of something, to build the HNSW index
_MEMORY_OF_A_VECTOR = 12  # bytes for each dimension, while the HNSW index is built, or so
_MOST_MEMORY = 2_000_000  # kB


_GOING_ON = {"iterative_scan": "relaxed_order", "max_scan_tuples": 20 * _MOST_CANDIDATES, "scan_mem_multiplier": 16}


class PostgresVectors(VectorRows):
    """Access to the vectors of a database. Methods that read raise IndexDamaged for one that is not what it was."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._goes_on = connection.vector_version >= (0, 8)
        self._copy, self._type = connection.copy, connection.vector_type

    def of(self, chunk_ids: Sequence[int]) -> Vectors:
        """Read the (n, dimension) vectors of (n,) chunks."""
        ids = list(chunk_ids)
        sql = "SELECT chunk_id, vector, checksum FROM vectors WHERE chunk_id = ANY(?::bigint[])"
        found = {row[0]: row for row in self._db.execute(sql, (ids,))} if ids else {}
        if missing := [i for i in ids if i not in found]:
            raise IndexDamaged(f"the vector of chunk {missing[0]} is missing")
        return _checked([found[i] for i in ids])

    def chunk_ids(self, segments: range | None = None) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The ids (n,) of all chunks, ascending."""
        rows = self._db.execute("SELECT id FROM chunks ORDER BY id")
        return np.fromiter((chunk_id for (chunk_id,) in rows), dtype=np.int64)

    def dimension(self) -> int | None:
        """The dimension of the vectors; None while there is none."""
        row = self._db.execute("SELECT vector_dims(vector) FROM vectors LIMIT 1").fetchone()
        return None if row is None else int(row[0])

    def add(self, chunk_ids: Sequence[int], vectors: Vectors) -> None:
        """Add the (n, dimension) vectors of new chunks."""
        self._copy("vectors", ("int8", self._type, "int8"), _rows(chunk_ids, vectors))

    def replace(self, chunk_ids: Sequence[int], vectors: Vectors) -> None:
        """Put the (n, dimension) vectors of chunks in the place of damaged ones, or where they are missing."""
        sql = "INSERT INTO vectors VALUES (?, ?, ?) ON CONFLICT (chunk_id) DO UPDATE SET vector = excluded.vector"
        self._db.executemany(f"{sql}, checksum = excluded.checksum", [*_rows(chunk_ids, vectors)])

    def check_all(self) -> Iterator[str]:
        """Yield what is wrong with each vector that is not what it was."""
        after = 0
        sql = "SELECT chunk_id, vector, checksum FROM vectors WHERE chunk_id > ? ORDER BY chunk_id LIMIT ?"
        while rows := self._db.execute(sql, (after, _AT_ONCE)).fetchall():
            after = rows[-1][0]
            for row in rows:
                try:
                    _checked([row])
                except IndexDamaged as error:
                    yield str(error)

    def search(self, query: Vectors, k: int, allowed: Set[int] | None = None) -> list[tuple[int, float]]:
        """Find the chunks whose vectors are nearest to a query's; see `DenseSearch`. Those allowed are all compared."""
        if (candidates := self._candidates(k, allowed)) and self.has_index():
            found = self._by_index(query, k, candidates, allowed)
            if len(found) == k:
                return found  # fewer are found where many were removed, or what is allowed is far away
        columns, order = "SELECT chunk_id, vector <#> ? AS distance FROM vectors", "ORDER BY distance, chunk_id LIMIT ?"
        if allowed is None:
            rows = self._db.execute(f"{columns} {order}", (query, k))
        else:
            join = "JOIN unnest(?::bigint[]) AS allowed (id) ON id = chunk_id"
            rows = self._db.execute(f"{columns} {join} {order}", (query, sorted(allowed), k))
        return [(chunk_id, -distance) for chunk_id, distance in rows]

    def _candidates(self, k: int, allowed: Set[int] | None) -> int:
        """How many of the nearest vectors to ask the HNSW index for; 0 if all that may be found are to be compared."""
        wanted = k + _MORE_CANDIDATES
        if allowed is not None:
            [[count]] = self._db.execute("SELECT sum(chunks)::bigint FROM statistics")
            if len(allowed) < (count or 0) * _LEAST_SHARE:
                return 0
            wanted = math.ceil(wanted * _MORE_WHERE_FILTERED * (count or 0) / max(1, len(allowed)))
        return wanted if wanted <= (_MOST_CANDIDATES if self._goes_on else _MOST_EFFORT) else 0

    def _by_index(
        self, query: Vectors, k: int, candidates: int, allowed: Set[int] | None = None
    ) -> list[tuple[int, float]]:
        halves = f"halfvec({len(query)})"
        self._db.execute(f"SET LOCAL hnsw.ef_search = {min(max(candidates, _LEAST_EFFORT), _MOST_EFFORT)}")
        if candidates > _MOST_EFFORT:
            for setting, value in _GOING_ON.items():
                self._db.execute(f"SET LOCAL hnsw.{setting} = {value}")
        near = f"SELECT chunk_id, vector FROM vectors ORDER BY (vector::{halves}) <#> ?::{halves} LIMIT ?"  # noqa: S608
        best = f"SELECT chunk_id, vector <#> ? AS distance FROM ({near}) AS near ORDER BY distance, chunk_id LIMIT ?"  # noqa: S608
        rows = self._db.execute(best, (query, query, candidates, k if allowed is None else candidates))
        return [*islice(((i, -far) for i, far in rows if allowed is None or i in allowed), k)]

    def has_index(self) -> bool:
        """Whether there is an HNSW index."""
        return bool(self._db.execute("SELECT to_regclass(?) IS NOT NULL", (_INDEX,)).fetchone()[0])

    def wants_index(self) -> bool:
        """Whether there are so many vectors that an HNSW index should be built, and none is there."""
        if self.has_index():
            return False
        row = self._db.execute("SELECT vector_dims(vector) FROM vectors LIMIT 1 OFFSET ?", (FLAT_BELOW - 1,)).fetchone()
        return row is not None and row[0] <= MOST_DIMENSIONS

    def build_index(self) -> None:
        """Build the HNSW index, in the transaction that is open: writers wait for it, readers do not.

        If writers are in the middle of something for longer than a few seconds, psycopg's LockNotAvailable is raised.
        """
        count, dimension = self._db.execute("SELECT count(*), min(vector_dims(vector)) FROM vectors").fetchone()
        memory = min(_MOST_MEMORY, max(65_536, count * dimension * _MEMORY_OF_A_VECTOR // 1024))
        self._db.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
        self._db.execute("LOCK TABLE vectors IN SHARE MODE")
        self._db.execute("SET LOCAL lock_timeout = 0")
        self._db.execute(f"SET LOCAL maintenance_work_mem = {memory}")
        self._db.execute(
            f"CREATE INDEX IF NOT EXISTS {_INDEX} ON vectors"
            f" USING hnsw ((vector::halfvec({dimension})) halfvec_ip_ops) WITH (ef_construction = 128)"
        )

    def drop_index(self) -> None:
        """Drop the HNSW index, whose vectors may be of another dimension than those to come."""
        if self.has_index():
            self._db.execute(f"DROP INDEX IF EXISTS {_INDEX}")


def _rows(chunk_ids: Sequence[int], vectors: Vectors) -> Iterator[tuple[int, Vectors, int]]:
    for chunk_id, vector in zip(chunk_ids, vectors, strict=True):
        yield chunk_id, vector, vector_checksum(chunk_id, vector.astype("<f4").tobytes())


def _checked(rows: Sequence[tuple[int, Vectors, int]]) -> Vectors:
    for chunk_id, vector, expected in rows:
        check_vector(chunk_id, vector.tobytes(), expected)
    return np.stack([row[1] for row in rows]) if rows else np.zeros((0, 0), dtype=np.float32)
