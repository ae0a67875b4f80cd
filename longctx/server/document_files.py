"""The files that documents were made from. Only bytes whose hash is in the index are ever returned."""

from __future__ import annotations

import os
import threading
from os.path import realpath
from typing import NamedTuple

from indexes import CorpusIndex, ReadLimits


class _Status(NamedTuple):
    """What tells a file from another one, and from itself after a change."""

    path: str
    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


class DocumentFiles:
    """The files of an index's documents. Threads may share it.

    The file that was read last is kept until it changes: a PDF is asked for page by page, and each time it would be
    read and hashed as a whole.

    Args:
        index: The index.
        limits: The longest file.
    """

    def __init__(self, index: CorpusIndex, limits: ReadLimits) -> None:
        self._index, self._limits = index, limits
        self._kept: tuple[str, _Status, bytes] | None = None
        self._lock = threading.Lock()

    def read(self, source: str) -> bytes:
        """Read the file that a document was made from.

        Args:
            source: The document's source.

        Returns:
            Its bytes.

        Raises:
            UnreadableFile: If the file has gone or is not as it was when it was ingested.
        """
        with self._lock:  # two pages of a file that are asked for at once read it once
            status = _status(source)
            if status is not None and self._kept is not None and self._kept[:2] == (source, status):
                return self._kept[2]
            self._kept = None
            data = self._index.read_file(source, self._limits)
            if status is not None:
                self._kept = source, status, data
            return data


def _status(source: str) -> _Status | None:
    try:
        path = realpath(source)
        found = os.lstat(path)
    except (OSError, ValueError):
        return None
    return _Status(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
