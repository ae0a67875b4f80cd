# ruff: noqa: PTH116, PTH118, PTH120
"""Finding the files under given paths."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from indexes.errors import UnreadableFile
from indexes.ingest.file_status import FileStat, FileStatus, file_status
from indexes.ingest.ignore_rules import IgnoreRules, UserRules, WalkRules, rules_of
from indexes.near import near_path
from indexes.readers import (
    ReadLimits,
    check_regular,
    check_suffix,
    format_suffix,
    os_reason,
    read_bytes,
    statuses_in,
)
from indexes.sources import lies_in, url_of
from indexes.types import Failure


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to read.

    Attributes:
        source: Its absolute path.
        status: Its status when it was found.
        real: Its path with links resolved.
        root: The folder that it was found in, with links resolved; None for a file that the user named.
    """

    source: str
    status: FileStat = field(compare=False, repr=False)
    real: str = field(default="", compare=False)
    root: str | None = field(default=None, compare=False)

    @property
    def path(self) -> Path:
        """The path of the file."""
        return Path(self.source)

    def stamped(self, version: str) -> FileStatus:
        """The status to store of it when it is about to be read; for the argument see `file_status`."""
        return file_status(self.status, version)

    def read(self, limits: ReadLimits) -> bytes:
        """Read it, but nothing outside of the folder that it was found in, whatever has become of its path since.

        Args:
            limits: The longest file.

        Returns:
            Its bytes.

        Raises:
            UnreadableFile: If it cannot be read.
        """
        return read_bytes(Path(self.real), limits, root=self.root)


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file in a folder that is not read: of an unknown format, or a link to what is found, or ignored, anyway.

    Attributes:
        path: Its path.
        kind: Its suffix in lower case, or "no suffix"; empty for a link.
    """

    path: Path
    kind: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class IgnoredPath:
    """A file or a folder that a rule leaves out.

    Attributes:
        path: Its path.
        rule: The rule, as in `IngestReport.ignored`.
    """

    path: Path
    rule: str


Found = FoundFile | SkippedFile | IgnoredPath | Failure


class _Root(NamedTuple):
    """A folder that the user named, with links resolved, and the rules there."""

    real: str
    rules: UserRules


class _Place(NamedTuple):
    """A file or folder: its path as the user spells it, the same with all links resolved, its root, and its rules."""

    path: str
    real: str
    root: _Root
    rules: IgnoreRules | None  # of the folder that it lies in
    status: os.stat_result | OSError


NO_RULES = WalkRules()


def discover(roots: Iterable[Path], *, exclude: Path | None = None, rules: WalkRules = NO_RULES) -> Iterator[Found]:
    """Find files, each once, in the order of the roots and by name within a folder.

    Hidden files, and what `indexes.ingest.ignore_rules` says, are ignored inside a folder.

    Args:
        roots: Files and folders, which may be hidden, ignored or links: what is named is read.
        exclude: A folder to ignore without a word: the index's own.
        rules: The user's rules.

    Yields:
        The files to read, those to skip and what is ignored, and a Failure for what cannot be followed: a root that
        does not exist, a link that is broken, circular or leads out of the folder, a folder without permission, a pipe
        or a device.
    """
    own = frozenset() if exclude is None else frozenset({os.path.realpath(exclude)})
    places: dict[str, _Place] = {}
    for root in roots:
        path = os.path.abspath(root)
        if url := url_of(root):
            yield _failure(url, UnreadableFile("a URL, which is not fetched; download it, such as with `curl -LO`"))
            continue
        try:
            real = os.path.realpath(path, strict=True)
            status = os.lstat(real)
        except FileNotFoundError:
            near = near_path(Path(path))
            hint = f": did you mean {near}?" if near else ""
            reason = "a link to nothing" if Path(path).is_symlink() else f"there is no such file or folder{hint}"
            yield _failure(path, UnreadableFile(reason))
        except OSError as error:
            yield _failure(path, error)
        else:
            # two spellings of one root count once
            places.setdefault(real, _Place(path, real, _Root(real, UserRules(real, rules)), None, status))
    for place in places.values():
        if _is_folder(place):
            yield from _walk(place, own | (places.keys() - {place.real}))
        else:
            yield _named_file(place)


def _named_file(place: _Place) -> FoundFile | Failure:
    """A file that the user named itself, which is a failure if it is of an unknown format."""
    try:
        _check_name(place.path)
        status = os.stat(place.real)
        check_regular(status.st_mode)
        check_suffix(Path(place.path))
    except (UnreadableFile, OSError) as error:
        return _failure(place.path, error)
    return FoundFile(place.path, FileStat.of(status), real=place.real)


def _walk(root: _Place, elsewhere: frozenset[str]) -> Iterator[Found]:
    """Walk a folder, except for the real paths in `elsewhere`: other roots, which are walked themselves."""
    waiting = [root._replace(rules=IgnoreRules.above(root.real))]
    while waiting:
        place = waiting.pop()
        try:
            status, is_folder = place.status, _is_folder(place)
            if place.real != root.real and (rule := _rule(place, is_folder)):
                yield IgnoredPath(Path(place.path), rule)
            elif isinstance(status, OSError):
                yield _failure(place.path, status)
            elif is_folder:
                waiting.extend(_inside(place, elsewhere))
            else:
                yield _from_link(place, elsewhere) if stat.S_ISLNK(status.st_mode) else _file(place, status)
        except (UnreadableFile, OSError) as error:
            yield _failure(place.path, error)


def _is_folder(place: _Place) -> bool:
    return not isinstance(place.status, OSError) and stat.S_ISDIR(place.status.st_mode)


def _rule(place: _Place, is_folder: bool) -> str | None:
    """The rule that leaves a place out; None if it is to be read."""
    said = place.root.rules.reason(place.real, is_folder=is_folder)
    if said is None and place.rules is not None:
        said = place.rules.reason(place.real, is_folder=is_folder)
    return said or None


def _inside(folder: _Place, elsewhere: frozenset[str]) -> list[_Place]:
    """The entries of a folder, the last name first, for a stack."""
    statuses = statuses_in(folder.real, folder.root.real)
    rules = rules_of(folder.real, frozenset(statuses), folder.root.real, folder.rules)
    path, real = os.path.join(folder.path, ""), os.path.join(folder.real, "")
    return [
        _Place(path + name, real + name, folder.root, rules, status)
        for name, status in sorted(statuses.items(), key=lambda entry: entry[0], reverse=True)
        if real + name not in elsewhere
    ]


def _file(place: _Place, status: os.stat_result) -> FoundFile | SkippedFile:
    path = Path(place.path)
    if format_suffix(path) is None:
        return SkippedFile(path, _printable(path.suffix.lower()) or "no suffix")
    _check_name(place.path)
    check_regular(status.st_mode)
    real = place.path if place.path == place.real else place.real  # of equal texts, one is kept
    return FoundFile(place.path, FileStat.of(status), real=real, root=place.root.real)


def _from_link(place: _Place, elsewhere: frozenset[str]) -> SkippedFile:
    """A link is never followed: its target is found under its own name, or there is a reason why not."""
    try:
        target = os.path.realpath(place.real, strict=True)
    except FileNotFoundError as error:
        raise UnreadableFile("a link to nothing") from error
    if lies_in(os.path.dirname(place.real), target):
        raise UnreadableFile("a link to a folder that it lies in, which would go round for ever")
    holding = [root for root in (place.root.real, *elsewhere) if lies_in(target, root)]
    if not holding:
        raise UnreadableFile(f"a link that leads out of the folder, to {target}; name that to read it")
    if all(any(name.startswith(".") for name in Path(os.path.relpath(target, root)).parts) for root in holding):
        raise UnreadableFile(f"a link to something hidden, {target}; name that to read it")
    return SkippedFile(Path(place.path))


def _check_name(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:  # half a surrogate pair stands for each byte that is none
        raise UnreadableFile("its name is not valid UTF-8; rename it") from error


def _failure(path: str, error: UnreadableFile | OSError) -> Failure:
    """A failure whose text can be printed whatever bytes the name has."""
    reason = error.reason if isinstance(error, UnreadableFile) else os_reason(error)
    return Failure(_printable(path), _printable(reason))


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
