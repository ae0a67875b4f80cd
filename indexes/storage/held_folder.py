"""Folders that are held open: what is done in one stays in it, whatever its name and the names in it come to mean.

The folders inside an index's are reached from its descriptor, and through no link.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from indexes.errors import CorpusError
from indexes.storage.file_access import Status, unreadable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # not for a pipe's writer to come
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class HeldFolder:
    """An open folder, which stays the same when its name goes to another one, where the system can reach it so (Linux).

    Args:
        folder: The folder.
        within: The held folder that it is in; None for one that is named by a path, which may be or go through a link.

    Attributes:
        shown: What it is called in messages.
        path: A path to it, as long as this object lives.
        descriptor: The open folder.
    """

    def __init__(self, folder: Path, within: HeldFolder | None = None) -> None:
        if within is None:
            self.shown, self.descriptor = folder, os.open(folder, _FOLDER)
        else:
            self.shown = within.shown / folder
            self.descriptor = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=within.descriptor)
        weakref.finalize(self, os.close, self.descriptor)
        self.path = _reached(self.descriptor, self.shown)

    def inner(self, name: str) -> HeldFolder | None:
        """Open the folder of a name in this one.

        Args:
            name: The name.

        Returns:
            The folder; None if there is nothing of that name.

        Raises:
            CorpusError: If it is a link or a file, or cannot be opened.
        """
        try:
            return HeldFolder(Path(name), within=self)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise self._no_folder(name) from error
            raise CorpusError(*unreadable(self.shown / name, error).args) from error

    def existing(self, name: str) -> HeldFolder:
        """Open the folder of a name in this one, as `inner` does.

        Args:
            name: The name.

        Returns:
            The folder.

        Raises:
            FileNotFoundError: If there is nothing of that name.
        """
        if (folder := self.inner(name)) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.shown / name))
        return folder

    def make(self, name: str, mode: int | None = None) -> HeldFolder:
        """Make a folder in this one, unless it is there.

        Args:
            name: Its name.
            mode: Its permissions; None for those of this folder.

        Returns:
            The folder.

        Raises:
            CorpusError: If there is a link or a file of that name.
            OSError: If it cannot be made.
        """
        if (there := self.inner(name)) is not None:
            return there
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self.descriptor)
        made = self.existing(name)
        os.fchmod(made.descriptor, stat.S_IMODE(os.fstat(self.descriptor).st_mode) & 0o777 if mode is None else mode)
        return made

    def names(self) -> list[str]:
        """The names in the folder."""
        return os.listdir(self.descriptor)  # noqa: PTH208 (no path)

    def status(self, name: str) -> Status:
        """The status of a file in the folder.

        Args:
            name: Its name.

        Returns:
            Its size and time; None if there is no file of that name, as where there is a link.

        Raises:
            CorpusError: If the disk does not say.
        """
        try:
            status = self._lstat(name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise CorpusError(*unreadable(self.shown / name, error).args) from error
        return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None

    def open(self, name: str) -> BinaryIO:
        """Open a file in the folder, to read it without a buffer.

        Args:
            name: Its name.

        Returns:
            The open file.

        Raises:
            OSError: If it is a link or no file, or is not there.
        """
        descriptor = os.open(name, _READ, dir_fd=self.descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is no file", str(self.shown / name))
        return os.fdopen(descriptor, "rb", buffering=0)

    def create(self, name: str) -> BinaryIO:
        """Create a file in the folder, in place of whatever has its name; its owner's alone.

        Args:
            name: Its name.

        Returns:
            The open file, to be written.
        """
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)
        return os.fdopen(os.open(name, _CREATE, 0o600, dir_fd=self.descriptor), "r+b")

    def rename(self, name: str, new: str) -> None:
        """Rename a file in the folder, in place of one that is there.

        Args:
            name: Its name.
            new: The name that it gets.
        """
        os.replace(name, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def remove(self, name: str) -> None:
        """Remove a file or a link, or a folder with the files in it.

        Args:
            name: Its name. Raises OSError for a folder that holds folders.
        """
        if stat.S_ISDIR(self._lstat(name).st_mode):
            folder = self.existing(name)
            for each in folder.names():
                os.unlink(each, dir_fd=folder.descriptor)
            os.rmdir(name, dir_fd=self.descriptor)
        else:
            os.unlink(name, dir_fd=self.descriptor)

    def is_exposed(self) -> bool:
        """Look at the folders around this one.

        Returns:
            Whether other users may give the folder's name to another one, or that of a folder around it.
        """
        place = Path(os.path.realpath(self.path))
        for folder in (place, *place.parents):
            status = folder.stat()
            is_sticky = status.st_mode & stat.S_ISVTX and folder != place
            if status.st_uid not in (0, os.geteuid()) or (status.st_mode & _BY_OTHERS and not is_sticky):
                return True
        return False

    def _lstat(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def _no_folder(self, name: str) -> CorpusError:
        with suppress(OSError):
            if not stat.S_ISLNK(self._lstat(name).st_mode):
                return CorpusError(f"{self.shown / name} is no folder: move it away, and the folder is made again")
        return CorpusError(
            f"{self.shown / name} is a link, and inside an index none is followed: remove it, and what was there is "
            "made again (an index may be moved to another disk as a whole, and a link to it be used)"
        )


@contextmanager
def reachable(file: BinaryIO, shown: Path) -> Iterator[str]:
    """Give an open file a path, for a library that opens files itself.

    Args:
        file: The file, without a buffer.
        shown: Its path, by which it is opened where the system cannot reach it otherwise, and called in an error.

    Yields:
        The path, as long as the file is open.

    Raises:
        RuntimeError: What the library raises, with the path that is shown.
    """
    path = _reached(file.fileno(), shown)
    try:
        yield str(path)
    except RuntimeError as error:
        raise RuntimeError(str(error).replace(str(path), str(shown))) from error


def link_or_copy(name: str, old: HeldFolder, new: HeldFolder) -> None:
    """Give a file its name in another folder, too, or a copy if the file system has no hard links.

    Args:
        name: Its name in both folders.
        old: The folder that it is in.
        new: The other folder.
    """
    try:
        os.link(name, name, src_dir_fd=old.descriptor, dst_dir_fd=new.descriptor, follow_symlinks=False)
    except OSError:
        with old.open(name) as file:
            copy_into(file, name, new)


def copy_into(file: BinaryIO, name: str, folder: HeldFolder) -> None:
    """Copy an open file into a folder, with its time.

    Args:
        file: The file, at its beginning.
        name: What it is to be called there.
        folder: The folder.
    """
    status = os.fstat(file.fileno())
    with folder.create(name) as copy:
        shutil.copyfileobj(file, copy, 1 << 20)
        copy.flush()
        os.fchmod(copy.fileno(), stat.S_IMODE(status.st_mode))
        os.fsync(copy.fileno())
        os.utime(copy.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def _reached(descriptor: int, path: Path) -> Path:
    held = Path(f"/proc/self/fd/{descriptor}")
    return held if held.exists() else path
