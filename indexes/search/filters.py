"""Which documents a search may find: `SearchFilter`, and its evaluation in SQLite and in Python."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from itertools import chain, islice
from typing import Any

from indexes.errors import CorpusError
from indexes.metadata import NO_METADATA, Metadata
from indexes.sources import full_source, lies_in
from indexes.storage import Condition, StoreReader, in_place
from indexes.text import folded
from indexes.types import DocumentInfo

PATTERN = re.compile(r"[*?\[]")  # what makes a source or a title a pattern


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """What a document must be to be found; every part that is given must hold.

    - `source`: a file, a folder that it lies under, or a pattern (`reports/*.pdf`) of its path. Several: any of them.
    - `title`: its title, or a pattern of it, whatever the case and the width of letters. Several: any of them.
    - `metadata`: names and values that its metadata must have. A list there holds each of its items; text is also the
      number, the boolean or the null that is written so in JSON.
    - `after` and `before`: ISO dates or date-times (UTC unless they say otherwise) between which its file was last
      written, `after` included and `before` not.

    Raises CorpusError for a date that is none.
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
        """Whether the document may be found."""
        return self.matcher()(document)

    def matcher(self) -> Callable[[DocumentInfo], bool]:
        """`allows`, for many documents: with what it takes from the surroundings taken once."""
        places = [(full_source(wanted), bool(PATTERN.search(wanted))) for wanted in self.source]
        titles = [folded(wanted) for wanted in self.title]

        def allows(document: DocumentInfo) -> bool:
            return (
                (not places or any(_is_source(document.source, *place) for place in places))
                and (not titles or _is_title(folded(document.title), titles))
                and all(_holds(document.metadata, name, value) for name, value in self.metadata.items())
                and (self.after is None or (document.modified is not None and document.modified >= self.after))
                and (self.before is None or (document.modified is not None and document.modified < self.before))
            )

        return allows


def _is_source(source: str, place: str, is_pattern: bool) -> bool:
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


_WILD = re.compile(r"[*?]|\[!?\]?[^\]]*\]")  # what stands for other characters in a pattern
_PLAIN_INTEGERS = 10**15  # beyond it JSON writes 1e+16 for a float that equals an integer
_MOST_TERMS = 100  # of one AND or OR: SQLite refuses more than 1,000


def allowed_chunks(store: StoreReader, filters: SearchFilter) -> set[int] | None:
    """The chunks of the documents that the filter allows; None if those are all chunks."""
    allowed = set[int]()
    for condition in _conditions(filters):
        if _decides(filters):
            allowed |= store.chunk_ids_where(condition)
        else:
            allows = filters.matcher()
            found = store.documents_where(condition, check=False)
            allowed |= store.chunk_ids_of(document_id for document_id, document in found if allows(document))
    return None if len(allowed) == store.chunk_count() else allowed


def allowed_documents(store: StoreReader, filters: SearchFilter | None) -> dict[int, DocumentInfo]:
    """The documents that the filter allows, by id, in the order of their sources."""
    if filters is None:
        return dict(store.documents())
    allows = filters.matcher()
    found = chain.from_iterable(map(store.documents_where, _conditions(filters)))
    return dict(sorted((each for each in found if allows(each[1])), key=lambda each: each[1].source))


def _decides(filters: SearchFilter) -> bool:
    """Whether a document that meets one of the conditions is allowed."""
    return not filters.title and not filters.metadata and not any(map(PATTERN.search, filters.source))


def _conditions(filters: SearchFilter) -> Iterator[Condition]:
    """A document that is allowed meets one of them."""
    for first in range(0, len(filters.source) or 1, _MOST_TERMS):
        yield _condition(filters, filters.source[first : first + _MOST_TERMS])


def _condition(filters: SearchFilter, sources: Sequence[str]) -> Condition:
    titles = filters.title if len(filters.title) <= _MOST_TERMS else ()
    parts = [_any(_source, sources), _any(_title, titles), _metadata(filters.metadata)]
    parts += [
        (f"modified {sign} ?", [day]) for sign, day in ((">=", filters.after), ("<", filters.before)) if day is not None
    ]
    return _joined(" AND ", parts)


def _any(condition: Callable[[str], Condition], wanted: Iterable[str]) -> Condition:
    sql, parameters = _joined(" OR ", map(condition, wanted))
    return f"({sql})", parameters


def _joined(word: str, conditions: Iterable[Condition]) -> Condition:
    parts = list(conditions)
    return word.join(sql for sql, _ in parts) or "TRUE", [value for _, values in parts for value in values]


def _source(wanted: str) -> Condition:
    place = full_source(wanted)
    return _holds_all("source", _WILD.split(place)) if PATTERN.search(wanted) else in_place(place)


def _title(wanted: str) -> Condition:
    return _holds_all("folded_title", _WILD.split(folded(wanted)))


def _metadata(wanted: Mapping[str, Any]) -> Condition:
    texts = (text for name, value in wanted.items() for text in (_written(name), _written(value)))
    return _holds_all("metadata", texts)


def _holds_all(column: str, texts: Iterable[str]) -> Condition:
    return _joined(" AND ", islice(((f"instr({column}, ?)", [text]) for text in texts if text), _MOST_TERMS))


def _written(value: object) -> str:
    """What stands in the JSON text of all metadata that have the value, as the filter compares; '' for what may differ.

    Text may stand for a value that is written so in JSON, and numbers of two kinds can be equal.
    """
    if isinstance(value, str):
        return value if json.dumps(value, ensure_ascii=False) == f'"{value}"' else ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, list | dict) or (isinstance(value, int) and abs(value) >= _PLAIN_INTEGERS):
        return ""
    return json.dumps(value)
