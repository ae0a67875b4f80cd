"""The one writer of an index: its lock, and its changes, published together with the files that follow them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexes.derived import Derived
from indexes.errors import IndexBusy
from indexes.store import Store

_PUBLISHING_SHARE = 0.05  # of the time, unless every batch takes less than twenty times what it takes to publish


class Writer:
    """Changes in batches, each of which is kept wholly or not at all, and published with others now and then.

    `store` is what a batch changes; outside of one it can be read.
    """

    def __init__(self, database: sqlite3.Connection, derived: Derived) -> None:
        self.store = Store(database)
        self._database, self._derived = database, derived
        self._next = time.monotonic()

    @contextmanager
    def batch(self) -> Iterator[int]:
        """Changes that belong together; yields the generation that they will be published in."""
        if not self._database.in_transaction:
            self._begin()
        with self.store.savepoint():
            yield self.store.generation()
        if time.monotonic() >= self._next:
            self.publish()

    def publish(self) -> None:
        """Make every batch so far lasting, and what readers see."""
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

    def finish(self) -> None:
        """Publish, and delete the files that no reader will open any more."""
        self.publish()
        self._derived.clean(self.store)

    def _begin(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        if self._derived.problems(self.store):
            self._derived.discard_damaged(self.store)
        self._derived.clean(self.store)  # what a writer left that was killed may have the names of what comes now
        self.store.set_meta("generation", str(self.store.generation() + 1))


@contextmanager
def locked(folder: Path, wait: bool | float) -> Iterator[None]:
    """Hold the lock of an index's one writer; `wait` as in `IndexFolder.writing`. Raises IndexBusy."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "write.lock")
    try:
        lock.acquire(timeout=(-1 if wait else 0) if isinstance(wait, bool) else wait)
    except Timeout as error:
        raise IndexBusy(
            f"another process is writing to {folder}: wait until it has finished (--wait waits for it)"
        ) from error
    try:
        yield
    finally:
        lock.release()
