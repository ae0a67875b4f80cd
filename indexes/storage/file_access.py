"""What the files of an index have in common: who may read them, and what is said of a disk that fails."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

from indexes.errors import CorpusError

DISK_FAILS = "the disk reports an I/O error: look into the system's log"
_READ_AGAIN = f"could not be read once, and is whole: try again; if it happens again, {DISK_FAILS}"

_SIGNS_OF_FAILURE = ("disk I/O", "unable to open")  # in SQLite's words
# The exit code is the number of the error. A file that is gone is none.
_READ_TO_END = """
import sys
try:
    with open(sys.argv[1], "rb", buffering=0) as file:
        while file.read(1 << 20):
            pass
except (FileNotFoundError, NotADirectoryError):
    pass
except OSError as error:
    sys.exit(error.errno)
"""

Status = tuple[int, int] | None  # bytes and time of a file, if it is there


def make_private(folder: Path) -> None:
    """Make the folder of a new index, which only its owner may enter.

    An empty folder that exists keeps its group if that may write there.

    Args:
        folder: The folder. Files that are made in it follow its permissions, so that `chmod` shares all of an index.
    """
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
        return
    mode = stat.S_IMODE(folder.stat().st_mode)
    private = mode & ~(0o007 if mode & stat.S_IWGRP else 0o077)
    if private != mode:
        folder.chmod(private)


def file_mode(folder: Path) -> int:
    """The permissions of a file in a folder.

    Args:
        folder: The folder.

    Returns:
        Those of the folder, without the right to enter it.
    """
    return folder.stat().st_mode & 0o666


def read_failure(path: Path) -> OSError | None:
    """Read a database's files to their ends.

    SQLite says of a file that cannot be read to its end that it is malformed. Another process reads: a process that
    closes a file gives up all its locks on it, and with them those of connections that are open.

    Args:
        path: The database.

    Returns:
        The error with which the disk answers; None if all can be read.
    """
    for file in (path, Path(f"{path}-wal")):
        reading = [sys.executable, "-I", "-S", "-c", _READ_TO_END, str(file)]
        code = subprocess.run(reading, check=False).returncode  # noqa: S603 (this interpreter, and a constant)
        if code > 0:
            return OSError(code, os.strerror(code), str(file))
    return None


def odd_file_beside(path: Path) -> str | None:
    """Look at what SQLite would read and write beside a database: it waits for ever for a pipe's writer.

    Args:
        path: The database.

    Returns:
        What to say of a link, or of what is no file, where a file of SQLite's belongs; None if there is none.
    """
    for suffix in ("-journal", "-wal", "-shm"):
        beside = Path(f"{path}{suffix}")
        with suppress(OSError):  # what cannot be looked at, SQLite explains
            if not stat.S_ISREG(beside.lstat().st_mode):
                return f"{beside} is a link or no file, and SQLite's belongs there: move it away"
    return None


def second_look(path: Path, error: sqlite3.Error) -> str | None:
    """Look again at a database that SQLite has called malformed, as it does of one of which a read failed.

    Args:
        path: The database.
        error: What SQLite said.

    Returns:
        What to say of it: that it is whole, or that the disk fails now, too; None if it is damaged.
    """
    if "malformed" not in str(error):
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return _READ_AGAIN if connection.execute("PRAGMA quick_check").fetchall() == [("ok",)] else None
    except sqlite3.Error as again:
        fails = any(sign in str(again) for sign in _SIGNS_OF_FAILURE)
        return f"cannot be read ({again}): {DISK_FAILS}" if fails else None


def identity(file: Path) -> tuple[int, int] | None:
    """Which file a path names now; None if there is none."""
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def moved(folder: Path) -> str:
    """What to say of an index's folder that is another one than was opened."""
    return f"{folder} has been moved or replaced since it was opened: open it again, where it is now"


def status_of(file: Path | int) -> Status:
    """The status of a path or an open descriptor.

    Args:
        file: The path or the descriptor.

    Returns:
        Its size and time; None if there is no such file.

    Raises:
        CorpusError: If the disk does not say.
    """
    try:
        status = os.stat(file)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CorpusError(*unreadable(file, error).args) from error
    return status.st_size, status.st_mtime_ns


def unreadable(file: Path | int, error: OSError) -> CorpusError:
    """The error to raise for a file that is there and cannot be read."""
    remedy = "make it readable" if isinstance(error, PermissionError) else DISK_FAILS
    return CorpusError(f"{file} cannot be read ({error.strerror or error}): {remedy}; the index is left as it is")
