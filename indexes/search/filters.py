"""Filters on the documents that a search may find.

SQLite first leaves out most documents that cannot match, by a necessary condition on their rows, and Python decides on
the rest. Only a filter on sources without patterns and on dates is decided in SQLite alone. llama-index's filters are
evaluated apart (`indexes.llama_index.filters`): a value means something else there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from itertools import chain, islice
from typing import Any

from indexes.errors import CorpusError
from indexes.metadata import NO_METADATA, Metadata
from indexes.sources import composed, full_source, lies_in
from indexes.storage import (
    MOST_TERMS,
    Condition,
    StoreReader,
    all_of,
    any_of,
    compares,
    contains,
    of_any_source,
    source_lies_in,
)
from indexes.text import folded
from indexes.types import Chunk, DocumentInfo

PATTERN = re.compile(r"[*?\[]")  # what makes a source or a title a pattern
_WILD = re.compile(r"[*?]|\[!?\]?[^\]]*\]")  # what stands for other characters in a pattern
_PLAIN_INTEGERS = 10**15  # beyond it JSON writes 1e+16 for a float that equals an integer


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Conditions on the documents that may be found; every one that is given must hold.

    Attributes:
        source: A file, a folder, a pattern of paths (`reports/*.pdf`), or the name of a document that was added from
            memory, or a pattern of names. Of several, one must fit.
        title: A title, or a pattern of titles; the case and the width of letters do not count. Of several, one must
            fit.
        metadata: Names and values that the metadata must have. A list in the metadata also has the value of each of
            its items; a text also stands for the number, the boolean or the null that is written so in JSON.
        after: The earliest time at which the file may have been written last: an ISO date or date-time, in UTC unless
            it says otherwise.
        before: The time before which the file must have been written last.

    Raises:
        CorpusError: If a date cannot be read, or the metadata are not JSON.
    """

    source: str | tuple[str, ...] = ()
    title: str | tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default=NO_METADATA)
    after: str | None = None
    before: str | None = None

    def __post_init__(self) -> None:
        for name in ("source", "title"):
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str | os.PathLike) else tuple(given))
        object.__setattr__(self, "metadata", Metadata(self.metadata))
        for name in ("after", "before"):
            object.__setattr__(self, name, _moment(getattr(self, name)))

    def allows(self, document: DocumentInfo) -> bool:
        """Whether a document may be found.

        Args:
            document: The document.

        Returns:
            Whether all conditions hold for it.
        """
        return self.matcher()(document)

    def source_matcher(self) -> Callable[[str], bool]:
        """Prepare the condition on sources for many documents.

        Returns:
            A function that tells whether a source fits, for the present working folder.
        """
        places = [
            (composed(full_source(wanted)), composed(wanted), bool(PATTERN.search(wanted))) for wanted in self.source
        ]
        return lambda source: not places or any(_is_source(composed(source), *place) for place in places)

    def matcher(self) -> Callable[[DocumentInfo], bool]:
        """Prepare `allows` for many documents.

        Returns:
            A function that does what `allows` does, for the present working folder.
        """
        fits = self.source_matcher()
        titles = [folded(wanted) for wanted in self.title]

        def allows(document: DocumentInfo) -> bool:
            return (
                (fits(document.source) or any(map(fits, document.copies)))
                and (not titles or _is_title(folded(document.title), titles))
                and all(_holds(document.metadata, name, value) for name, value in self.metadata.items())
                and (self.after is None or (document.modified is not None and document.modified >= self.after))
                and (self.before is None or (document.modified is not None and document.modified < self.before))
            )

        return allows


def each_name(document: DocumentInfo, filters: SearchFilter | None) -> Iterator[DocumentInfo]:
    """List a document under each of its names.

    Args:
        document: The document, with its copies.
        filters: Which of the names to list; None for all.

    Yields:
        The document, and its copies as documents of their own.
    """
    fits = None if filters is None else filters.source_matcher()
    names = (document.source, *document.copies)
    for name in names:
        if fits is None or fits(name):
            copy_of = None if name == document.source else document.source
            copies = tuple(sorted(other for other in names if other != name))
            yield replace(document, source=name, copy_of=copy_of, copies=copies)


def named_as_allowed(chunks: Iterable[Chunk], filters: SearchFilter | None) -> Iterator[Chunk]:
    """Name chunks by a file that a filter allows, where their document has copies.

    Args:
        chunks: Chunks of documents that the filter allows.
        filters: The filter; None leaves the names as they are.

    Yields:
        The chunks.
    """
    fits = None if filters is None else filters.source_matcher()
    for chunk in chunks:
        if fits is not None and chunk.copies and not fits(chunk.source):
            names = (chunk.source, *chunk.copies)
            source = next(filter(fits, chunk.copies), chunk.source)
            yield replace(chunk, source=source, copies=tuple(sorted(name for name in names if name != source)))
        else:
            yield chunk


def allowed_chunks(store: StoreReader, filters: SearchFilter) -> set[int] | None:
    """Select the chunks of the documents that a filter allows.

    Args:
        store: The store.
        filters: The filter.

    Returns:
        The ids of the chunks; None if those are all chunks.
    """
    allowed, allows = set[int](), filters.matcher()
    is_decided = not filters.title and not filters.metadata and not any(map(PATTERN.search, filters.source))
    for condition in _conditions(filters):
        if is_decided:
            allowed |= store.chunk_ids_where(condition)
        else:
            found = store.documents_where(condition, check=False)
            allowed |= store.chunk_ids_of(document_id for document_id, document in found if allows(document))
    return None if len(allowed) == store.chunk_count() else allowed


def allowed_documents(store: StoreReader, filters: SearchFilter | None) -> dict[int, DocumentInfo]:
    """Select the documents that a filter allows.

    Args:
        store: The store.
        filters: The filter; None for all documents.

    Returns:
        The documents by id, in the order of their sources.
    """
    if filters is None:
        return dict(store.documents())
    allows = filters.matcher()
    found = chain.from_iterable(map(store.documents_where, _conditions(filters)))
    return dict(sorted((each for each in found if allows(each[1])), key=lambda each: each[1].source))


def _is_source(source: str, path: str, name: str, is_pattern: bool) -> bool:
    place = path if source.startswith(os.sep) else name
    return lies_in(source, place) or (is_pattern and fnmatchcase(source, place))


def _is_title(title: str, wanted: Sequence[str]) -> bool:
    return any(title == each or fnmatchcase(title, each) for each in wanted)


def _holds(metadata: Metadata, name: str, wanted: Any) -> bool:
    if name not in metadata:
        return False
    value = metadata[name]
    return _equals(value, wanted) or (isinstance(value, list) and any(_equals(item, wanted) for item in value))


def _equals(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) and not isinstance(value, str):
        return json.dumps(value) == wanted
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)


def _moment(given: str | None) -> str | None:
    """A date or date-time as `DocumentInfo.modified` is written: a day begins at midnight, UTC."""
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given.strip().replace("Z", "+00:00"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError) as error:
        raise CorpusError(f"{given!r} is no date: write 2026-11-23, or 2026-11-23T09:30:00") from error


def _conditions(filters: SearchFilter) -> Iterator[Condition]:
    """Conditions such that every document that is allowed meets one of them."""
    common = [_contains_all("metadata", (_written(part) for item in filters.metadata.items() for part in item))]
    if 0 < len(filters.title) <= MOST_TERMS:
        titles = (_WILD.split(folded(title)) for title in filters.title)
        common.append(any_of(_contains_all("folded_title", parts) for parts in titles))
    if filters.after is not None:
        common.append(compares("modified", ">=", filters.after))
    if filters.before is not None:
        common.append(compares("modified", "<", filters.before))
    for first in range(0, len(filters.source), MOST_TERMS):
        yield all_of([any_of(map(_source, filters.source[first : first + MOST_TERMS])), *common])
    if not filters.source:
        yield all_of(common)


def _source(wanted: str) -> Condition:
    def lies_in_or_fits(place: str) -> Condition:
        if not PATTERN.search(wanted):
            return source_lies_in(place)
        column = "source" if place.isascii() else "nfc(source)"
        return of_any_source(_contains_all(column, _WILD.split(composed(place))))

    path = full_source(wanted)
    if wanted in (path, ""):
        return lies_in_or_fits(path)
    is_name = Condition("substr(source, 1, 1) != ?", [os.sep])  # a copy is never one
    return any_of([lies_in_or_fits(path), all_of([is_name, lies_in_or_fits(wanted)])])


def _contains_all(column: str, texts: Iterable[str]) -> Condition:
    return all_of(islice((contains(column, text) for text in texts if text), MOST_TERMS))


def _written(value: object) -> str:
    """A text that the JSON of all metadata with an equal value contains; '' where there is no such text."""
    # A filter's text may stand for a value that is written so in JSON, and an integer may equal a float.
    if isinstance(value, str):
        return value if json.dumps(value, ensure_ascii=False) == f'"{value}"' else ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, list | dict) or (isinstance(value, int) and abs(value) >= _PLAIN_INTEGERS):
        return ""
    return json.dumps(value)
