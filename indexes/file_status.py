"""Whether a file has changed, as far as its status tells without opening it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime, timezone

# A file written so lately may be written again without a change of its times: they are coarse, two seconds on FAT.
# git calls such a file 'racily clean' and compares its contents, too (Documentation/technical/racy-git.txt).
_RACY = 2 * 10**9  # nanoseconds


@dataclass(frozen=True, slots=True)
class FileStatus:
    """A file's status before it was read: `stamp`, which an unchanged file has again, and when it was last written.

    `stamp` is None where an equal one would prove nothing.
    """

    stamp: str | None
    seconds: float

    @classmethod
    def of(cls, status: os.stat_result, version: str) -> FileStatus:
        """What a status says that was taken just now.

        A stamp of another `version`, which says how files are read, is another stamp.
        """
        racy = time.time_ns() - _RACY
        if status.st_mtime_ns > racy or status.st_ctime_ns > racy:
            return cls(None, status.st_mtime)
        stamp = f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}:{version}"
        return cls(stamp, status.st_mtime)

    @property
    def modified(self) -> str | None:
        """The date as in `Document`; None if it is beyond the calendar."""
        try:
            return datetime.fromtimestamp(int(self.seconds), timezone.utc).isoformat().replace("+00:00", "Z")
        except (OSError, OverflowError, ValueError):
            return None
