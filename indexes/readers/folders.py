# ruff: noqa: PTH118, PTH206, PTH208
"""Opening what lies in a folder, without following a link on the way to it.

A path is looked up anew each time that it is used. Whoever can write to a folder can put a link in the place of a file,
or of a folder above it, between the moment when it is looked at and the moment when it is opened. So each name on the
way is opened in the folder that was opened before it (openat(2) with O_NOFOLLOW), where the platform can do that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_IS_SAFE = {os.open, os.stat} <= os.supports_dir_fd and os.listdir in os.supports_fd
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_DIRECTORY", 0) | NO_LINK


@contextmanager
def folder_of(path: str, root: str | None) -> Iterator[tuple[int | None, str]]:
    """Open the folder that a file lies in, for a `with` block.

    Args:
        path: The path of a file or a folder, with links resolved.
        root: A folder above it, with links resolved; no link is followed below it. None follows links.

    Yields:
        What `dir_fd` takes, and the name there. Raises OSError, also where there is a link on the way.
    """
    if root is None or path == root or not _IS_SAFE:
        yield None, path
        return
    *folders, name = os.path.relpath(path, root).split(os.sep)
    descriptor = os.open(root, _FOLDER)
    try:
        for folder in folders:
            inner = os.open(folder, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor, name
    finally:
        os.close(descriptor)


def statuses_in(path: str, root: str) -> dict[str, os.stat_result | OSError]:
    """List a folder, with the status of each entry, which for a link is its own.

    Args:
        path: The folder, with links resolved.
        root: A folder above it, or the same; no link is followed below it.

    Returns:
        Statuses by names; the error where there is none.

    Raises:
        OSError: If it cannot be listed, also where there is a link on the way.
    """
    os.lstat(path)  # whose errors say the most, such as that a path is too long
    if not _IS_SAFE:
        return {name: _status(os.path.join(path, name)) for name in os.listdir(path)}
    with folder_of(path, root) as (above, name):
        descriptor = os.open(name, _FOLDER, dir_fd=above)
    try:
        return {name: _status(name, descriptor) for name in os.listdir(descriptor)}
    finally:
        os.close(descriptor)


def _status(path: str, folder: int | None = None) -> os.stat_result | OSError:
    try:
        return os.stat(path, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        return error
