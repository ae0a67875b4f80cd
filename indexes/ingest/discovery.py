# ruff: noqa: PTH112, PTH114, PTH116, PTH118, PTH120, PTH122
"""Which files are under the given paths, and whether each has changed since it was read."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from indexes.errors import UnreadableFile
from indexes.readers import SUFFIXES, check_regular, check_suffix, os_reason
from indexes.types import Failure

_NOT_ENTERED = frozenset({"__pycache__", "node_modules"})


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to read.

    Attributes:
        source: Its absolute path.
        status: Its status when it was found.
        explicit: Whether the user named the file itself, not a folder that it is in.
    """

    source: str
    status: os.stat_result = field(compare=False, repr=False)
    explicit: bool = False

    @property
    def path(self) -> Path:
        """The path of the file."""
        return Path(self.source)


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file in a folder that is not read: of an unknown format, or a link to a file that is found anyway.

    Attributes:
        path: Its path.
    """

    path: Path


class _Place(NamedTuple):
    """A file or folder: its path as the user spells it, the same with all links resolved, and its root's."""

    path: str
    real: str
    root: str


def discover(roots: Iterable[Path], *, exclude: Path | None = None) -> Iterator[FoundFile | SkippedFile | Failure]:
    """Find files, each once, in the order of the roots and by name within a folder.

    Hidden files, `__pycache__` and `node_modules` inside a folder are ignored.

    Args:
        roots: Files and folders, which may be hidden, and may be links.
        exclude: A folder to ignore.

    Yields:
        The files to read and those to skip, and a Failure for what cannot be followed: a root that does not exist, a
        link that is broken, circular or leads out of the folder, a folder without permission, a pipe or a device.
    """
    own = frozenset() if exclude is None else frozenset({os.path.realpath(exclude)})
    places: dict[str, _Place] = {}
    for root in roots:
        path = os.path.abspath(root)
        try:
            real = os.path.realpath(path, strict=True)
        except OSError as error:
            yield _failure(path, _root_reason(path, error))
            continue
        places.setdefault(real, _Place(path, real, real))  # two spellings of one root count once
    for place in places.values():
        if os.path.isdir(place.real):
            yield from _walk(place, own | (places.keys() - {place.real}))
        else:
            yield _named_file(place)


def _root_reason(path: str, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "a link to nothing" if os.path.islink(path) else "there is no such file or folder"
    return os_reason(error)


def _named_file(place: _Place) -> FoundFile | Failure:
    """A file that the user named itself: of a kind that no reader reads, it is a failure."""
    try:
        _check_name(place.path)
        status = os.stat(place.real)
        check_regular(status.st_mode)
        check_suffix(Path(place.path))
    except UnreadableFile as error:
        return _failure(place.path, error.reason)
    except OSError as error:
        return _failure(place.path, os_reason(error))
    return FoundFile(place.path, status, explicit=True)


def _walk(root: _Place, elsewhere: frozenset[str]) -> Iterator[FoundFile | SkippedFile | Failure]:
    """Everything in a folder but the real paths in `elsewhere`: other roots, which have their own turn."""
    waiting = [root]
    while waiting:
        place = waiting.pop()
        try:
            status = os.lstat(place.real)
            if stat.S_ISDIR(status.st_mode):
                waiting.extend(_inside(place, elsewhere))
                continue
            yield _from_link(place, elsewhere) if stat.S_ISLNK(status.st_mode) else _file(place, status)
        except UnreadableFile as error:
            yield _failure(place.path, error.reason)
        except OSError as error:
            yield _failure(place.path, os_reason(error))


def _inside(folder: _Place, elsewhere: frozenset[str]) -> list[_Place]:
    """What to look at in a folder, the last name first, for a stack."""
    with os.scandir(folder.real) as entries:
        names = sorted((entry.name for entry in entries if not _is_passed_over(entry.name)), reverse=True)
    path, real = os.path.join(folder.path, ""), os.path.join(folder.real, "")
    return [_Place(path + name, real + name, folder.root) for name in names if real + name not in elsewhere]


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name in _NOT_ENTERED


def _file(place: _Place, status: os.stat_result) -> FoundFile | SkippedFile:
    if os.path.splitext(place.path)[1].lower() not in SUFFIXES:
        return SkippedFile(Path(place.path))
    _check_name(place.path)
    check_regular(status.st_mode)
    return FoundFile(place.path, status)


def _from_link(place: _Place, elsewhere: frozenset[str]) -> SkippedFile:
    """A link is never followed: its target is found under its own name, or there is a reason why not."""
    try:
        target = os.path.realpath(place.real, strict=True)
    except FileNotFoundError as error:
        raise UnreadableFile("a link to nothing") from error
    if _is_within(os.path.dirname(place.real), target):
        raise UnreadableFile("a link to a folder that it lies in, which would go round for ever")
    holding = [root for root in (place.root, *elsewhere) if _is_within(target, root)]
    if not holding:
        raise UnreadableFile(f"a link that leads out of the folder, to {target}; name that to read it")
    if all(any(map(_is_passed_over, Path(os.path.relpath(target, root)).parts)) for root in holding):
        raise UnreadableFile(f"a link to something hidden, {target}; name that to read it")
    return SkippedFile(Path(place.path))


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _check_name(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:  # half a surrogate pair stands for each byte that is none
        raise UnreadableFile("its name is not valid UTF-8; rename it") from error


def _failure(path: str, reason: str) -> Failure:
    """A failure whose text can be printed whatever bytes the name has."""
    source, reason = (text.encode("utf-8", "replace").decode("utf-8") for text in (path, reason))
    return Failure(source, reason)


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
