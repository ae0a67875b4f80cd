"""Verification of a whole index in PostgreSQL: every row, and the lexical index against the documents."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from indexes.storage.lexical import FILLER, indexed_terms
from indexes.storage.postgres.store import PostgresStore
from indexes.storage.verify import MOST_PROBLEMS, row_problems
from indexes.types import VerifyReport

_COUNTS = {
    "languages": "SELECT coalesce(sum(chunks), 0)::bigint, coalesce(sum(terms), 0)::bigint FROM languages",
    "statistics": "SELECT coalesce(sum(chunks), 0)::bigint, coalesce(sum(terms), 0)::bigint FROM statistics",
}


def verify(store: PostgresStore) -> VerifyReport:
    """Check every row of the database, and the lexical index against the documents.

    Args:
        store: The store in the snapshot to verify.

    Returns:
        The counts, and the problems that were found.
    """
    documents, chunks, _ = store.counts()
    problems = chain(row_problems(store), store.vectors.check_all(), _lexical_problems(store, chunks))
    return VerifyReport(documents, chunks, tuple(islice(problems, MOST_PROBLEMS)))


def _lexical_problems(store: PostgresStore, chunks: int) -> Iterator[str]:
    found = {name: tuple(next(iter(store.rows(sql)))) for name, sql in _COUNTS.items()}
    if found["languages"] != found["statistics"]:
        yield "the statistics of the lexical index do not add up"
    if found["languages"][0] != chunks:
        yield f"the lexical index holds {found['languages'][0]} chunks and the database {chunks}"
    missing = set(store.vectors.chunk_ids().tolist())
    for postings in store.postings.of_segments():
        missing.difference_update(postings["chunk"].tolist())
    for chunk_id, chunk in store.chunks(sorted(missing)).items():
        [(_, _, terms)] = indexed_terms([chunk])
        if {*terms} - {FILLER}:
            yield f"the lexical index lacks chunk {chunk_id} of {chunk.source}"
