"""Atomic file writes: a reader finds the old file or the new one, whole, even if the writer is killed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Callable[[Path], Any], *, overwrite: bool = True) -> None:
    """Write a file under a temporary name in the same folder, flush it to disk and rename it.

    The temporary name and that of the lock follow from `path`, so that whatever a killed writer leaves is used and
    removed by the next write of the same file. Threads and processes that write one file wait for each other.

    Args:
        path: The file to create or replace.
        write: Called with the temporary file, which exists and is empty, to write or replace it.
        overwrite: If False, a file that exists is left as it is, also if another writer has created it meanwhile.

    Raises:
        OSError: If the file cannot be written; the old one is then unchanged.
    """
    with _locked(path.with_name(f".{path.name}.lock")):
        if path.exists() and not overwrite:
            return
        temporary = path.with_name(f".{path.name}.new")
        try:
            temporary.write_bytes(b"")
            write(temporary)
            _flush(temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _flush(path.parent)


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    """Hold a lock file, which is removed at the end. The kernel releases it if this process is killed.

    It is a file of its own, since a writer may replace the temporary file: safetensors does.
    """
    while True:
        with lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_named(file.fileno(), lock):
                try:
                    yield
                finally:
                    lock.unlink()
                return


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
