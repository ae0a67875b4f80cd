"""llama-index's metadata filters: evaluated in Python, after SQLite has left out most rows that cannot match.

The two halves differ on purpose. What a filter means (1 == True, a text in a list or in a text, values that cannot be
compared) is Python's semantics, as in llama-index's own SimpleVectorStore; SQL's are others. So SQLite only checks a
necessary condition, on the JSON text or on what it has under a key, which is much faster than parsing it here.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from indexes.errors import CorpusError
from indexes.llama_index.nodes import COMPUTED_KEYS
from indexes.sources import NAMESPACE
from indexes.storage import ANYTHING, Condition, all_of, any_of, compares, compares_in_json, contains

_LISTS = (FilterOperator.IN, FilterOperator.NIN, FilterOperator.ANY, FilterOperator.ALL)
_ORDERS = (FilterOperator.GT, FilterOperator.GTE, FilterOperator.LT, FilterOperator.LTE)
_TEXTS = (FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE)
TRUE_OF_MISSING = (FilterOperator.NE, FilterOperator.NIN, FilterOperator.IS_EMPTY)
_MOST_PARAMETERS = 200  # of a condition: SQLite refuses more than 1,000 terms, and a long condition takes long
_SLACK = 1e-12  # SQLite may read the last digits of a number in another way, and a whole number as a fraction
_COLUMNS = ("source", "title", "modified")  # of a file's document, which its passages have as metadata


def matches(metadata: Mapping[str, Any], filters: MetadataFilters) -> bool:
    """Whether a node with that metadata passes. An empty group passes; NOT means that none of its filters passes."""
    results = (
        matches(metadata, each) if isinstance(each, MetadataFilters) else _holds(metadata, each)
        for each in filters.filters
    )
    if filters.condition == FilterCondition.NOT:
        return not any(results)
    return not filters.filters or (any if filters.condition == FilterCondition.OR else all)(results)


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


def node_condition(filters: MetadataFilters) -> Condition:
    """A condition on a node's metadata, the column `n.metadata`, that every node meets that passes the filters."""
    return _condition(filters, lambda each: _in_json(each, "n.metadata", ascii_only=True))


def file_condition(filters: MetadataFilters) -> Condition:
    """A condition on a row of `documents` that every file meets that has a passage that passes the filters."""
    is_no_node = Condition("substr(source, 1, ?) != ?", [len(NAMESPACE), NAMESPACE])
    return all_of([is_no_node, _condition(filters, _of_file)])


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


def _condition(filters: MetadataFilters, of_one: Callable[[MetadataFilter], Condition]) -> Condition:
    """A necessary condition for the filters to pass; ANYTHING where none is known or it would be too long."""
    parts = [
        _condition(each, of_one) if isinstance(each, MetadataFilters) else of_one(each) for each in filters.filters
    ]
    if not parts or filters.condition == FilterCondition.NOT:
        return ANYTHING
    whole = any_of(parts) if filters.condition == FilterCondition.OR else all_of(parts)
    return whole if len(whole.parameters) <= _MOST_PARAMETERS else ANYTHING


def _of_file(each: MetadataFilter) -> Condition:
    if each.key not in _COLUMNS:
        return _in_json(each, "metadata", ascii_only=False)
    if not isinstance(each.value, str):
        return ANYTHING
    if each.operator in (FilterOperator.CONTAINS, FilterOperator.TEXT_MATCH):
        return contains(each.key, each.value)
    return compares(each.key, _SIGNS[each.operator], each.value) if each.operator in _SIGNS else ANYTHING


def _in_json(each: MetadataFilter, column: str, *, ascii_only: bool) -> Condition:
    """That the JSON text contains the filter's key, and under it what its operator looks for."""
    if each.operator in TRUE_OF_MISSING or each.key in COMPUTED_KEYS:
        return ANYTHING
    is_whole = each.operator in (FilterOperator.EQ, FilterOperator.IN)

    def has(value: object) -> Condition:
        if not isinstance(value, str):  # 1, 1.0 and True are equal and are written differently
            return all_of(_ordered(column, each.key, sign, value) for sign in (">=", "<=")) if is_whole else ANYTHING
        written = json.dumps(value, ensure_ascii=ascii_only)
        return contains(column, written if is_whole else written[1:-1])

    key = contains(column, json.dumps(each.key, ensure_ascii=ascii_only))
    if each.operator in _ORDERS:
        return all_of([key, _ordered(column, each.key, _SIGNS[each.operator], each.value)])
    if each.operator not in _JOINED:
        return key
    values: Any = each.value if each.operator in _LISTS else [each.value]
    return all_of([key, _JOINED[each.operator](map(has, values))])


def _ordered(column: str, key: str, sign: str, value: object) -> Condition:
    """That the JSON object has a value under a key which is above or below another, or nearly equal."""
    if isinstance(value, int | float):
        try:
            bound = float(value)
        except OverflowError:
            return ANYTHING
        if not math.isfinite(bound):
            return ANYTHING
        slack = abs(bound) * _SLACK
        value = bound - slack if sign[0] == ">" else bound + slack
    return compares_in_json(column, key, f"{sign[0]}=", value) if isinstance(value, str | float) else ANYTHING


_JOINED: dict[FilterOperator, Callable[[Iterable[Condition]], Condition]] = {
    FilterOperator.EQ: all_of,
    FilterOperator.IN: any_of,
    FilterOperator.CONTAINS: all_of,
    FilterOperator.TEXT_MATCH: all_of,
    FilterOperator.ANY: any_of,
    FilterOperator.ALL: all_of,
}
_SIGNS = {
    FilterOperator.EQ: "=",
    FilterOperator.GT: ">",
    FilterOperator.GTE: ">=",
    FilterOperator.LT: "<",
    FilterOperator.LTE: "<=",
}
_OPERATORS: dict[FilterOperator, Callable[[Any, Any], Any]] = {
    FilterOperator.EQ: operator.eq,
    FilterOperator.NE: operator.ne,
    FilterOperator.GT: operator.gt,
    FilterOperator.GTE: operator.ge,
    FilterOperator.LT: operator.lt,
    FilterOperator.LTE: operator.le,
    FilterOperator.IN: lambda value, given: value in given,
    FilterOperator.NIN: lambda value, given: value not in given,
    FilterOperator.CONTAINS: lambda value, given: given in value,
    FilterOperator.ANY: lambda value, given: any(part in value for part in given),
    FilterOperator.ALL: lambda value, given: all(part in value for part in given),
    FilterOperator.TEXT_MATCH: lambda text, given: isinstance(text, str) and given in text,
    FilterOperator.TEXT_MATCH_INSENSITIVE: lambda text, given: isinstance(text, str) and given.lower() in text.lower(),
    FilterOperator.IS_EMPTY: lambda value, _: value in ("", []),
}
