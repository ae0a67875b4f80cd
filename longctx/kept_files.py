"""Files that are kept in a folder to save work, of a bounded size together: the least recently used go first."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SUFFIX = ".safetensors"
_NAME = re.compile(r"[0-9a-f]{32}\.safetensors")  # no model's own weights, should the folder be a link to them


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that is kept.

    Attributes:
        path: The file.
        nbytes: Its size.
        used: When it was last used, in seconds since the epoch.
    """

    path: Path
    nbytes: int
    used: float


def kept_files(folder: Path) -> list[KeptFile]:
    """The files that are kept in a folder.

    Args:
        folder: The folder.

    Returns:
        The files that are named by a hash, the most recently used last.
    """
    found = []
    with suppress(OSError):  # no such folder, or none that can be read
        for entry in os.scandir(folder):
            with suppress(FileNotFoundError):  # another process has removed it
                if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    stat = entry.stat(follow_symlinks=False)
                    found.append(KeptFile(Path(entry.path), stat.st_size, stat.st_mtime))
    return sorted(found, key=lambda file: file.used)


def make_room(folder: Path, size: int, limit: int) -> None:
    """Remove files until another one has room beside those that stay.

    Args:
        folder: The folder.
        size: The size of the other file, in bytes.
        limit: The most that all files may take, in bytes.

    Raises:
        OSError: If a file cannot be removed.
    """
    files = kept_files(folder)
    total = sum(file.nbytes for file in files) + size
    while files and total > limit:
        oldest = files.pop(0)
        oldest.path.unlink(missing_ok=True)
        total -= oldest.nbytes
