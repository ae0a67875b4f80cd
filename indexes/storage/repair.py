"""Repairing an index from its database: what `verify` finds is made again, or taken out to be ingested again.

Derived files and vectors follow from the documents' texts, so they are made again. A document whose text, places or
facts are damaged cannot be made again from the database: it is removed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence

from indexes.errors import IndexDamaged
from indexes.sources import NAMESPACE
from indexes.storage.protocols import Writer
from indexes.storage.sqlite import Store, checksum
from indexes.types import Chunk, Vectors

Embed = Callable[[Sequence[Chunk]], Vectors]

_ORPHANS = (
    "DELETE FROM copies WHERE document_id NOT IN (SELECT id FROM documents)",  # whose files are then read again
    "DELETE FROM texts WHERE document_id NOT IN (SELECT id FROM documents)",
    "DELETE FROM vectors WHERE chunk_id NOT IN (SELECT id FROM chunks)",
    "DELETE FROM nodes WHERE chunk_id NOT IN (SELECT id FROM chunks)",
    "DELETE FROM chunks WHERE document_id NOT IN (SELECT id FROM documents)",
)

_LOST_TABLES = """
    SELECT "start", "end", header, checksum, document_id FROM tables
    WHERE document_id NOT IN (SELECT id FROM documents)
"""


def repair(writer: Writer, embed: Embed) -> tuple[str, ...]:
    """Repair an index. All derived files are made again.

    Args:
        writer: The writer of the index.
        embed: Embeds chunks as they were embedded.

    Returns:
        What was done, a line each.

    Raises:
        IndexDamaged: If the database cannot be read at all or is still damaged afterwards, or a damaged vector is of
            another dimension.
    """
    store, done = writer.store, list[str]()
    with writer.batch() as generation:
        try:
            store.rebuild_indexes()
        except sqlite3.Error as error:
            raise IndexDamaged(f"its tables cannot be read: {error}") from error
        for sql in _ORPHANS:
            store.rows(sql)
        _rejoin_tables(store)
        for document_id in [row[0] for row in store.rows("SELECT id FROM documents ORDER BY id")]:
            done += _repair_document(store, document_id, generation, embed)
        store.refold_titles()
        store.forget_indexes()
    writer.publish()
    try:
        left = next(store.file_problems(), None)
    except sqlite3.Error as error:
        left = str(error)
    if left is not None:
        raise IndexDamaged(f"what can be made again has been, and that is not enough ({left})")
    return (*done, "the search indexes were made again")


def _rejoin_tables(store: Store) -> None:
    """Give tables of no document back to the one that their checksum says."""
    documents = [row[0] for row in store.rows("SELECT id FROM documents")]
    for *facts, expected, wrong in [*store.rows(_LOST_TABLES)]:
        owner = next((each for each in documents if checksum((each, *facts)) == expected), None)
        its = (wrong, facts[0])
        if owner is None:
            store.rows('DELETE FROM tables WHERE document_id = ? AND "start" = ?', its)
        else:
            store.rows(
                'UPDATE OR REPLACE tables SET document_id = ? WHERE document_id = ? AND "start" = ?', (owner, *its)
            )


def _repair_document(store: Store, document_id: int, generation: int, embed: Embed) -> Iterator[str]:
    if store.mend_stamp(document_id):
        yield f"document {document_id}: its file will be read again"
    source = store.raw_source(document_id)
    try:
        store.whole_text(document_id)
        chunks = list(store.chunks_of(document_id))
        if not store.adds_up(document_id, len(chunks)):
            raise IndexDamaged("its chunks do not add up")
        store.nodes.of_chunks([chunk.id for chunk in chunks])
    except (IndexDamaged, sqlite3.Error, UnicodeDecodeError) as error:
        store.discard_document(document_id, generation)
        yield f"removed {source}, to be ingested again: {error}"
        return
    lost = [chunk for chunk in chunks if not store.vectors.is_whole(chunk.id)]
    if lost and source.startswith(NAMESPACE):  # what llama-index embedded is not here
        store.discard_document(document_id, generation)
        yield f"removed {source}, to be added again: {len(lost)} of its vectors are damaged"
    elif lost:
        store.vectors.replace([chunk.id for chunk in lost], embed(lost))
        yield f"embedded {len(lost)} chunks of {source} again"
