"""Whether a file has changed, as far as its status tells without opening it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

# A file written so lately may be written again without a change of its times: they are coarse, two seconds on FAT.
# git calls such a file 'racily clean' and compares its contents, too (Documentation/technical/racy-git.txt).
_RACY = 2 * 10**9  # nanoseconds


@dataclass(frozen=True, slots=True)
class FileStatus:
    """A file's status before it was read: `stamp`, which an unchanged file has again, and when it was last written.

    `stamp` is None where an equal one would prove nothing. `modified` is as in `Document`.
    """

    stamp: str | None
    modified: str | None

    @classmethod
    def of(cls, path: Path, version: str) -> FileStatus:
        """The status of the file at `path`, links followed; without a stamp and a date if it cannot be had.

        A stamp of another `version`, which says how files are read, is another stamp.
        """
        now = time.time_ns()
        try:
            status = os.stat(path)  # noqa: PTH116 - half the time of Path.stat, for every file of a corpus
        except OSError:
            return cls(None, None)
        parts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, version)
        is_racy = max(status.st_mtime_ns, status.st_ctime_ns) > now - _RACY
        return cls(None if is_racy else ":".join(map(str, parts)), _date(status.st_mtime))


def _date(seconds: float) -> str | None:
    """In UTC; None if it is beyond the calendar."""
    try:
        return datetime.fromtimestamp(int(seconds), timezone.utc).isoformat().replace("+00:00", "Z")
    except (OSError, OverflowError, ValueError):
        return None
