"""The files of the dense and the lexical index: updated with the store, checked, and made again when damaged.

New files are written under new names inside the store's transaction, and its COMMIT publishes them. A published file
is never changed, and it is deleted once no generation names it. So a process may be killed at any moment: the files of
the last generation are intact, and leftovers are cleaned up by the next writer.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import weakref
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from indexes.errors import CorpusError
from indexes.storage.content_check import ContentCheck
from indexes.storage.dense import DenseIndex, DenseSearcher
from indexes.storage.file_access import DISK_FAILS, HeldFolder, Status, status_of, unreadable
from indexes.storage.lexical import LexicalIndex, LexicalSearcher
from indexes.storage.sqlite import DerivedFile, Store, Superseded

_BLOCK = 1 << 20  # bytes
# What FAISS, tantivy and the system raise for a file that is missing or is not what it should be, or a full disk.
FILE_ERRORS = (OSError, RuntimeError, ValueError)
_IO_ERRORS = (os.strerror(errno.EIO), f"os error {errno.EIO}")


class HeldFiles:
    """The open files of one generation, to notice when one is truncated after a writer has deleted it.

    tantivy's files are shared between generations by hard links, so one can be truncated under another name. The
    files are closed when nothing refers to this object any more.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        opened = ExitStack()
        weakref.finalize(self, opened.close)
        self._files = [opened.enter_context(path.open("rb", buffering=0)) for path in paths]

    def statuses(self) -> list[Status]:
        """The present status of each file."""
        return [status_of(file.fileno()) for file in self._files]


@dataclass(slots=True)
class Searchers:
    """The search indexes of one generation.

    Attributes:
        store: The store at that generation.
        dense: Search by vectors.
        lexical: Search by terms.
        statuses: The status of each of the generation's files when it was checked.
        hold: Opens those files.
        has_damage: Waits until the content of all of them has been checked, and says whether one is damaged.
        held: The files, once they are open.
    """

    store: Store
    dense: DenseSearcher
    lexical: LexicalSearcher
    statuses: Sequence[Status]
    hold: Callable[[], HeldFiles]
    has_damage: Callable[[], bool]
    held: HeldFiles | None = None

    def open(self) -> None:
        """Open every file, so that it can be read after a writer has deleted it."""
        self.held = self.hold()
        self.check()
        if not self.store.is_empty():
            _ = self.dense.opened, self.lexical.opened

    def check(self) -> None:
        """Check that no file was altered in place: reading one that was truncated would kill the process.

        One that was deleted can still be read once `open` has opened it.

        Raises:
            Superseded: If one was.
        """
        if self.held is not None and self.held.statuses() != self.statuses:
            raise Superseded

    def confirm(self) -> None:
        """Check, after a search, that it has read what was written.

        Raises:
            Superseded: If a file is damaged.
        """
        if self.has_damage():
            raise Superseded


class Derived:
    """The dense and the lexical index in an index's folder, which are derived from its database.

    Attributes:
        folder: A path to the folder, also if its name goes to another one.
    """

    def __init__(self, folder: Path) -> None:
        self._shown, self._held_folder = folder, HeldFolder(folder)
        self.folder = self._held_folder.path
        self._whole: tuple[int, list[Status]] | None = None  # the last files that were found whole
        self._held: weakref.WeakValueDictionary[int, HeldFiles] = weakref.WeakValueDictionary()  # by generation
        self._contents = ContentCheck(self._is_whole_if_there)
        self._open()

    def write(self, store: Store) -> None:
        """Write the files that belong to the store's new generation, and record them in its open transaction.

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
                f"the search indexes in {self._shown} could not be written ({self._as_shown(error)}): "
                f"{_remedy(error)}; what was in the index is whole"
            ) from error
        store.forget_removals()
        store.set_meta("published", _published(store))

    def clean(self, store: Store) -> None:
        """Delete the files that the store does not name: of older generations, and of writers that were killed."""
        named = {self.folder / file.name for file in store.derived_files()}
        folders = {file.parent for file in named}
        with suppress(OSError):  # the next writer tries again
            for folder in (self.folder / "dense", self.folder / "lexical"):
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
            Its search indexes, which are opened when they are first used.

        Raises:
            Superseded: If files are missing or damaged, or were replaced.
        """
        files = store.derived_files()
        paths = [self.folder / file.name for file in files]
        generation, statuses = store.generation(), [status_of(path) for path in paths]
        if (generation, statuses) != self._whole and self.problems(store):
            raise Superseded
        self._whole = (generation, statuses)
        self._contents.begin(files)
        if self._contents.is_damaged(files, wait=False):
            raise Superseded
        dense, lexical = DenseSearcher(self.dense, store), LexicalSearcher(self.lexical, store)
        held, damage = partial(self._hold, generation, paths), partial(self._contents.is_damaged, files, wait=True)
        return Searchers(store, dense, lexical, statuses, held, damage)

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
        return [f"{self._shown / name} is missing or damaged: delete it, and it is made again" for name in damaged]

    def discard_damaged(self, store: Store) -> None:
        """Delete the damaged files, so that the next `write` makes them again, and close those that are open."""
        self._whole = None
        self._contents.forget()
        self._open()
        if store.meta("published") != _published(store):
            store.set_derived_files([])
            self.clean(store)
        for name in self._damaged(store, read_all=True):
            file = self.folder / name
            if file.parent != self.folder / "dense":  # a tantivy index is of one piece
                shutil.rmtree(file.parent, ignore_errors=True)
            elif file.is_dir():
                shutil.rmtree(file, ignore_errors=True)
            else:
                file.unlink(missing_ok=True)

    def are_damaged(self, store: Store) -> bool:
        """Whether a writer has to make files again: their content is read, too, once in a process.

        Args:
            store: The store of a writer.

        Returns:
            True if a file is missing or damaged.
        """
        if self.problems(store):
            return True
        files = store.derived_files()
        self._contents.begin(files)
        return self._contents.is_damaged(files, wait=True)

    def _hold(self, generation: int, paths: Iterable[Path]) -> HeldFiles:
        """The open files of a generation, shared by all who read it."""
        held = self._held[generation] = self._held.get(generation) or HeldFiles(paths)
        return held

    def _open(self) -> None:
        self.dense = DenseIndex(self.folder / "dense")
        self.lexical = LexicalIndex(self.folder / "lexical")

    def _damaged(self, store: Store, read_all: bool) -> list[str]:
        return [file.name for file in store.derived_files() if not self._is_whole(file, read_all)]

    def _is_whole_if_there(self, file: DerivedFile) -> bool | None:
        return self._is_whole(file, read_all=True) if (self.folder / file.name).exists() else None

    def _is_whole(self, file: DerivedFile, read_all: bool) -> bool:
        path = self.folder / file.name
        try:
            status = path.stat()
            if status.st_size != file.bytes:
                return False
            if status.st_mtime_ns == file.mtime_ns and not read_all:
                return True
            return _checksum(path) == file.checksum
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:  # what cannot be read need not be damaged
            raise unreadable(self._shown / file.name, error) from error

    def _as_shown(self, error: Exception) -> str:
        return str(error).replace(str(self.folder), str(self._shown))

    def _describe(self, path: Path, known: dict[str, DerivedFile]) -> DerivedFile:
        status = path.stat()
        name = path.relative_to(self.folder).as_posix()
        for old in known.values():  # the same file, or another name of it: tantivy's are shared between generations
            if Path(old.name).name == path.name and (old.bytes, old.mtime_ns) == (status.st_size, status.st_mtime_ns):
                return old._replace(name=name)
        return DerivedFile(name, status.st_size, status.st_mtime_ns, _checksum(path))


def _remedy(error: Exception) -> str:
    """What to do about files that could not be written; FAISS and tantivy state the system's error in words."""
    fails = getattr(error, "errno", None) == errno.EIO or any(said in str(error) for said in _IO_ERRORS)
    return DISK_FAILS if fails else "make room on the disk"


def _published(store: Store) -> str:
    """The generation, and a checksum of what says which files go with it."""
    segments, files, unfiled = sorted(store.vectors.segments().items()), store.derived_files(), store.vectors.unfiled()
    named = [store.generation(), segments, store.meta("lexical"), files, *([unfiled] if unfiled else [])]
    return f"{named[0]}-{zlib.crc32(json.dumps(named).encode()):08x}"


def _checksum(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            total = zlib.crc32(block, total)
    return total
