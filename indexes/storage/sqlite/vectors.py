"""The table of vectors, and the record of those that the files of the dense index lack.

Chunk ids are in *segments* of SEGMENT_SIZE, each of which has a file of the dense index. A chunk that came or went
since the file of its segment was made is *unfiled*.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from indexes.errors import IndexDamaged
from indexes.storage.sqlite.checksums import check_vector, found, of_types, vector_checksum
from indexes.storage.sqlite.conditions import with_ids
from indexes.storage.sqlite.documents import Connection
from indexes.types import Vectors

SEGMENT_SIZE = 16_384  # the dense index's unit of rebuilding, held in memory then

ChunkIds = np.ndarray[tuple[int], np.dtype[np.int64]]


class VectorRows:
    """Access to the vectors of an open database.

    Every method that reads vectors raises IndexDamaged for one that does not match its checksum.
    """

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def of(self, chunk_ids: Sequence[int]) -> Vectors:
        """Read the vectors of chunks.

        Args:
            chunk_ids: (n,) ids.

        Returns:
            (n, dimension) float32.

        Raises:
            IndexDamaged: If one is missing or does not match its checksum.
        """
        data = bytearray()
        for condition in with_ids("chunk_id", chunk_ids):
            sql = f"SELECT chunk_id, vector, checksum FROM vectors WHERE {condition.sql}"  # noqa: S608
            read = self._db.execute(sql, condition.parameters)
            rows = {chunk_id: (vector, expected) for chunk_id, vector, expected in read}
            for chunk_id in condition.parameters:
                vector, expected = found(rows.get(chunk_id), f"the vector of chunk {chunk_id}")
                check_vector(chunk_id, vector, expected)
                data += vector
        return _rows(data, len(chunk_ids))

    def of_segment(self, segment: int) -> tuple[ChunkIds, Vectors]:
        """Read a segment.

        Args:
            segment: Its number.

        Returns:
            The chunk ids (n,) and the vectors (n, dimension).
        """
        sql = "SELECT chunk_id, vector, checksum FROM vectors WHERE chunk_id BETWEEN ? AND ?"
        ids, data = array("q"), bytearray()
        for chunk_id, vector, expected in self._db.execute(sql, _bounds(segment)):
            check_vector(chunk_id, vector, expected)
            ids.append(chunk_id)
            data += vector
        return np.array(ids, dtype=np.int64), _rows(data, len(ids))

    def chunk_ids(self, segments: range | None = None) -> ChunkIds:
        """List chunks.

        Args:
            segments: Consecutive segments; None for all.

        Returns:
            The ids (n,) of their chunks, ascending.
        """
        first, end = (segments.start * SEGMENT_SIZE, segments.stop * SEGMENT_SIZE) if segments else (0, 2**63 - 1)
        rows = self._db.execute("SELECT id FROM chunks WHERE id >= ? AND id < ? ORDER BY id", (first, end))
        return np.fromiter((chunk_id for (chunk_id,) in rows), dtype=np.int64)

    def dimension(self) -> int | None:
        """The dimension of the vectors; None while there is none."""
        row = self._db.execute("SELECT length(vector) / 4 FROM vectors LIMIT 1").fetchone()
        return None if row is None else int(row[0])

    def segments(self) -> dict[int, int]:
        """The generation in which the dense file of each segment was made."""
        rows = self._db.execute("SELECT id, generation FROM segments").fetchall()
        return dict(of_types(rows, (int, int), "the list of segments"))

    def unfiled(self) -> list[tuple[int, bool]]:
        """The ids of the unfiled chunks, ascending, and whether each is in the store."""
        sql = "SELECT u.chunk_id, c.id IS NOT NULL FROM unfiled u LEFT JOIN chunks c ON c.id = u.chunk_id ORDER BY 1"
        return [(chunk_id, bool(there)) for chunk_id, there in self._db.execute(sql)]

    def unfiled_by_segment(self) -> dict[int, int]:
        """The number of unfiled chunks in each segment that has any."""
        sql = "SELECT chunk_id / ? AS segment, count(*) FROM unfiled GROUP BY segment"
        return dict(self._db.execute(sql, (SEGMENT_SIZE,)).fetchall())

    def add(self, chunk_ids: Sequence[int], vectors: Vectors) -> None:
        """Add the vectors of new chunks.

        Args:
            chunk_ids: (n,) ids.
            vectors: (n, dimension) float32.
        """
        self._db.executemany("INSERT INTO vectors VALUES (?, ?, ?)", _checked(chunk_ids, vectors))
        self._db.executemany("INSERT INTO unfiled VALUES (?)", zip(chunk_ids))

    def is_whole(self, chunk_id: int) -> bool:
        """Whether a chunk has a vector that matches its checksum.

        Args:
            chunk_id: The id of the chunk.

        Returns:
            False for one that is missing or damaged.
        """
        try:
            self.of([chunk_id])
        except (IndexDamaged, sqlite3.Error):
            return False
        return True

    def replace(self, chunk_ids: Sequence[int], vectors: Vectors) -> None:
        """Put vectors in the place of damaged ones, or where they are missing.

        Args:
            chunk_ids: (n,) ids.
            vectors: (n, dimension) float32.
        """
        self._db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", _checked(chunk_ids, vectors))

    def forget(self, document_id: int) -> None:
        """Record that the chunks of a document are about to be removed: those in a file become unfiled.

        Args:
            document_id: The id of the document.
        """
        its = "SELECT id FROM chunks WHERE document_id = ?"
        came = self._db.execute(f"DELETE FROM unfiled WHERE chunk_id IN ({its}) RETURNING *", (document_id,)).fetchall()  # noqa: S608
        filed = set(self._db.execute(its, (document_id,))) - set(came)
        self._db.executemany("INSERT OR IGNORE INTO unfiled VALUES (?)", filed)

    def set_filed(self, segments: Iterable[int], generation: int) -> None:
        """Record that the dense files of segments hold what the store holds in a generation.

        Args:
            segments: The numbers of the segments.
            generation: The generation.
        """
        for segment in segments:
            self._db.execute("INSERT OR REPLACE INTO segments VALUES (?, ?)", (segment, generation))
            self._db.execute("DELETE FROM unfiled WHERE chunk_id BETWEEN ? AND ?", _bounds(segment))


def _checked(chunk_ids: Sequence[int], vectors: Vectors) -> Iterator[tuple[int, bytes, int]]:
    """The rows of vectors, with their checksums."""
    for chunk_id, vector in zip(chunk_ids, vectors, strict=True):
        blob = vector.astype("<f4").tobytes()
        yield chunk_id, blob, vector_checksum(chunk_id, blob)


def _bounds(segment: int) -> tuple[int, int]:
    """The first and the last chunk id that a segment can have."""
    return segment * SEGMENT_SIZE, (segment + 1) * SEGMENT_SIZE - 1


def _rows(data: bytearray, count: int) -> Vectors:
    return np.frombuffer(data, dtype="<f4").reshape(count, -1 if count else 0)
