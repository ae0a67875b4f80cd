"""Which of a store's documents a `SearchFilter` allows.

SQLite is asked for a few of them first: its conditions hold for every document that the filter allows, and for some
others, because it compares neither patterns nor metadata as the filter does. Those that it finds are read and checked,
and the filter itself decides. For a search, which checks what it finds, they are not checked before, and where SQLite
compares as the filter does, they are not read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from indexes.filters import PATTERN, SearchFilter, folded
from indexes.rows import Condition, Rows, in_place
from indexes.sources import full_source
from indexes.types import DocumentInfo

_WILD = re.compile(r"[*?]|\[!?\]?[^\]]*\]")  # what stands for other characters in a pattern
_PLAIN_INTEGERS = 10**15  # beyond it JSON writes 1e+16 for a float that equals an integer
_MOST_TERMS = 100  # of one AND or OR: SQLite refuses more than 1,000


def allowed_chunks(store: Rows, filters: SearchFilter) -> set[int] | None:
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


def allowed_documents(store: Rows, filters: SearchFilter | None) -> dict[int, DocumentInfo]:
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
