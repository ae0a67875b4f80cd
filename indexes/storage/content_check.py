"""Checking the content of derived files, each once in a process.

A file whose size and time are those recorded may still have a bit flipped. Few bytes are read before they are used;
many, as those of a million chunks, in a thread beside the search, which waits for it before it gives its hits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from indexes.errors import CorpusError
from indexes.storage.sqlite import DerivedFile

_AT_ONCE = 32 << 20  # bytes that are read before anything else goes on: some hundredths of a second

_Key = tuple[str, int, int, int]


class ContentCheck:
    """The files of an index that have been checked. Threads may share it.

    Args:
        is_whole: Reads a file, and compares it with its record; None if a writer has deleted it. Raises CorpusError if
            the disk fails.
    """

    def __init__(self, is_whole: Callable[[DerivedFile], bool | None]) -> None:
        self._is_whole = is_whole
        self._lock = threading.Lock()
        self._found: dict[_Key, bool | CorpusError] = {}
        self._thread: threading.Thread | None = None

    def begin(self, files: Sequence[DerivedFile]) -> None:
        """Check the files that have not been checked, in a thread if there is much to read."""
        with self._lock:
            new = [file for file in files if _key(file) not in self._found]
        if sum(file.bytes for file in new) <= _AT_ONCE:
            self._check(new)
        else:
            self._thread = threading.Thread(target=self._check, args=(new,), daemon=True)
            self._thread.start()

    def is_damaged(self, files: Sequence[DerivedFile], *, wait: bool) -> bool:
        """Whether one of the files is known to be damaged.

        Args:
            files: The files.
            wait: Whether to wait until all have been checked.

        Returns:
            True if the content of one is not what was written.

        Raises:
            CorpusError: If one could not be read.
        """
        thread = self._thread
        if wait and thread is not None:
            thread.join()
        with self._lock:
            found = [self._found.get(_key(file), True) for file in files]
        for each in found:
            if isinstance(each, CorpusError):
                self.forget()
                raise CorpusError(*each.args) from each
        return not all(found)

    def forget(self) -> None:
        """Check every file again when it is next used."""
        with self._lock:
            self._found.clear()

    def _check(self, files: Sequence[DerivedFile]) -> None:
        for file in files:
            try:
                found: bool | CorpusError | None = self._is_whole(file)
            except CorpusError as error:
                found = error
            if found is not None:
                with self._lock:
                    self._found[_key(file)] = found


def _key(file: DerivedFile) -> _Key:
    """What a file is known by: generations share files of the lexical index under names in other folders."""
    return file.name.rpartition("/")[2], file.bytes, file.mtime_ns, file.checksum
