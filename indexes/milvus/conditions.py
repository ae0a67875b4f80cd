"""A `SearchFilter` as a condition of Milvus."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from indexes.errors import CorpusError
from indexes.search import SearchFilter
from indexes.sources import composed, full_source
from indexes.text import folded

BETWEEN = "\u241e"  # before, between and after the names of a document


def condition_of(filters: SearchFilter | None) -> str:
    """Write a filter as Milvus writes conditions.

    Args:
        filters: The filter; None for none.

    Returns:
        The condition; empty if it is met by all.

    Raises:
        CorpusError: If a pattern has a set of characters, which Milvus does not know.
    """
    if filters is None:
        return ""
    parts = [_any(map(_in_source, filters.source)), _any(map(_is_title, filters.title))]
    parts += (_holds(name, value) for name, value in filters.metadata.items())
    if filters.after is not None:
        parts.append(f"modified >= {_text(filters.after)}")
    if filters.before is not None:
        parts.append(f'(modified != "" and modified < {_text(filters.before)})')
    return " and ".join(part for part in parts if part)


def _any(conditions: Iterable[str]) -> str:
    every = list(conditions)
    return f"({' or '.join(every)})" if every else ""


def _in_source(wanted: str) -> str:
    """A file, what lies in a folder, or a pattern, among the names of a document."""
    places = {composed(full_source(wanted)), composed(wanted)}
    likes = [like for place in sorted(places) for like in (place, f"{place.rstrip(os.sep)}{os.sep}*")]
    return _any(f"names like {_pattern(f'*{BETWEEN}{like}{BETWEEN}*')}" for like in likes)


def _is_title(wanted: str) -> str:
    return f"folded like {_pattern(folded(wanted))}"


def _holds(name: str, value: Any) -> str:
    """A value, one that is written so in JSON if it is a text, or a list that has one of them."""
    if isinstance(value, list | dict) or value is None:
        raise CorpusError(f"the filter {name}={value!r} cannot be asked of Milvus: give a text, a number or a boolean")
    values = [value]
    if isinstance(value, str):
        try:
            meant = json.loads(value)
        except ValueError:
            meant = None
        values += [meant] if isinstance(meant, int | float) else []
    field = f"metadata[{_text(name)}]"
    written = [json.dumps(each, ensure_ascii=False) for each in values]
    return _any(part for each in written for part in (f"{field} == {each}", f"json_contains({field}, {each})"))


def _pattern(pattern: str) -> str:
    """A pattern as Milvus writes it, in which % stands for any characters and _ for one."""
    if "[" in pattern:
        raise CorpusError(
            f"the pattern {pattern.strip(f'*{BETWEEN}')!r} has a [, which Milvus does not know: use * and ?"
        )
    escaped = pattern.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    return _text(escaped.replace("*", "%").replace("?", "_"))


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
