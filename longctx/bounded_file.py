"""Reading files that are small if they are what they should be: a device has no end, and a pipe may never begin."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

MOST_BYTES = 100_000_000

_KINDS = {stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def read_bounded(path: Path, *, pipe: bool = False) -> bytes:
    """Read a file, as `Path.read_bytes` does, if it is a regular one of at most MOST_BYTES bytes.

    Args:
        path: The file.
        pipe: Whether a pipe that something is written to is read, too, such as a shell's `<(command)`.

    Returns:
        All of its bytes.

    Raises:
        OSError: If it is something else, or longer, or the system refuses; `strerror` says what is wrong.
    """
    check_kind(path, pipe=pipe)
    # without waiting for a pipe that nothing is written to, or that has just taken the file's place
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        os.set_blocking(descriptor, True)
        data = file.read(MOST_BYTES + 1)
    _check_length(len(data))
    if not data and path.is_fifo():
        raise OSError(errno.EINVAL, "it is a pipe that nothing is written to")
    return data


def read_bounded_text(file: IO[str]) -> str:
    """Read a stream to its end. Raises OSError, as `read_bounded`, for one of more than MOST_BYTES characters."""
    text = file.read(MOST_BYTES + 1)
    _check_length(len(text))
    return text


def check_kind(path: Path, *, pipe: bool = False) -> None:
    """Check that a path names a regular file.

    Args:
        path: The path.
        pipe: Whether a pipe will do.

    Raises:
        OSError: If it is something else, or there is nothing; `strerror` says what is wrong.
    """
    kind = stat.S_IFMT(path.stat().st_mode)
    if kind == stat.S_IFDIR:
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if kind != stat.S_IFREG and not (pipe and kind == stat.S_IFIFO):
        raise OSError(errno.EINVAL, f"it is {_KINDS.get(kind, 'something else')}, and no file")


def _check_length(length: int) -> None:
    if length > MOST_BYTES:
        raise OSError(errno.EFBIG, f"it has over {MOST_BYTES // 1_000_000:,} MB")
