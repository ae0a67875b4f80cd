"""The files of the dense and the lexical index: updated with the store, checked, and made again when damaged.

New files are written under new names inside the store's transaction, and its COMMIT publishes them. A published file
is never changed, and it is deleted once no generation names it. So a process may be killed at any moment: the files of
the last generation are intact, and leftovers are cleaned up by the next writer.
"""

from __future__ import annotations

import errno
import json
import os
import re
import weakref
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from indexes.errors import CorpusError
from indexes.storage.content_check import ContentCheck
from indexes.storage.dense import DenseIndex, DenseSearcher
from indexes.storage.file_access import DISK_FAILS, Status, status_of, unreadable
from indexes.storage.held_folder import HeldFolder
from indexes.storage.lexical import LexicalIndex, LexicalSearcher, is_folder_name
from indexes.storage.sqlite import DerivedFile, Store, Superseded

_BLOCK = 1 << 20  # bytes
_DENSE_NAME = re.compile(r"(model-)?\d+-[\d-]+\.(faiss|partial)")
_OLD_LEXICAL_NAME = re.compile(
    r"[0-9a-f]{32}(\.\w+)+|(meta|\.managed|generation)\.json|\.tantivy-\w+\.lock"
)  # format 1
_LEXICAL_NAME = re.compile(r"\.?\w[\w-]*(\.[\w-]+)*")
# What FAISS, tantivy and the system raise for a file that is missing or is not what it should be, or a full disk.
FILE_ERRORS = (OSError, RuntimeError, ValueError)
_IO_ERRORS = (os.strerror(errno.EIO), f"os error {errno.EIO}")


class HeldFiles:
    """The open files of one generation, to notice when one is truncated after a writer has deleted it.

    tantivy's files are shared between generations by hard links, so one can be truncated under another name. The
    files are closed when nothing refers to this object any more.
    """

    def __init__(self, files: Iterable[BinaryIO]) -> None:
        opened = ExitStack()
        weakref.finalize(self, opened.close)
        self._files = [opened.enter_context(file) for file in files]

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
        folder: The folder, which is the same also if its name goes to another one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = HeldFolder(folder)
        self._whole: tuple[int, list[Status]] | None = None  # the last files that were found whole
        self._held: weakref.WeakValueDictionary[int, HeldFiles] = weakref.WeakValueDictionary()  # by generation
        self._contents = ContentCheck(self._has_its_content)
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
                f"the search indexes in {self.folder.shown} could not be written ({self._as_shown(error)}): "
                f"{_remedy(error)}; what was in the index is whole"
            ) from error
        store.forget_removals()
        store.set_meta("published", _published(store))

    def clean(self, store: Store) -> None:
        """Delete the files that the store does not name: of older generations, and of writers that were killed.

        What has no name that longctx gives is left alone.
        """
        named = {file.name for file in store.derived_files()}
        folders = {name.rpartition("/")[0] for name in named}
        with suppress(OSError, CorpusError):  # the next writer tries again
            if (dense := self.folder.inner("dense")) is not None:
                for name in dense.names():
                    if _DENSE_NAME.fullmatch(name) and f"dense/{name}" not in named:
                        _remove(dense, name)
            if (lexical := self.folder.inner("lexical")) is not None:
                for name in lexical.names():
                    is_ours = is_folder_name(name) or _OLD_LEXICAL_NAME.fullmatch(name)
                    if is_ours and f"lexical/{name}" not in folders:
                        _remove(lexical, name)

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
        generation, statuses = store.generation(), self._statuses(files)
        if (generation, statuses) != self._whole and self.problems(store):
            raise Superseded
        self._whole = (generation, statuses)
        self._contents.begin(files)
        if self._contents.is_damaged(files, wait=False):
            raise Superseded
        dense, lexical = DenseSearcher(self.dense, store), LexicalSearcher(self.lexical, store)
        held, damage = partial(self._hold, generation, files), partial(self._contents.is_damaged, files, wait=True)
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
        if not _is_published(store):
            return ["the search indexes are behind the database"]
        if not self.lexical.is_current(store):
            return ["the lexical index was made by another version of longctx"]
        damaged = self._damaged(store, read_all)
        return [
            f"{self.folder.shown / name} is missing or damaged: delete it, and it is made again" for name in damaged
        ]

    def discard_damaged(self, store: Store) -> None:
        """Delete the damaged files, so that the next `write` makes them again, and close those that are open."""
        self._whole = None
        self._contents.forget()
        self._open()
        if not _is_published(store):
            store.set_derived_files([])
            self.clean(store)
        for name in self._damaged(store, read_all=True):
            if name.startswith("lexical/"):
                store.set_meta("lexical", "")  # it is of one piece, and made anew
            elif (dense := self.folder.inner("dense")) is not None and dense.status(name.partition("/")[2]) is not None:
                dense.remove(name.partition("/")[2])

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

    def _hold(self, generation: int, files: Iterable[DerivedFile]) -> HeldFiles:
        """The open files of a generation, shared by all who read it."""
        if (held := self._held.get(generation)) is None:
            held = self._held[generation] = HeldFiles(self._opened(file) for file in files)
        return held

    def _open(self) -> None:
        self.dense = DenseIndex(self.folder)
        self.lexical = LexicalIndex(self.folder)

    def _place(self, file: DerivedFile) -> tuple[HeldFolder, str] | None:
        """The folder that a file is in, and its name there; None if there is no such folder, or one of ours."""
        if not _is_ours(file.name):
            return None
        *folders, name = file.name.split("/")
        place: HeldFolder | None = self.folder
        for each in folders:
            place = None if place is None else place.inner(each)
        return None if place is None else (place, name)

    def _opened(self, file: DerivedFile) -> BinaryIO:
        """Open a file, to be read. Raises OSError."""
        if (place := self._place(file)) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.folder.shown / file.name))
        return place[0].open(place[1])

    def _statuses(self, files: Iterable[DerivedFile]) -> list[Status]:
        """The present status of each file."""
        folders: dict[str, HeldFolder | None] = {}
        statuses = []
        for file in files:
            parent, _, name = file.name.rpartition("/")
            if parent not in folders:
                place = self._place(file)
                folders[parent] = None if place is None else place[0]
            folder = folders[parent]
            statuses.append(None if folder is None else folder.status(name))
        return statuses

    def _damaged(self, store: Store, read_all: bool) -> list[str]:
        return [file.name for file in store.derived_files() if not self._is_whole(file, read_all)]

    def _is_whole(self, file: DerivedFile, read_all: bool) -> bool:
        [status] = self._statuses([file])
        if status is None or status[0] != file.bytes:
            return False
        return (status[1] == file.mtime_ns and not read_all) or self._has_its_content(file) is True

    def _has_its_content(self, file: DerivedFile) -> bool | None:
        """Whether a file holds what was written; None if there is none, as where a writer has just deleted it."""
        try:
            with self._opened(file) as stream:
                return os.fstat(stream.fileno()).st_size == file.bytes and _checksum(stream) == file.checksum
        except FileNotFoundError:
            return None
        except OSError as error:  # what cannot be read need not be damaged
            raise unreadable(self.folder.shown / file.name, error) from error

    def _as_shown(self, error: Exception) -> str:
        return str(error).replace(str(self.folder.path), str(self.folder.shown))

    def _describe(self, name: str, known: dict[str, DerivedFile]) -> DerivedFile:
        file = DerivedFile(name, 0, 0, 0)
        with self._opened(file) as stream:
            status = os.fstat(stream.fileno())
            for old in known.values():  # the same file, or another name of it: tantivy's are shared by generations
                is_same = (old.bytes, old.mtime_ns) == (status.st_size, status.st_mtime_ns)
                if is_same and old.name.rpartition("/")[2] == name.rpartition("/")[2]:
                    return old._replace(name=name)
            return DerivedFile(name, status.st_size, status.st_mtime_ns, _checksum(stream))


def _remove(folder: HeldFolder, name: str) -> None:
    """Remove a file, or a folder with its files; one that holds folders, which longctx never makes, stays."""
    with suppress(OSError):
        folder.remove(name)


def _remedy(error: Exception) -> str:
    """What to do about files that could not be written; FAISS and tantivy state the system's error in words."""
    if getattr(error, "errno", None) == errno.EIO or any(said in str(error) for said in _IO_ERRORS):
        return DISK_FAILS
    is_refused = isinstance(error, PermissionError) or os.strerror(errno.EACCES) in str(error)
    return "make them and their folders writable" if is_refused else "make room on the disk"


def _published(store: Store) -> str:
    """The generation, and a checksum of what says which files go with it."""
    segments, files, unfiled = sorted(store.vectors.segments().items()), store.derived_files(), store.vectors.unfiled()
    named = [store.generation(), segments, store.meta("lexical"), files, *([unfiled] if unfiled else [])]
    return f"{named[0]}-{zlib.crc32(json.dumps(named).encode()):08x}"


def _is_published(store: Store) -> bool:
    """Whether the store's derived files are those of its generation, and are called as longctx calls them."""
    return store.meta("published") == _published(store) and all(_is_ours(file.name) for file in store.derived_files())


def _is_ours(name: str) -> bool:
    """Whether longctx may have called a file so; an index may be somebody else's, with names that lead out of it."""
    match name.split("/"):
        case ["dense", file]:
            return _DENSE_NAME.fullmatch(file) is not None
        case ["lexical", folder, file]:
            return is_folder_name(folder) and _LEXICAL_NAME.fullmatch(file) is not None
    return False


def _checksum(file: BinaryIO) -> int:
    total = 0
    while block := file.read(_BLOCK):
        total = zlib.crc32(block, total)
    return total
