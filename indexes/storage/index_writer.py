"""Writing to the folder of an index: batches, their publication, and the lock that lets one writer in at a time."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from indexes.errors import CorpusError, IndexBusy
from indexes.storage.derived_files import Derived
from indexes.storage.file_access import file_mode
from indexes.storage.sqlite import Store, check_format

_PUBLISHING_SHARE = 0.05  # of the time, unless every batch takes less than twenty times what it takes to publish


class IndexWriter:
    """Write access to an index in batches, each of which is kept as a whole or not at all.

    Several batches are published together, so that publishing takes a small share of the time.

    Attributes:
        store: The store, which is changed within a batch and can be read at any time.
    """

    def __init__(self, database: sqlite3.Connection, derived: Derived) -> None:
        self.store = Store(database)
        self._database, self._derived = database, derived
        self._next = time.monotonic()

    @contextmanager
    def batch(self, sources: Iterable[str] = ()) -> Iterator[int]:
        """Change the store: all changes of the `with` block are kept, or none.

        Args:
            sources: The sources of the documents that will be changed, which has no effect: nobody else writes.

        Yields:
            The generation in which the changes will be published.
        """
        if not self._database.in_transaction:
            self._begin()
        with self.store.savepoint():
            yield self.store.generation()
        if time.monotonic() >= self._next:
            self.publish()

    def _begin(self) -> None:
        """Begin a generation, or leave no transaction: one without a generation of its own must not be published."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            check_format(self._database)
            if self._derived.are_damaged(self.store):
                self._derived.discard_damaged(self.store)
            self._derived.clean(self.store)  # what a killed writer left may have the names of the files to come
            self.store.set_meta("generation", str(self.store.next_generation()))
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def publish(self) -> None:
        """Commit the batches so far, so that readers see them.

        Raises:
            CorpusError: If the derived files cannot be written; then the batches are rolled back.
        """
        if not self._database.in_transaction:
            return
        began = time.monotonic()
        try:
            self._derived.write(self.store)
            self._database.execute("COMMIT")
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
        now = time.monotonic()
        self._next = now + (now - began) / _PUBLISHING_SHARE


@contextmanager
def locked(folder: Path, wait: bool | float) -> Iterator[None]:
    """Hold the lock of an index's one writer.

    Args:
        folder: The folder of the index.
        wait: How long to wait for another writer: not at all, until it has finished (true), or so many seconds.

    Raises:
        IndexBusy: If another process holds the lock for longer than `wait`.
        CorpusError: If the lock cannot be used.
    """
    from filelock import FileLock, Timeout

    lock = folder / "write.lock"
    timeout = (-1 if wait else 0) if isinstance(wait, bool) else wait
    try:
        held = FileLock(lock, mode=file_mode(folder)).acquire(timeout=timeout)
    except Timeout as error:
        raise IndexBusy(
            f"another process is writing to {folder}: wait until it has finished (--wait waits for it)"
        ) from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CorpusError(
            f"the lock {lock} cannot be used ({reason}), so that nothing can be written: it may be another user's; "
            "make it yours, or copy the index to a folder of your own"
        ) from error
    with held:
        yield
