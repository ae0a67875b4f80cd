"""The folder of an index: readers that see one generation, the one writer, and mending. Knows no encoder.

A reader works at one generation: a read transaction of the store, and the derived files that it names. Those files can
go while it opens them, when a writer has published two generations meanwhile: then it begins again at the newest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from indexes.database import Database, Superseded
from indexes.derived import FILE_ERRORS, Derived
from indexes.errors import CorpusError, IndexBusy, IndexDamaged, IndexNotFound
from indexes.store import Store
from indexes.writing import Writer, locked

_DATABASE = "corpus.sqlite3"
_ATTEMPTS = 50  # to read what a writer keeps replacing

T = TypeVar("T")


class IndexFolder:
    """An index's database and derived files. Threads may share it."""

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self.derived = Derived(path)
        self._database = database

    @classmethod
    def open(cls, path: Path, *, create: bool) -> IndexFolder:
        """Open the index in the folder `path`, or make it. Raises IndexNotFound, IndexDamaged, IndexMismatch.

        Derived files that are missing, damaged or out of date are made again, if no other process is writing and the
        folder may be written to; otherwise a search will say so.
        """
        _check_folder(path, create)
        folder = cls(path, Database.open(path / _DATABASE))
        try:
            if folder._is_damaged():
                folder._mend_if_possible()
        except BaseException:
            folder.close()
            raise
        return folder

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        self._database.close()

    def read(self, read: Callable[[Store], T]) -> T:
        """What `read` gives for a store that stays at one generation."""
        for _ in range(_ATTEMPTS):
            try:
                with self._database.reading() as store:
                    return read(store)
            except Superseded:
                continue
        raise self._restless()

    def read_derived(self, read: Callable[[Store], T]) -> T:
        """The same for what uses the derived indexes, too. They are mended if they are damaged."""
        mended = -1
        for _ in range(_ATTEMPTS):
            generation = -1
            try:
                with self._database.reading() as store:
                    generation = store.generation()
                    self.derived.check(store)
                    return read(store)
            except Superseded:
                pass
            except FILE_ERRORS:
                if not self._is_to_blame(generation):
                    raise
            if self.read(Store.generation) == generation:
                if mended == generation:
                    break
                mended = self._mend()
        raise self._restless()

    @contextmanager
    def writing(self, wait: bool | float = False) -> Iterator[Writer]:
        """A writer, when no other is at work. On the way out, the batches that were finished are published.

        `wait` says how long to wait for another writer: not at all, as long as it takes, or a number of seconds.
        Raises IndexBusy, and CorpusError where nothing can be written.
        """
        with self._database.writing() as connection, locked(self.path, wait):
            writer = Writer(connection, self.derived)
            try:
                yield writer
            finally:
                writer.finish()

    def size(self) -> int:
        """Bytes in the folder, whatever comes and goes meanwhile."""
        size = 0
        for path, _, names in os.walk(self.path):
            for name in names:
                with suppress(FileNotFoundError):
                    size += Path(path, name).lstat().st_size
        return size

    def _is_to_blame(self, generation: int) -> bool:
        """Whether an error came of derived files that had gone or are damaged."""
        newest, problems = self.read(lambda store: (store.generation(), self.derived.problems(store, read_all=True)))
        return newest != generation or bool(problems)

    def _is_damaged(self) -> bool:
        """Whether derived files have to be made again.

        Files that are missing because a writer has replaced them meanwhile are no damage: mending would only keep that
        writer out.
        """
        for _ in range(_ATTEMPTS):
            generation, problems = self.read(lambda store: (store.generation(), self.derived.problems(store)))
            if not problems or self.read(Store.generation) == generation:
                return bool(problems)
        raise self._restless()

    def _mend(self) -> int:
        """Make damaged derived files again; returns the generation that has them."""
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
        return self.read(Store.generation)

    def _mend_if_possible(self) -> None:
        try:
            self._mend()
        except IndexDamaged:
            raise
        except CorpusError:
            return

    def _restless(self) -> CorpusError:
        return CorpusError(f"{self.path} changed while it was read, {_ATTEMPTS} times over: try again")


def _check_folder(folder: Path, create: bool) -> None:
    """That an index is in the folder, or may be made there."""
    database, used = folder / _DATABASE, (folder / "dense").is_dir() or (folder / "lexical").is_dir()
    if database.is_file() and (database.stat().st_size or not used):
        return
    if used and (folder / "write.lock").is_file():
        raise IndexDamaged(
            f"the database {database} is {'empty' if database.exists() else 'gone'}: put a copy of it back, or delete "
            "its folder and ingest again"
        )
    if not create:
        raise IndexNotFound(f"there is no index in {folder}: make one with `longctx ingest PATH --index {folder}`")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise IndexNotFound(f"{folder} is there already and is no index: name a new or an empty folder for one")
    folder.mkdir(parents=True, exist_ok=True)
