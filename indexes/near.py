"""What a name that names nothing was probably to be."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

_ALIKE = 0.75  # of two names, of which one is a misspelling of the other
_MOST_COMPARED = 10_000


def near_path(path: Path, is_meant: Callable[[Path], bool] = os.path.exists) -> Path | None:
    """Find the path that a misspelt one was probably to be.

    Args:
        path: A path at which there is nothing.
        is_meant: What can have been meant.

    Returns:
        A path that differs in the spelling of one name; None if there is no such one.
    """
    missing = next((each for each in (path, *path.parents) if each.parent.is_dir()), path)
    rest = path.relative_to(missing)
    try:
        with os.scandir(missing.parent) as entries:
            beside = {entry.name for entry in islice(entries, _MOST_COMPARED)}
    except OSError:
        return None
    near = (missing.with_name(name) / rest for name in _alike(missing.name, beside))
    return next(filter(is_meant, near), None)


def near_source(source: str, sources: Iterable[str]) -> str | None:
    """Find the document that was probably meant.

    Args:
        source: A path that is no document's.
        sources: The documents.

    Returns:
        The one with the same name in another folder, or with a name that is spelt almost so; None if there is none, or
        if several have the name.
    """
    named: dict[str, list[str]] = {}
    for each in islice(sources, _MOST_COMPARED):
        named.setdefault(Path(each).name, []).append(each)
    near = _alike(Path(source).name, named)
    return named[near[0]][0] if near and len(named[near[0]]) == 1 else None


def _alike(name: str, names: Iterable[str]) -> list[str]:
    """The names that are spelt almost as one is, the likeliest first; case counts for nothing."""
    folded = {each.casefold(): each for each in sorted(names)}
    return [folded[near] for near in difflib.get_close_matches(name.casefold(), folded, cutoff=_ALIKE)]
