"""Names of documents for the outside: unique in their index, and without the server's folders."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path, PurePath

from indexes import CorpusIndex, DocumentInfo
from longctx.errors import BadRequest
from longctx.reasons import Reason
from longctx.types import Answer, BudgetItem, Citation, Plan

_FRESH = 1.0  # seconds for which the list of documents is not read again
_DATABASE = re.compile(r"postgres(?:ql)?://\S*[^\s:;,.)]")
_PATH = re.compile(r"(?<![\w.:/~-])(?:~?/[\w.+@%~-]+)+/?")


class NotThere(BadRequest):
    """There is no index, document, job or model of that name."""


class DocumentNames:
    """The names of an index's documents. Threads may share it.

    A file in the folder of uploads is named by its path in there, another file by as many of its last folders as tell
    it from the others, and a document from memory by its source.

    Args:
        index: The index.
        uploads: The folder of uploads.
    """

    def __init__(self, index: CorpusIndex, uploads: Path) -> None:
        self._index, self._uploads = index, uploads
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._documents: dict[str, DocumentInfo] = {}  # by name
        self._names: dict[str, str] = {}  # by source

    def documents(self) -> dict[str, DocumentInfo]:
        """The documents as they are now, by name."""
        self._refresh(max_age=0.0)
        return self._documents

    def forget(self) -> None:
        """Read the documents again when they are next asked for."""
        self._read_at = float("-inf")

    def of(self, source: str) -> str:
        """Name a document.

        Args:
            source: Its source.

        Returns:
            Its name; for one that is not in the index any more, that of its file.
        """
        self._refresh(_FRESH)
        return self._names.get(source) or (PurePath(source).name if source.startswith("/") else source)

    def source(self, name: str) -> str:
        """Find a document.

        Args:
            name: Its name, as `documents` has it.

        Returns:
            Its source.

        Raises:
            NotThere: If there is none, or more than one that is named so in short.
        """
        self._refresh(_FRESH)
        if name not in self._documents:
            self._refresh(max_age=0.0)
        if name in self._documents:
            return self._documents[name].source
        ends = [each for each in self._documents if each.endswith(f"/{name}")]
        if len(ends) == 1:
            return self._documents[ends[0]].source
        remedy = f"name one of {', '.join(sorted(ends))}" if ends else "list the documents first"
        raise NotThere(f"there is no document {name!r}: {remedy}")

    def answer(self, answer: Answer) -> Answer:
        """An answer with names in place of sources.

        Args:
            answer: The answer.

        Returns:
            The same for the outside.
        """
        return replace(
            answer,
            citations=tuple(map(self.citation, answer.citations)),
            passages=tuple(map(self.citation, answer.passages)),
            plan=None if answer.plan is None else self.plan(answer.plan),
        )

    def citation(self, citation: Citation) -> Citation:
        """A citation with the document's name in place of its source.

        Args:
            citation: The citation.

        Returns:
            The same for the outside.
        """
        return replace(citation, source=self.of(citation.source))

    def plan(self, plan: Plan) -> Plan:
        """A plan with names in place of sources.

        Args:
            plan: The plan.

        Returns:
            The same for the outside.
        """
        return replace(
            plan,
            reasons=tuple(map(self._reason, plan.reasons)),
            budget=tuple(map(self._item, plan.budget)),
            left_out=tuple(map(self._item, plan.left_out)),
            fallback=None if plan.fallback is None else self.plan(plan.fallback),
        )

    def clean(self, message: str) -> str:
        """A message without the server's folders.

        Args:
            message: The message, such as that of an error.

        Returns:
            The same with names in place of sources, and the last part in place of other paths.
        """
        for source in sorted((s for s in self._names if s.startswith("/")), key=len, reverse=True):
            if source in message:
                message = message.replace(source, self._names[source])
        for folder in (self._uploads, self._index.path, self._index.path.parent):
            message = message.replace(f"{folder}/", "").replace(str(folder), folder.name)
        return without_paths(message)

    def _reason(self, reason: Reason) -> Reason:
        def cleaned(value: float | str | Reason) -> float | str | Reason:
            if isinstance(value, str):
                return self.clean(value)
            return self._reason(value) if isinstance(value, Reason) else value

        return replace(reason, values=tuple(map(cleaned, reason.values)))

    def _item(self, item: BudgetItem) -> BudgetItem:
        return replace(item, name=self.of(item.name)) if item.kind in ("document", "found") else item

    def _refresh(self, max_age: float) -> None:
        with self._lock:
            if time.monotonic() - self._read_at <= max_age:
                return
            documents = self._index.documents()
            names = _named([each.source for each in documents], self._uploads)
            self._names = dict(zip((each.source for each in documents), names, strict=True))
            self._documents = dict(zip(names, documents, strict=True))
            self._read_at = time.monotonic()


def without_paths(message: str) -> str:
    """Cut the folders off absolute paths in a message, and leave out where a database is.

    Args:
        message: The message.

    Returns:
        The same, with the last part of each path in its place.
    """
    message = _DATABASE.sub("the database", message)
    return _PATH.sub(lambda found: found[0].rstrip("/").rsplit("/", 1)[-1], message)


def _named(sources: list[str], uploads: Path) -> list[str]:
    """Names for all sources, each used once."""
    names = {source: _plain(source, uploads) for source in sources}
    files = {source: PurePath(source).parts[1:] for source, name in names.items() if name is None}
    length = 1
    while files:
        taken = Counter(name for name in names.values() if name)
        by_name = defaultdict(list)
        for source, parts in files.items():
            by_name["/".join(parts[-length:])].append(source)
        for name, same in by_name.items():
            whole = all(len(files[source]) <= length for source in same)
            if (len(same) == 1 and not taken[name]) or whole:
                for source in same:
                    names[source] = name
                    del files[source]
        length += 1
    return [names[source] or source for source in sources]


def _plain(source: str, uploads: Path) -> str | None:
    """The name that a source has by itself; None for a file that others may be named like."""
    if not source.startswith("/"):
        return source
    path = PurePath(source)
    return str(path.relative_to(uploads)) if path.is_relative_to(uploads) else None
