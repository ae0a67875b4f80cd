"""The files of the dense and the lexical index: brought up to date with the store, checked, and made again.

Their files are made under new names inside the store's transaction, whose COMMIT makes them the ones that readers use;
none is ever changed afterwards, and one that no generation names any more is deleted later. So a process that is killed
at any moment leaves the files of the last generation as they were, and some that nobody will miss.
"""

from __future__ import annotations

import json
import os
import shutil
import weakref
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexes.errors import CorpusError
from indexes.storage.dense import DenseIndex, DenseSearcher
from indexes.storage.lexical import LexicalIndex, LexicalSearcher
from indexes.storage.sqlite import DerivedFile, Store, Superseded

Status = tuple[int, int] | None  # bytes and time of a file, if it is there

_BLOCK = 1 << 20  # bytes
# What FAISS, tantivy and the system raise for a file that is missing or is not what it should be, or a full disk.
FILE_ERRORS = (OSError, RuntimeError, ValueError)


class HeldFiles:
    """Open descriptors of one generation's files, which tell what becomes of a file that a writer has deleted.

    tantivy's files are shared between generations by hard links, so one can be truncated under another name. The
    descriptors are closed when nothing refers to this object any more.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._descriptors: list[int] = []
        weakref.finalize(self, _close, self._descriptors)
        self._descriptors.extend(os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in paths)

    def statuses(self) -> list[Status]:
        """The status of each file now."""
        return [_status(descriptor) for descriptor in self._descriptors]


@dataclass(slots=True)
class Searchers:
    """What searches one generation of an index.

    Attributes:
        store: The store at that generation.
        dense: What searches the vectors.
        lexical: What searches the terms.
        statuses: The status of each of the generation's files when it was checked.
        hold: Opens the descriptors of those files.
        held: The descriptors, once they are open.
    """

    store: Store
    dense: DenseSearcher
    lexical: LexicalSearcher
    statuses: Sequence[Status]
    hold: Callable[[], HeldFiles]
    held: HeldFiles | None = None

    def open(self) -> None:
        """Open every file, so that it can be read after a writer has deleted it."""
        self.held = self.hold()
        self.check()
        if not self.store.is_empty():
            self.dense.open()
            self.lexical.open()

    def check(self) -> None:
        """Check that no file was altered in place: reading one that was truncated would kill the process.

        One that was deleted can still be read once `open` has opened it.

        Raises:
            Superseded: If one was.
        """
        if self.held is not None and self.held.statuses() != self.statuses:
            raise Superseded


class Derived:
    """The derived indexes in an index's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._whole: tuple[int, list[Status]] | None = None  # the last files that were found whole
        self._held: weakref.WeakValueDictionary[int, HeldFiles] = weakref.WeakValueDictionary()  # by generation
        self._open()

    def write(self, store: Store) -> None:
        """Make the files that go with the store as the open transaction leaves it, and record their names there.

        Args:
            store: The store of a writer.

        Raises:
            CorpusError: If they cannot be written; the transaction must then be rolled back.
        """
        known = {file.name: file for file in store.derived_files()}
        try:
            files = [*self.dense.sync(store), *self.lexical.sync(store)]
            store.set_derived_files([self._describe(file, known) for file in files])
        except FILE_ERRORS as error:
            raise CorpusError(
                f"the search indexes in {self._folder} could not be written ({error}): make room on the disk; "
                "what was in the index is whole"
            ) from error
        store.forget_removals()
        store.set_meta("published", _published(store))

    def clean(self, store: Store) -> None:
        """Delete the files that the store does not name: of older generations, and of writers that were killed."""
        named = {self._folder / file.name for file in store.derived_files()}
        folders = {file.parent for file in named}
        for folder in (self._folder / "dense", self._folder / "lexical"):
            for entry in folder.iterdir() if folder.is_dir() else ():
                if entry.is_dir() and not entry.is_symlink():
                    if entry not in folders:
                        shutil.rmtree(entry, ignore_errors=True)
                elif entry not in named:
                    entry.unlink(missing_ok=True)

    def searchers(self, store: Store) -> Searchers:
        """Prepare to search a generation.

        Args:
            store: The store at that generation.

        Returns:
            What searches it.

        Raises:
            Superseded: If files are missing or damaged, or were replaced.
        """
        paths = [self._folder / file.name for file in store.derived_files()]
        generation, statuses = store.generation(), [_status(path) for path in paths]
        if (generation, statuses) != self._whole and self.problems(store):
            raise Superseded
        self._whole = (generation, statuses)
        dense, lexical = DenseSearcher(self.dense, store), LexicalSearcher(self.lexical, store)
        return Searchers(store, dense, lexical, statuses, lambda: self._hold(generation, paths))

    def problems(self, store: Store, *, read_all: bool = False) -> list[str]:
        """Check the files of a generation.

        Args:
            store: The store at that generation.
            read_all: Whether to read every file; otherwise a file whose size and time have not changed is not read.

        Returns:
            What is wrong, a line each.
        """
        if store.generation() == 0:
            return []
        if store.meta("published") != _published(store):
            return ["the search indexes are behind the database"]
        if not self.lexical.is_current(store):
            return ["the lexical index was made by another version of longctx"]
        damaged = self._damaged(store, read_all)
        return [f"{self._folder / name} is missing or damaged: delete it, and it is made again" for name in damaged]

    def discard_damaged(self, store: Store) -> None:
        """Delete the damaged files, so that the next `write` makes them again, and close those that are open."""
        self._whole = None
        self._open()
        if store.meta("published") != _published(store):
            store.set_derived_files([])
            self.clean(store)
        for name in self._damaged(store, read_all=True):
            file = self._folder / name
            if file.parent == self._folder / "dense":
                file.unlink(missing_ok=True)
            else:  # a tantivy index is of one piece
                shutil.rmtree(file.parent, ignore_errors=True)

    def _hold(self, generation: int, paths: Iterable[Path]) -> HeldFiles:
        """The descriptors of a generation's files, shared by everybody who reads it."""
        held = self._held.get(generation)
        if held is None:
            held = self._held[generation] = HeldFiles(paths)
        return held

    def _open(self) -> None:
        self.dense = DenseIndex(self._folder / "dense")
        self.lexical = LexicalIndex(self._folder / "lexical")

    def _damaged(self, store: Store, read_all: bool) -> list[str]:
        return [file.name for file in store.derived_files() if not self._is_whole(file, read_all)]

    def _is_whole(self, file: DerivedFile, read_all: bool) -> bool:
        path = self._folder / file.name
        try:
            status = path.stat()
            if status.st_size != file.bytes:
                return False
            if status.st_mtime_ns == file.mtime_ns and not read_all:
                return True
            return _checksum(path) == file.checksum
        except OSError:
            return False

    def _describe(self, path: Path, known: dict[str, DerivedFile]) -> DerivedFile:
        status = path.stat()
        name = path.relative_to(self._folder).as_posix()
        for old in known.values():  # the same file, or another name of it: tantivy's are shared between generations
            if Path(old.name).name == path.name and (old.bytes, old.mtime_ns) == (status.st_size, status.st_mtime_ns):
                return old._replace(name=name)
        return DerivedFile(name, status.st_size, status.st_mtime_ns, _checksum(path))


def _published(store: Store) -> str:
    """The generation, and a checksum of what says which files go with it."""
    segments, files, unfiled = sorted(store.vectors.segments().items()), store.derived_files(), store.vectors.unfiled()
    named = [store.generation(), segments, store.meta("lexical"), files, *([unfiled] if unfiled else [])]
    return f"{named[0]}-{zlib.crc32(json.dumps(named).encode()):08x}"


def _status(file: Path | int) -> Status:
    """The status of a path or an open descriptor."""
    try:
        status = os.stat(file)  # noqa: PTH116
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _checksum(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            total = zlib.crc32(block, total)
    return total
