"""The SQLite file of an index: its connections and transactions, and its errors in plain words.

A folder that may not be written to can still be read: see `_connect_read_only`.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from indexes.errors import CorpusError, IndexBusy, IndexDamaged
from indexes.sources import composed
from indexes.storage.file_access import (
    DISK_FAILS,
    file_mode,
    identity,
    moved,
    odd_file_beside,
    read_failure,
    second_look,
    unreadable,
)
from indexes.storage.sqlite.schema import check_format, make_or_migrate
from indexes.storage.sqlite.store import Store

_LOCK_TIMEOUT = 30.0  # seconds, for what SQLite locks for moments
_BETWEEN_TRIES = 0.01  # seconds
_REMEDY = "put a copy of it back, or delete its folder and ingest again"
_SIGNS_OF_DAMAGE = ("no such", "malformed", "decode", "not a database", "unrecognized token", "syntax error")
_PAGE_SIZE, _PAGE_COUNT = slice(16, 18), slice(28, 32)  # in a database's first 100 bytes, big-endian


class Superseded(Exception):
    """Raised where files were replaced while they were read: read them again. It never reaches a user."""


class ReadTransaction:
    """A read transaction on a connection of its own, which sees one generation until `end`.

    Attributes:
        store: The store at that generation.
    """

    def __init__(self, database: Database, connection: sqlite3.Connection, state: tuple[bool, int, int]) -> None:
        self.store = Store(connection)
        self._database, self._connection, self._state = database, connection, state

    @contextmanager
    def reading(self) -> Iterator[Store]:
        """Read from the store, with SQLite's errors translated to ours.

        Yields:
            The store.

        Raises:
            Superseded: If the database has been written while it was read without locks.
            IndexMismatch: If another version of longctx has migrated it since it was opened.
        """
        try:
            with self._database._explained():
                check_format(self._connection)
                yield self.store
        finally:
            if not self._database.writable and self._database._state() != self._state:
                raise Superseded

    def end(self) -> None:
        """End the transaction and give the connection back."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")  # nothing was written
        self._database._give_back(self._connection)


class Database:
    """An index's database. Threads may share it: each transaction has a connection of its own while it lasts.

    Attributes:
        writable: Whether it may be written to.
        opened: Which file it is, as `identity` tells.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.writable = os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False
        self.opened: tuple[int, int] | None = None

    @classmethod
    def open(cls, path: Path) -> Database:
        """Open a database, or create it. Its length and its format are checked here; rows are when they are read.

        Args:
            path: The file, in a folder that exists.

        Returns:
            The open database, migrated if it was in an older format.

        Raises:
            IndexDamaged: If the file is cut short or is no database.
            IndexMismatch: If it was made by a newer longctx, or has to be migrated and is not writable.
            CorpusError: If it cannot be opened, or the disk is full.
        """
        database = cls(path)
        try:
            with database._explained():
                database._check()
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _check(self) -> None:
        if (odd := odd_file_beside(self._path)) is not None:
            raise CorpusError(odd)
        self._check_length()
        if self.writable:
            if not self._path.exists():  # SQLite would let everybody read it
                os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, file_mode(self._path.parent)))
            self.opened = identity(self._path)
            connection = self._connect()
            self._idle.append(connection)
            _keep_log(connection)
            make_or_migrate(connection)
            check_format(connection)
        else:
            self.opened = identity(self._path)
            with closing(self._connect_read_only()) as connection:
                check_format(connection)

    def _check_length(self) -> None:
        """Raise IndexDamaged if the file is shorter than it says, unless a log beside it may hold the rest."""
        # A log, even an empty one, also says that the database may be open in this process, which would give up
        # SQLite's locks if it closed the file here (POSIX): another process would take its log away.
        if not self._path.exists() or Path(f"{self._path}-wal").exists():
            return
        with self._path.open("rb") as file:
            header = file.read(100)
        pages, size = (int.from_bytes(header[place], "big") for place in (_PAGE_COUNT, _PAGE_SIZE))
        expected = pages * (size if size > 1 else 65536)
        if header.startswith(b"SQLite format 3\0") and self._path.stat().st_size < expected:
            raise IndexDamaged("it has been cut short")

    def begin(self) -> ReadTransaction:
        """Begin a read transaction, which the caller has to end."""
        with self._explained():
            state = self._state()
            connection = self._take()
            connection.execute("BEGIN")
        return ReadTransaction(self, connection, state)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to write with. The caller holds the index's lock.

        Yields:
            The connection; what is not committed at the end of the `with` block is rolled back.

        Raises:
            CorpusError: If the folder is not writable.
        """
        if not self.writable:
            raise CorpusError(f"{self._path.parent} cannot be written to: an index there can only be searched")
        with self._explained():
            connection = self._take()
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._give_back(connection)

    def _take(self) -> sqlite3.Connection:
        if self._closed:
            raise CorpusError(f"the index in {self._path.parent} has been closed: open it again")
        if not self.writable:
            return self._connect_read_only()
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if self._closed or not self.writable:
            connection.close()
        else:
            self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=_LOCK_TIMEOUT)
        connection.execute("PRAGMA foreign_keys = ON")
        return self._checked(connection)

    def _connect_read_only(self) -> sqlite3.Connection:
        # Where nothing may be written, SQLite cannot make the files that processes coordinate by. With a log beside the
        # database, its owner is at work or was killed, and the log is read if those files are there. Without one, the
        # database is read as a file that nobody changes, and `ReadTransaction.reading` checks afterwards.
        mode = "mode=ro" if self._has_log() else "immutable=1"
        place = f"file:{quote(str(self._path))}?{mode}"
        return self._checked(sqlite3.connect(place, uri=True, isolation_level=None, check_same_thread=False))

    def _checked(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Give a new connection its functions, if it is one to the file that was opened. Raises CorpusError."""
        try:
            connection.execute("PRAGMA user_version")  # opens the log beside the file, too
            if identity(self._path) != self.opened:
                raise CorpusError(moved(self._path.parent))
            connection.create_function("nfc", 1, composed, deterministic=True)
        except BaseException:
            connection.close()
            raise
        return connection

    def _state(self) -> tuple[bool, int, int]:
        status = self._path.stat()
        return self._has_log(), status.st_mtime_ns, status.st_size

    def _has_log(self) -> bool:
        log = Path(f"{self._path}-wal")
        return log.exists() and log.stat().st_size > 0

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Translate SQLite's errors to ours."""
        try:
            yield
        except IndexDamaged as error:
            if _REMEDY in str(error):  # it is said already which database it is, such as one that is copied from
                raise
            raise IndexDamaged(f"{self._path} is damaged: {error}; {_REMEDY}") from error
        except UnicodeDecodeError as error:  # of a message of SQLite's about text that is none
            raise IndexDamaged(f"{self._path} is not a whole database (text that is no UTF-8); {_REMEDY}") from error
        except sqlite3.Error as error:
            raise _explain(error, self._path, self.writable) from error


def _keep_log(connection: sqlite3.Connection) -> None:
    """Have changes written to a log first. SQLite does not wait here for others that are making the same database."""
    end = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(_BETWEEN_TRIES)


def _explain(error: sqlite3.Error, path: Path, writable: bool) -> CorpusError:
    """The error to show for one of SQLite's, told by its words: Python 3.10 does not give its code."""
    what = " ".join(str(error).split())[:200]
    if isinstance(error, sqlite3.OperationalError):
        if "locked" in what:
            return IndexBusy(f"another process is writing to {path}: wait until it has finished")
        if "full" in what:
            return CorpusError(f"{path} could not be written ({what}): make room on its disk; what was in it is whole")
        if "disk I/O" in what:
            return CorpusError(
                f"{path} could not be read or written ({what}): {DISK_FAILS}, or make room if files may not grow; "
                "the index is left as it is"
            )
        if "readonly" in what and writable and os.access(path, os.W_OK):  # as SQLite says of a file that was moved
            return CorpusError(moved(path.parent))
        if "readonly" in what or "unable to open" in what:
            hint = "make its folder readable and writable"
            return CorpusError(f"{path} cannot be opened ({what}): {hint}{'' if writable else ' once'}")
        if not any(sign in what for sign in _SIGNS_OF_DAMAGE):
            return CorpusError(f"{path} could not be used ({what}): try again; the index is left as it is")
    if (failure := read_failure(path)) is not None:
        return unreadable(path, failure)
    if (said := second_look(path, error)) is not None:
        return CorpusError(f"{path} {said}")
    return IndexDamaged(f"{path} is not a whole database ({what}): {_REMEDY}")
