"""Atomic file writes: a reader finds the old file or the new one, whole, even if the writer is killed."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

_OURS = re.compile(r"\.[0-9a-f]{32}\.\w+\.lock")  # without its folder, too: no other program names a lock so


def write_atomically(
    path: Path, write: Callable[[Path], Any], *, overwrite: bool = True, private: bool = False
) -> None:
    """Write a file in a temporary folder beside it that nobody else can enter, flush it to disk and move it.

    The name of the temporary folder and that of the lock follow from `path`, so that whatever a killed writer leaves is
    removed by the next write of a file in the same folder. Threads and processes that write one file wait for each
    other.

    Args:
        path: The file to create or replace.
        write: Called with the temporary file, which exists and is empty, to write or replace it.
        overwrite: If False, a file that exists is left as it is, also if another writer has created it meanwhile.
        private: Whether only its owner may read the file.

    Raises:
        OSError: If the file cannot be written; the old one is then unchanged.
    """
    remove_leftovers(path.parent)  # first: they may take what room there is
    with _locked(path.with_name(f".{path.name}.lock")) as folder:
        if path.exists() and not overwrite:
            return
        _remove(folder)
        folder.mkdir(mode=0o700)
        temporary = folder / path.name
        os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600 if private else 0o666))
        write(temporary)
        if private:
            temporary.chmod(0o600)
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers of files have left: a lock that nobody holds, and the folder of that name.

    Args:
        folder: The folder of the files.
    """
    with suppress(OSError):
        for lock in folder.glob(".*.lock"):
            left = lock.with_suffix(".new")
            is_ours = _OURS.fullmatch(lock.name) or (left.is_dir() and not left.is_symlink())
            with suppress(OSError):  # another process has removed it, or holds it
                if is_ours and not lock.stat().st_size:
                    with _opened(lock) as file:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        if _is_named(file.fileno(), lock):
                            _clear(lock)


@contextmanager
def _locked(lock: Path) -> Iterator[Path]:
    """Hold a lock file. The kernel releases it if this process is killed.

    It is a file of its own, since a writer may replace the temporary file.

    Yields:
        The folder of its name, which is removed at the end, and then the lock.
    """
    while True:
        with _opened(lock) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_named(file.fileno(), lock):
                try:
                    yield lock.with_suffix(".new")
                finally:
                    _clear(lock)
                return


def _clear(lock: Path) -> None:
    """Remove the folder of a lock that is held, and then the lock, by which whatever is left is found again."""
    folder = lock.with_suffix(".new")
    _remove(folder)
    if not os.path.lexists(folder):
        lock.unlink()


def _opened(lock: Path) -> IO[bytes]:
    """Open a lock file, and nothing that a link leads to; a pipe, which nobody reads, is refused, too."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    return os.fdopen(os.open(lock, flags, 0o666), "ab", buffering=0)


def _is_named(descriptor: int, path: Path) -> bool:
    """Whether an open file still has its name; the writer that held the lock before has removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
