"""The folder of an index: its database and its derived files."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from indexes.errors import CorpusError, IndexBusy, IndexDamaged, IndexNotFound
from indexes.near import near_path
from indexes.storage.derived_files import Derived
from indexes.storage.file_access import DISK_FAILS, identity, make_private, moved
from indexes.storage.held_folder import HeldFolder
from indexes.storage.index_writer import IndexWriter, locked
from indexes.storage.read_session import ATTEMPTS, ReadSession
from indexes.storage.sqlite import Database, Store
from indexes.storage.verify import verify
from indexes.types import VerifyReport

_DATABASE = "corpus.sqlite3"

T = TypeVar("T")


class IndexFolder:
    """The database and the derived files of an index. Threads may share it.

    Attributes:
        path: The folder.
        derived: The derived files.
    """

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self.derived = Derived(path)
        self._database = database
        self._check_not_moved()
        if identity(self.derived.folder.path / _DATABASE) != database.opened:
            raise CorpusError(moved(path))

    @classmethod
    def open(cls, path: Path, *, create: bool) -> IndexFolder:
        """Open an index, or create one.

        Derived files that are missing, damaged or out of date are made again, if no other process is writing and the
        folder is writable; otherwise a search raises an error.

        Args:
            path: The folder.
            create: Whether to create the index if there is none.

        Returns:
            The open folder.

        Raises:
            IndexNotFound: If there is no index and `create` is false, or the folder holds something else.
            IndexDamaged: If the database is damaged.
            IndexMismatch: If the index was made by a newer longctx.
            CorpusError: If the folder or its files cannot be read.
        """
        with _opening(path):
            _check_folder(path, create)
            database = Database.open(path / _DATABASE)
            try:
                folder = cls(path, database)
                if folder._is_damaged():
                    folder._mend_if_possible()
            except BaseException:
                database.close()
                raise
        return folder

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        self._database.close()

    def session(self) -> AbstractContextManager[ReadSession]:
        """Read the index at one generation, in one transaction, which ends with the `with` block.

        Returns:
            The session.

        Raises:
            CorpusError: If the folder has been moved since it was opened.
        """
        self._check_not_moved()
        return closing(ReadSession(self, self._database))

    def read(self, read: Callable[[Store], T]) -> T:
        """Read from the store in a transaction of its own.

        Args:
            read: Reads from one generation. It is called again if the database was written meanwhile.

        Returns:
            What `read` returns.
        """
        with self.session() as session:
            return session.read(read)

    @contextmanager
    def writing(self, wait: bool | float = False) -> Iterator[IndexWriter]:
        """Write to the index. At the end of the `with` block, the batches that were finished are published.

        Args:
            wait: How long to wait for another writer: not at all, until it has finished (true), or so many seconds.

        Yields:
            The writer.

        Raises:
            IndexBusy: If another process writes for longer than `wait`.
            CorpusError: If the folder is not writable, or has been moved since it was opened.
        """
        self._check_not_moved()
        with self._database.writing() as connection, locked(self.path, wait):
            self._check_not_moved()  # from here on, who opens it where it is now meets the lock
            writer = IndexWriter(connection, self.derived)
            try:
                try:
                    yield writer
                finally:
                    writer.publish()
                    self.derived.clean(writer.store)  # no reader will open the files of older generations from now on
            except CorpusError:
                self._check_not_moved()  # or that is why
                raise

    def size(self) -> int:
        """The size of the folder in bytes; files may come and go meanwhile."""
        size = 0
        for path, _, names in os.walk(self.path):
            for name in names:
                with suppress(FileNotFoundError):
                    size += Path(path, name).lstat().st_size
        return size

    @property
    def held(self) -> HeldFolder:
        """The folder, held open."""
        return self.derived.folder

    @property
    def name(self) -> str:
        """The folder, for messages."""
        return str(self.path)

    def verify(self) -> VerifyReport:
        """Check the whole index; see `indexes.storage.verify`."""
        return self.read(lambda store: verify(store, self.derived))

    def has_lost(self, generation: int) -> bool:
        """Check every derived file of a generation.

        Args:
            generation: The generation.

        Returns:
            Whether files are missing or damaged, or a newer generation has been published.
        """
        newest, problems = self.read(lambda store: (store.generation(), self.derived.problems(store, read_all=True)))
        return newest != generation or bool(problems)

    def mend(self) -> None:
        """Make damaged derived files again, in a new generation.

        Raises:
            IndexBusy: If another process is writing.
            IndexDamaged: If the database is damaged, too.
            CorpusError: If nothing can be written.
        """
        try:
            with self.writing() as writer:
                self.derived.discard_damaged(writer.store)
                with writer.batch():
                    pass
        except IndexBusy as error:
            raise IndexBusy(
                f"the search indexes in {self.path} have to be made again, and another process is writing there: "
                "try again when it has finished"
            ) from error
        except IndexDamaged:
            raise
        except CorpusError as error:
            raise CorpusError(f"the search indexes in {self.path} have to be made again: {error}") from error

    def _check_not_moved(self) -> None:
        if identity(self.path / _DATABASE) != self._database.opened:
            raise CorpusError(moved(self.path))

    def _is_damaged(self) -> bool:
        """Whether derived files have to be made again."""
        # Files that a writer has replaced meanwhile are missing, but not damaged: mending would only block that writer.
        for _ in range(ATTEMPTS):
            generation, problems = self.read(lambda store: (store.generation(), self.derived.problems(store)))
            if not problems or self.read(Store.generation) == generation:
                return bool(problems)
        raise CorpusError(f"{self.path} changed while it was read, {ATTEMPTS} times over: try again")

    def _mend_if_possible(self) -> None:
        try:
            self.mend()
        except IndexDamaged:
            raise
        except CorpusError:
            return


@contextmanager
def _opening(folder: Path) -> Iterator[None]:
    """Raise the system's errors as ours."""
    try:
        yield
    except OSError as error:
        remedy = DISK_FAILS if error.errno == errno.EIO else "make it readable, or name another folder"
        raise CorpusError(f"{folder} cannot be opened ({error.strerror or error}): {remedy}") from error


def _check_folder(folder: Path, create: bool) -> None:
    """Check that there is an index in a folder, or create the folder for one."""
    database, used = folder / _DATABASE, (folder / "dense").is_dir() or (folder / "lexical").is_dir()
    if database.is_file() and (database.stat().st_size > 1 or not used):  # SQLite takes one byte for none
        return
    if used and (folder / "write.lock").is_file():
        state = "empty" if database.is_file() else "no file" if database.exists() else "gone"
        raise IndexDamaged(
            f"the database {database} is {state}: put a copy of it back, or delete its folder and ingest again"
        )
    if not create:
        near = near_path(folder, lambda each: (each / _DATABASE).is_file())
        hint = f"; did you mean {near}?" if near else ""
        raise IndexNotFound(
            f"there is no index in {folder}: make one with `longctx ingest PATH --index {folder}`{hint}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise IndexNotFound(f"{folder} is there already and is no index: name a new or an empty folder for one")
    make_private(folder)
