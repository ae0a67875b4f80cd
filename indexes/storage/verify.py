"""Verification of a whole index; opening and searching check only what they use."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice

from indexes.errors import IndexDamaged
from indexes.storage.dense import DenseSearcher
from indexes.storage.derived_files import FILE_ERRORS, Derived
from indexes.storage.lexical import LexicalSearcher
from indexes.storage.sqlite import Store
from indexes.text import folded
from indexes.types import VerifyReport

MOST_PROBLEMS = 20
_IMPOSSIBLE = {
    "chunks without a vector": "SELECT count(*) FROM chunks WHERE id NOT IN (SELECT chunk_id FROM vectors)",
    "documents whose chunks do not add up": "SELECT count(*) FROM documents d WHERE chunks !="
    " (SELECT count(*) FROM chunks WHERE document_id = d.id)",
    "chunks that reach outside their document": "SELECT count(*) FROM chunks c JOIN documents d ON"
    ' d.id = c.document_id WHERE c."start" < 0 OR c."end" < c."start" OR c."end" > d.characters',
    "chunks of llama-index documents without a node": "SELECT count(*) FROM chunks c JOIN documents d ON"
    " d.id = c.document_id WHERE substr(d.source, 1, 12) = 'llama-index:' AND c.id NOT IN (SELECT chunk_id FROM nodes)",
}


def verify(store: Store, derived: Derived) -> VerifyReport:
    """Check every row of the database, and the derived indexes against it.

    Args:
        store: The store at the generation to verify.
        derived: The derived files of the same index.

    Returns:
        The counts, and the problems that were found.
    """
    problems = [*islice(_database_problems(store), MOST_PROBLEMS)]
    try:
        documents, chunks, _ = store.counts()
    except sqlite3.Error:
        return VerifyReport(0, 0, tuple(problems))
    if damaged := derived.problems(store, read_all=True):  # FAISS and tantivy may end the process over what is in them
        return VerifyReport(documents, chunks, (*problems, *damaged))
    dense, lexical = DenseSearcher(derived.dense, store), LexicalSearcher(derived.lexical, store)
    for name, count in (("dense", dense.count), ("lexical", lexical.count)):
        try:
            held: int | str = count()
        except FILE_ERRORS as error:
            held = f"unreadable ({error}) instead of its"
        if held != chunks:
            problems.append(f"the {name} index holds {held} chunks and the database {chunks}")
    return VerifyReport(documents, chunks, tuple(problems))


def _database_problems(store: Store) -> Iterator[str]:
    yield from _run(store, (Store.file_problems,))
    yield from row_problems(store)
    yield from _run(store, (_damaged_vectors,))


def row_problems(store: Store) -> Iterator[str]:
    """Check the rows of a database but for the vectors.

    Args:
        store: The store at the generation to verify.

    Yields:
        What is wrong.
    """
    checks = (_damaged_settings, _impossible_rows, _wrong_titles, _damaged_stamps, _damaged_documents, _damaged_nodes)
    yield from _run(store, checks)


def _run(store: Store, checks: Iterable[Callable[[Store], Iterator[str]]]) -> Iterator[str]:
    for check in checks:
        try:
            yield from check(store)
        except (sqlite3.Error, IndexDamaged) as error:
            yield str(error)


def _impossible_rows(store: Store) -> Iterator[str]:
    for what, sql in _IMPOSSIBLE.items():
        [[count]] = store.rows(sql)
        if count:
            yield f"{count} {what}"


def _damaged_settings(store: Store) -> Iterator[str]:
    yield from _reasons(partial(store.meta, "encoder"))


def _wrong_titles(store: Store) -> Iterator[str]:
    for document_id, title, folded_title in store.rows("SELECT id, title, folded_title FROM documents"):
        if folded(title) != folded_title:
            yield f"document {document_id} is not found by its title"


def _damaged_stamps(store: Store) -> Iterator[str]:
    for document_id in store.damaged_stamps():
        yield f"the stamp of document {document_id} is not what it was"


def _damaged_documents(store: Store) -> Iterator[str]:
    for (document_id,) in store.rows("SELECT id FROM documents"):
        yield from _reasons(partial(store.whole_text, document_id), partial(_read_chunks, store, document_id))


def _read_chunks(store: Store, document_id: int) -> None:
    deque(store.chunks_of(document_id), maxlen=0)


def _damaged_vectors(store: Store) -> Iterator[str]:
    yield from _reasons(*(partial(store.vectors.of_segment, segment) for segment in store.vectors.segments()))


def _damaged_nodes(store: Store) -> Iterator[str]:
    yield from _reasons(store.nodes.read_all)


def _reasons(*checks: Callable[[], object]) -> Iterator[str]:
    """The message of each check that fails."""
    for check in checks:
        try:
            check()
        except IndexDamaged as error:
            yield str(error)
