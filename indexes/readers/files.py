"""Files to bytes: regular files only, never over the size limit; every failure is one line for the user."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from indexes.errors import EmptyFile, UnreadableFile
from indexes.readers.base import DEFAULT_LIMITS, ReadLimits
from indexes.readers.folders import NO_LINK, folder_of

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # not to wait for a pipe that took the file's place
_BLOCK = 1 << 20  # bytes
_REASONS = {
    errno.EACCES: "no permission to read it",
    errno.EPERM: "no permission to read it",
    errno.ENOENT: "vanished before it could be read",
    errno.ENOTDIR: "vanished before it could be read",
    errno.ELOOP: "a loop of links",
    errno.ENAMETOOLONG: "its path is too long for the system",
    errno.EISDIR: "a folder, not a file",
}
# By the first letter of `ls -l`.
_KINDS = {"l": "a link", "d": "a folder", "p": "a named pipe", "s": "a socket", "c": "a device", "b": "a device"}


def read_bytes(path: Path, limits: ReadLimits = DEFAULT_LIMITS, *, root: str | None = None) -> bytes:
    """Read a regular file.

    Args:
        path: The file.
        limits: `max_bytes` holds even if the file grows while it is read.
        root: A folder above it; no link below that is followed, and both paths have their links resolved. None follows
            links.

    Returns:
        All of its bytes.

    Raises:
        UnreadableFile: For another kind of file, one that is too large, and one that the system refuses.
        EmptyFile: For a file of no bytes.
    """
    try:
        with folder_of(str(path), root) as (folder, name):
            # before opening: to open a device can do something
            check_regular(os.stat(name, dir_fd=folder, follow_symlinks=root is None).st_mode)
            descriptor = os.open(name, _READ if root is None else _READ | NO_LINK, dir_fd=folder)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            check_regular(status.st_mode)
            data = _read_at_most(file.read, limits.max_bytes, status.st_size)
    except OSError as error:
        raise UnreadableFile(os_reason(error)) from error
    if not data:
        raise EmptyFile("empty file")
    return data


def check_regular(mode: int) -> None:
    """Check that a file is a regular one.

    Args:
        mode: The file's `st_mode`.

    Raises:
        UnreadableFile: For a folder, a pipe, a device and so on.
    """
    if not stat.S_ISREG(mode):
        raise UnreadableFile(f"not a regular file, but {_KINDS.get(stat.filemode(mode)[0], 'something else')}")


def os_reason(error: OSError) -> str:
    """Explain an error of the operating system.

    Args:
        error: The error.

    Returns:
        One line for the user, without the file's name.
    """
    return _REASONS.get(error.errno or 0) or f"cannot be read: {error.strerror or type(error).__name__}"


def check_size(size: int, limit: int) -> None:
    """Check that a file is not too large.

    Args:
        size: Its size in bytes.
        limit: The most.

    Raises:
        UnreadableFile: If it is.
    """
    if size > limit:
        raise UnreadableFile(
            f"over the size limit of {_megabytes(limit)} (it has {_megabytes(size)}); raise --max-size"
        )


def _read_at_most(read: Callable[[int], bytes | None], limit: int, size: int) -> bytes:
    """Read to the end. `size` is the size that the system stated, which the file may exceed by now."""
    blocks: list[bytes] = []
    total = 0
    while max(total, size) <= limit and (block := read(_BLOCK)):
        blocks.append(block)
        total += len(block)
    check_size(max(total, size), limit)
    return b"".join(blocks)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f} MB" if count >= 10_000_000 else f"{count:,} bytes"
