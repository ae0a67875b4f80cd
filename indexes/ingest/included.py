"""Files that documents include (as by `include::`), and that are not in the index."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from indexes.readers import quoted_names
from indexes.sources import is_stored
from indexes.types import Document

_NAMED = 5


class Included:
    """What documents include, until all of them are in the index."""

    def __init__(self) -> None:
        self._names: list[tuple[str, tuple[str, ...]]] = []

    def add(self, document: Document) -> None:
        """Take note of what a document includes."""
        if document.includes:
            self._names.append((document.source, document.includes))

    def warnings(self, is_in_index: Callable[[str], bool]) -> Iterable[tuple[str, str]]:
        """Yield a warning for each document that includes files which are not in the index.

        Args:
            is_in_index: A function that tells whether a source is.

        Yields:
            The source of the document, and the warning.
        """
        for source, names in self._names:
            missing = [name for name in names if not any(map(is_in_index, _sources(source, name)))]
            if missing:
                yield source, _warning(missing)


def _sources(of: str, name: str) -> list[str]:
    """The sources that a name may mean, which stands in the document of that source."""
    folder = of.rpartition("/" if is_stored(of) else os.sep)[0]
    path = f"{folder}/{name}" if is_stored(of) else os.path.normpath(Path(folder) / name)
    return [path, path + Path(of).suffix]  # which LaTeX leaves out


def _warning(names: list[str]) -> str:
    are, them = ("are", "them") if len(names) > 1 else ("is", "it")
    return f"it includes {quoted_names(names, _NAMED)}, which {are} not in the index: ingest {them}, too"
