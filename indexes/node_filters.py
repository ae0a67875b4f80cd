"""llama-index's metadata filters, evaluated on one node's metadata. Knows no database.

The meaning is that of llama-index's own `SimpleVectorStore`, with three differences: filters may be nested; a value
that a filter cannot be compared with (a number with a word) is no match instead of an error, so that one odd node does
not break every query; and a filter that could never work is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from indexes.errors import CorpusError

_LISTS = (FilterOperator.IN, FilterOperator.NIN, FilterOperator.ANY, FilterOperator.ALL)
_ORDERS = (FilterOperator.GT, FilterOperator.GTE, FilterOperator.LT, FilterOperator.LTE)
_TEXTS = (FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE)
TRUE_OF_MISSING = (FilterOperator.NE, FilterOperator.NIN, FilterOperator.IS_EMPTY)


def matches(metadata: Mapping[str, Any], filters: MetadataFilters) -> bool:
    """Whether a node with that metadata passes. No filters at all let everything pass; NOT means none of them."""
    results = (
        matches(metadata, each) if isinstance(each, MetadataFilters) else _holds(metadata, each)
        for each in filters.filters
    )
    return not filters.filters or _CONDITIONS[filters.condition or FilterCondition.AND](results)


def check_filters(filters: MetadataFilters) -> None:
    """Raise CorpusError for a filter whose value does not go with its operator."""
    for each in _leaves(filters):
        kind, fits = _expected(each.operator, each.value)
        if not fits:
            raise CorpusError(
                f"the filter {each.key!r} {each.operator.value!r} has the value {each.value!r}: give it {kind}"
            )


def filter_keys(filters: MetadataFilters) -> set[str]:
    """The metadata keys that the filters look at."""
    return {each.key for each in _leaves(filters)}


def _leaves(filters: MetadataFilters) -> Iterator[MetadataFilter]:
    for each in filters.filters:
        if isinstance(each, MetadataFilters):
            yield from _leaves(each)
        else:
            yield each


def _expected(kind: FilterOperator, value: object) -> tuple[str, bool]:
    if kind in _LISTS:
        return "a list", isinstance(value, list)
    if kind in _TEXTS:
        return "a text", isinstance(value, str)
    return "a number or a text", kind not in _ORDERS or value is not None


def _holds(metadata: Mapping[str, Any], condition: MetadataFilter) -> bool:
    value = metadata.get(condition.key)
    if value is None:
        return condition.operator in TRUE_OF_MISSING
    try:
        return bool(_OPERATORS[condition.operator](value, condition.value))
    except TypeError:
        return False


def _contains(value: Any, part: Any) -> bool:
    return part in value


def _text_match(value: object, part: str) -> bool:
    return isinstance(value, str) and part in value


def _text_match_insensitive(value: object, part: str) -> bool:
    return isinstance(value, str) and part.lower() in value.lower()


def _any_of(value: Any, parts: Sequence[Any]) -> bool:
    return any(part in value for part in parts)


def _all_of(value: Any, parts: Sequence[Any]) -> bool:
    return all(part in value for part in parts)


_OPERATORS: dict[FilterOperator, Callable[[Any, Any], Any]] = {
    FilterOperator.EQ: operator.eq,
    FilterOperator.NE: operator.ne,
    FilterOperator.GT: operator.gt,
    FilterOperator.GTE: operator.ge,
    FilterOperator.LT: operator.lt,
    FilterOperator.LTE: operator.le,
    FilterOperator.IN: lambda value, given: value in given,
    FilterOperator.NIN: lambda value, given: value not in given,
    FilterOperator.CONTAINS: _contains,
    FilterOperator.ANY: _any_of,
    FilterOperator.ALL: _all_of,
    FilterOperator.TEXT_MATCH: _text_match,
    FilterOperator.TEXT_MATCH_INSENSITIVE: _text_match_insensitive,
    FilterOperator.IS_EMPTY: lambda value, _: value in ("", []),
}
_CONDITIONS: dict[FilterCondition, Callable[[Iterator[bool]], bool]] = {
    FilterCondition.AND: all,
    FilterCondition.OR: any,
    FilterCondition.NOT: lambda results: not any(results),
}
