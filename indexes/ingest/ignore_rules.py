# ruff: noqa: PTH118, PTH119
"""Which files and folders a walk leaves out: by default, by `.gitignore` and `.longctxignore`, and by the user's globs.

Patterns are git's (gitignore(5)), and so is their order: of the patterns that match, the last one in the nearest file
decides. As ripgrep does, a walk reads the files named `.gitignore` also outside of a git repository, and inside one
also those above the folder, up to the repository's root, with `.git/info/exclude`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from indexes.errors import CorpusError, UnreadableFile
from indexes.readers import ReadLimits, read_bytes
from indexes.sources import composed

_REPOSITORY_FILE = os.path.join(".git", "info", "exclude")
IGNORE_FILES = (".gitignore", ".longctxignore")  # the later one decides
_BY_DEFAULT = """
__pycache__/
node_modules/
bower_components/
site-packages/
venv/
virtualenv/
dist/
*.egg-info/
~$*
package-lock.json
npm-shrinkwrap.json
packages.lock.json
pnpm-lock.yaml
conda-lock.yml
*.lock
*.min.js
*.min.css
"""
_BUILT = frozenset({"build", "target", "out"})  # left out where one of these files says that something is built there
_BUILDS = frozenset(
    {
        ".git",
        "CMakeLists.txt",
        "Cargo.toml",
        "Makefile",
        "build.gradle",
        "build.gradle.kts",
        "package.json",
        "pom.xml",
        "pyproject.toml",
        "setup.cfg",
        "setup.py",
    }
)
_MARK_OF_VENV = "pyvenv.cfg"  # whatever the folder's name is
_LONGEST = 1_000_000  # bytes of an ignore file

# How pathspec writes a star, the characters between two stars, and two stars between or before folders.
_STAR = r"\[\^/\]\*"
_CHARACTER = r"(?:\\.|\[\^?\]?(?:\\.|[^\]\\])*\](?!\*)|[^\\\[\]()*+?|/^$])"
_FOLDERS, _FIRST_FOLDERS = "(?:/.+)?/", "^(?:.+/)?"
_BETWEEN_STARS = re.compile(f"{_STAR}({_CHARACTER}*)(?={_STAR})")
_FOLDER_MARK, _BELOW, _ALL_BUT = "(?P<ps_d>/)", "/", re.compile(r"(?<!\\)\[\^(?!/)")

_BRACKETS = re.compile(r"\[[!^]?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]")
_CLASS = re.compile(r"\[:(\w+):\]")
_CLASSES = {  # POSIX's, of ASCII
    **{"alnum": "A-Za-z0-9", "alpha": "A-Za-z", "blank": " \t", "cntrl": "\x01-\x1f\x7f", "digit": "0-9"},
    **{"graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@\\[-`{-~", "space": " \t-\r"},
    **{"upper": "A-Z", "xdigit": "0-9A-Fa-f"},
}


@dataclass(frozen=True, slots=True)
class WalkRules:
    """The user's rules for a walk.

    Attributes:
        exclude: Patterns of files and folders to leave out.
        include: Patterns of files and folders to read; if there are any, other files are left out. What they name is
            read although a default or an ignore file leaves it out.

    Raises:
        CorpusError: For a pattern that is none.
    """

    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("exclude", "include"):
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))
            if odd := [pattern for pattern in getattr(self, name) if not _is_pattern(pattern)]:
                raise CorpusError(f"{name} is {odd[0]!r}, which is no pattern: write one as in .gitignore, '*.log' say")


class IgnoreRules:
    """The rules that hold in a folder: its ignore files, and those of the folders above it.

    Attributes:
        folder: The folder, with links resolved.
    """

    def __init__(
        self, folder: str, above: IgnoreRules | None, files: Sequence[str], root: str, builds: bool = False
    ) -> None:
        self.folder = folder
        self._above, self._builds = above, builds
        paths = [os.path.join(folder, file) for file in files]
        # the one that decides is first
        self._patterns = [(os.path.basename(path), found) for path in reversed(paths) if (found := _read(path, root))]

    @classmethod
    def above(cls, folder: str) -> IgnoreRules | None:
        """The rules of the git repository that a folder lies in.

        Args:
            folder: The folder, with links resolved.

        Returns:
            The rules; None if the folder is in no repository, or they leave out the folder itself: who names it wants
            it read.
        """
        parents = [str(parent) for parent in Path(folder).parents]
        root = next((i for i, parent in enumerate(parents) if os.path.lexists(os.path.join(parent, ".git"))), None)
        if root is None or os.path.lexists(os.path.join(folder, ".git")):
            return None
        rules: IgnoreRules | None = None
        for parent in reversed(parents[: root + 1]):
            rules = cls(parent, rules, IGNORE_FILES if rules else (_REPOSITORY_FILE, *IGNORE_FILES), parent)
        return None if rules is None or rules.decision(folder, is_folder=True) else rules

    def decision(self, path: str, *, is_folder: bool) -> str | None:
        """What the ignore files say of an entry.

        Args:
            path: Its path, in the folder or deeper.
            is_folder: Whether it is a folder.

        Returns:
            The name of the file that leaves it out; empty if one asks for it, None if none says anything.
        """
        for name, patterns in self._patterns:
            relative = _relative(path, self.folder, is_folder)
            decided = next((each.include for each in patterns if each.match_file(relative) is not None), None)
            if decided is not None:
                return name if decided else ""
        return None if self._above is None else self._above.decision(path, is_folder=is_folder)

    def reason(self, path: str, *, is_folder: bool) -> str | None:
        """Why an entry of the folder is left out.

        Args:
            path: Its path.
            is_folder: Whether it is a folder.

        Returns:
            The rule, as in `IngestReport.ignored`; None if it is to be read.
        """
        decided = self.decision(path, is_folder=is_folder)
        if decided is not None:
            return decided or None
        name = os.path.basename(path)
        if name.startswith("."):
            return "hidden"
        is_built = is_folder and (
            (name in _BUILT and self._builds) or os.path.lexists(os.path.join(path, _MARK_OF_VENV))
        )
        if is_built or _defaults().match_file(f"{name}/" if is_folder else name):
            return "by default"
        return None


def rules_of(folder: str, names: Collection[str], root: str, above: IgnoreRules | None) -> IgnoreRules:
    """The rules of a folder.

    Args:
        folder: The folder, with links resolved.
        names: The names in it.
        root: A folder above it, or the same; no link is followed below it.
        above: The rules of the folder that it lies in; None for those of the first folder of a walk in no repository.

    Returns:
        The rules.
    """
    files = [name for name in IGNORE_FILES if name in names]
    if above is None and ".git" in names:
        files.insert(0, _REPOSITORY_FILE)
    return IgnoreRules(folder, above, files, root, builds=not _BUILDS.isdisjoint(names))


class UserRules:
    """The user's rules, for one folder that they named.

    Args:
        root: The folder, with links resolved.
        rules: The rules.
    """

    def __init__(self, root: str, rules: WalkRules) -> None:
        self._root = root
        self._exclude = _spec(map(composed, rules.exclude))
        self._include = _spec(map(composed, rules.include)) if rules.include else None

    def reason(self, path: str, *, is_folder: bool) -> str | None:
        """Why an entry is left out, as in `IngestReport.ignored`; empty if it is asked for, None if nothing is said."""
        relative = composed(_relative(path, self._root, is_folder))  # as people type it, whatever made the file
        if self._exclude.match_file(relative):
            return "exclude"
        if self._include is None:
            return None
        if self._include.match_file(relative):
            return ""
        return None if is_folder else "include"


def _relative(path: str, folder: str, is_folder: bool) -> str:
    relative = os.path.relpath(path, folder)
    return f"{relative}/" if is_folder else relative


def _read(path: str, root: str) -> list[_EntryPattern]:
    """The patterns of an ignore file, the last one first; a line that is no pattern is left out, as git does."""
    try:  # not through a link, as git does; and not a pipe, which would never end
        data = read_bytes(Path(path), ReadLimits(max_bytes=_LONGEST), root=root)
    except UnreadableFile:
        return []
    patterns = []
    for line in map(_git_line, data.decode("utf-8", "replace").removeprefix("\ufeff").split("\n")):
        with suppress(ValueError):
            patterns.append(_EntryPattern(line))
    return [each for each in reversed(patterns) if each.include is not None]


def _git_line(line: str) -> str:
    """A line as pathspec reads it: without spaces at the end, and with ranges for POSIX's classes of characters."""
    line = line.removesuffix("\r")
    bare = line.rstrip(" ")
    if bare != line and (len(bare) - len(bare.rstrip("\\"))) % 2:
        bare += " "  # an escaped one stays
    if bare == "!/":
        return ""
    if bare[-1:].isspace() and bare[-1] != " ":
        bare = f"{bare[:-1]}[{bare[-1]}]"  # any other white space is a part of the name
    if bare.endswith("/**/"):
        bare += "*/"  # the folders in a folder, and not itself
    return _BRACKETS.sub(lambda found: _CLASS.sub(lambda name: _CLASSES.get(name[1], ""), found[0]), bare)


class _Pattern(GitIgnoreSpecPattern):
    """A pattern that is matched in a time that does not grow with a power of its stars: a folder's may be hostile.

    What stands between two stars is taken where it comes first, which is as good as any other place; a regular
    expression would try them all.
    """

    @classmethod
    def pattern_to_regex(cls, pattern: Any) -> Any:
        """The regular expression of a pattern, and whether it leaves out or takes in."""
        regex, include = super().pattern_to_regex(pattern)
        return (regex if regex is None else _without_trials(regex)), include


class _EntryPattern(_Pattern):
    """A pattern that matches an entry of a folder by its own path, and not by that of a folder which it lies in.

    A walk asks for each folder before it asks for what is in it, so that the last pattern that matches decides.
    """

    @classmethod
    def pattern_to_regex(cls, pattern: Any) -> Any:
        """The regular expression of a pattern, and whether it leaves out or takes in."""
        regex, include = super().pattern_to_regex(pattern)
        if regex is None:
            return regex, include
        regex = _ALL_BUT.sub("(?!/)[^", regex)
        is_below = regex.endswith(_BELOW)  # what is in a folder, and not the folder
        return (f"{regex}." if is_below else regex.replace(_FOLDER_MARK, f"{_FOLDER_MARK}$")), include


def _without_trials(regex: str) -> str:
    """A pattern's regular expression in which nothing but the place of the last star is tried out."""
    numbers = count()

    def once(text: str) -> str:
        name = f"once{next(numbers)}"
        return f"(?=(?P<{name}>{text}))(?P={name})"

    regex = _BETWEEN_STARS.sub(lambda found: once(f"[^/]*?{found[1]}") if found[1] else "", regex)
    first, *parts = regex.split(_FOLDERS)
    if not parts:
        return regex
    start = first.removeprefix(_FIRST_FOLDERS)
    first = first if start == first else "^" + once(f"(?:.+?/)??{start}(?=/)")
    return first + "".join(once(f"(?:/.+?)??/{part}(?=/)") for part in parts[:-1]) + _FOLDERS + parts[-1]


def _spec(lines: Iterable[str]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(lines, pattern_factory=_Pattern, backend="simple")


def _is_pattern(line: str) -> bool:
    try:
        _spec([line])
    except ValueError:
        return False
    return True


@cache
def _defaults() -> GitIgnoreSpec:
    return _spec(_BY_DEFAULT.split())
