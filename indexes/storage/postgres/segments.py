"""Merging the segments of the lexical index, so that a search reads few rows, and leaving out what was removed.

A writer does it when it has finished. Segments that are there never change, so nobody waits for it.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from indexes.storage.postgres.connection import Connection
from indexes.storage.postgres.postings import POSTING, SEGMENT_SIZE, Postings

_ALIKE = 16  # small segments of a size, which are merged; each is merged as often as the logarithm of its size says
_MOST_REMOVED = 1 / 4  # of the chunks in all segments
_FEW = 1024  # chunks, removed or not, for which nothing is made anew


def merging_lock(schema: str) -> str:
    """The name of the lock that whoever merges or empties segments holds.

    Args:
        schema: The schema of the index.

    Returns:
        The name.
    """
    return f"longctx segments {schema}"


def tidy(connection: Connection, schema: str) -> None:
    """Merge small segments where there are many, and make those anew of whose chunks many were removed.

    Args:
        connection: A connection without a transaction.
        schema: The schema of the index.
    """
    postings = Postings(connection)
    while _alike(connection):
        with connection.raw.transaction():
            if not _is_locked(connection, schema):
                return
            if ids := _alike(connection):
                _merge(connection, ids)
    if _has_many_removed(postings):
        for (segment,) in connection.execute("SELECT id FROM segments ORDER BY id").fetchall():
            with connection.raw.transaction():
                if not _is_locked(connection, schema):
                    return
                _make_anew(connection, postings, segment)


def _is_locked(connection: Connection, schema: str) -> bool:
    """Lock the segments, unless another process has."""
    sql = "SELECT pg_try_advisory_xact_lock(hashtextextended(?, 0))"
    return bool(connection.execute(sql, (merging_lock(schema),)).fetchone()[0])  # type: ignore[index]


def _alike(connection: Connection) -> list[int]:
    """Small segments of about one size, if there are many: as many of them as make a large one."""
    sizes: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for segment, chunks in connection.execute(
        "SELECT id, chunks FROM segments WHERE chunks < ? ORDER BY id", (SEGMENT_SIZE,)
    ):
        sizes[int(chunks).bit_length() // _ALIKE.bit_length()].append((segment, chunks))
    found, total = list[int](), 0
    for segment, chunks in next((its for its in sizes.values() if len(its) >= _ALIKE), []):
        if total < SEGMENT_SIZE:
            found.append(segment)
            total += chunks
    return found


def _merge(connection: Connection, ids: list[int]) -> None:
    total = "SELECT sum(chunks), sum(terms) FROM segments WHERE id = ANY(?::bigint[])"
    [[new]] = connection.execute(f"INSERT INTO segments (chunks, terms) {total} RETURNING id", (ids,))
    connection.execute(
        "INSERT INTO postings SELECT term, ?, string_agg(chunks, '' ORDER BY segment) FROM postings"
        " WHERE segment = ANY(?::bigint[]) GROUP BY term",
        (new, ids),
    )
    _drop(connection, ids)


def _drop(connection: Connection, ids: list[int]) -> None:
    connection.execute("DELETE FROM postings WHERE segment = ANY(?::bigint[])", (ids,))
    connection.execute("DELETE FROM segments WHERE id = ANY(?::bigint[])", (ids,))


def _has_many_removed(postings: Postings) -> bool:
    held, there = postings.totals()[0], sum(chunks for chunks, _ in postings.statistics().values())
    return held > _FEW and held - there > held * _MOST_REMOVED


def _make_anew(connection: Connection, postings: Postings, segment: int) -> None:
    """Put a segment without what was removed in the place of one, if anything was."""
    row = connection.execute("SELECT chunks, terms FROM segments WHERE id = ?", (segment,)).fetchone()
    sql = "SELECT term, chunks FROM postings WHERE segment = ? ORDER BY term"
    rows = connection.execute(sql, (segment,)).fetchall()
    held = np.frombuffer(b"".join(chunks for _, chunks in rows), dtype=POSTING)
    chunks, first = np.unique(held["chunk"], return_index=True)
    there = np.array(sorted(postings.there(chunks.tolist())), dtype=np.int64)
    gone = first[~np.isin(chunks, there)]
    if row is None:
        return
    if not len(gone):
        connection.execute("UPDATE segments SET chunks = ? WHERE id = ?", (len(chunks), segment))
        return
    left = ((term, np.frombuffer(its, dtype=POSTING)) for term, its in rows)
    kept = ((term, its[np.isin(its["chunk"], there)].tobytes()) for term, its in left)
    if len(there):
        new = [(term, its) for term, its in kept if its]
        postings.write(new, len(there), row[1] - int(held["length"][gone].sum()))
    _drop(connection, [segment])
