"""The status by which an unchanged file is recognized."""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone
from typing import NamedTuple


class FileStat(NamedTuple):
    """What is looked at of a file's `os.stat_result`, which takes three times as much memory."""

    st_size: int
    st_mtime_ns: int
    st_ctime_ns: int
    st_ino: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileStat:
        """The same of a whole status."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


# A file that was written this recently may be written again without a change of its times, which are coarse: two
# seconds on FAT. git calls such a file 'racily clean' and compares its contents, too
# (Documentation/technical/racy-git.txt).
_RACY = 2 * 10**9  # nanoseconds


class FileStatus(NamedTuple):
    """The status of a file before it was read.

    Attributes:
        stamp: Equal for a file that has not changed; None where that would prove nothing.
        modified: When it was last written, as in `Document`; None if that is beyond the calendar.
    """

    stamp: str | None
    modified: str | None


def file_status(status: FileStat, version: str) -> FileStatus:
    """The status to store of a file that is about to be read.

    Args:
        status: The file's status, taken before.
        version: How files are read; in another version, the stamp is another.

    Returns:
        The stamp, and the time of the last change.
    """
    stamp: str | None = f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}:{version}"
    if max(status.st_mtime_ns, status.st_ctime_ns) > time.time_ns() - _RACY:
        stamp = None
    return FileStatus(stamp, written_at(status.st_mtime_ns))


def written_at(nanoseconds: int) -> str | None:
    """Write a time as in `Document.modified`; None for one beyond the calendar."""
    try:
        written = datetime.fromtimestamp(nanoseconds // 10**9, timezone.utc)
    except (OSError, OverflowError, ValueError):
        return None
    return written.isoformat().replace("+00:00", "Z")


def version_of(stamp: str) -> str:
    """How a file was read.

    Args:
        stamp: A stamp of `file_status`.

    Returns:
        The version that it was made with.
    """
    return stamp.split(":", 4)[-1]
