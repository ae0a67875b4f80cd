"""llama-index's metadata filters: evaluated on a node's metadata, and as conditions that SQLite checks first."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from indexes.errors import CorpusError
from indexes.llama_index.nodes import COMPUTED_KEYS
from indexes.sources import NAMESPACE
from indexes.storage import Condition

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


_ANYTHING: Condition = ("TRUE", [])
_NOTHING: Condition = ("FALSE", [])
_MOST = 100  # filters, and values of one: SQLite has limits, and a long condition takes long
_COLUMNS = ("source", "title", "modified")  # of a file's document, which its passages have as metadata


def node_condition(filters: MetadataFilters) -> Condition:
    """On the text of a node's metadata, the column `n.metadata`."""
    return _condition(filters, lambda each: _in_json(each, "n.metadata", ascii_only=True))


def file_condition(filters: MetadataFilters) -> Condition:
    """On the row of a document, which is to be a file's."""
    is_file = ("substr(source, 1, ?) != ?", [len(NAMESPACE), NAMESPACE])
    return _all([is_file, _condition(filters, _of_file)])


def _condition(filters: MetadataFilters, of_one: Callable[[MetadataFilter], Condition]) -> Condition:
    return _of_tree(filters, of_one) if sum(1 for _ in _values(filters)) <= _MOST else _ANYTHING


def _values(filters: MetadataFilters) -> Iterator[object]:
    """Every value that a filter has, or itself if it has none, and every group of filters."""
    for each in filters.filters:
        if isinstance(each, MetadataFilters):
            yield each
            yield from _values(each)
        else:
            yield from each.value if isinstance(each.value, list) and each.value else [each]


def _of_tree(filters: MetadataFilters, of_one: Callable[[MetadataFilter], Condition]) -> Condition:
    parts = [_of_tree(each, of_one) if isinstance(each, MetadataFilters) else of_one(each) for each in filters.filters]
    if not parts or filters.condition == FilterCondition.NOT:
        return _ANYTHING
    return _any(parts) if filters.condition == FilterCondition.OR else _all(parts)


def _of_file(each: MetadataFilter) -> Condition:
    if each.key not in _COLUMNS:
        return _in_json(each, "metadata", ascii_only=False)
    if not isinstance(each.value, str) or not _is_text(each.value):
        return _ANYTHING
    if each.operator in (FilterOperator.CONTAINS, FilterOperator.TEXT_MATCH):
        return f"instr({each.key}, ?) > 0", [each.value]
    return (f"{each.key} {_SIGNS[each.operator]} ?", [each.value]) if each.operator in _SIGNS else _ANYTHING


def _in_json(each: MetadataFilter, column: str, *, ascii_only: bool) -> Condition:
    """What must stand in the JSON text: the filter's key, and what its operator looks for."""
    if each.operator in TRUE_OF_MISSING or each.key in COMPUTED_KEYS:
        return _ANYTHING

    def holds(written: str) -> Condition:
        return (f"instr({column}, ?) > 0", [written]) if _is_text(written) else _NOTHING

    def written(value: object) -> str:
        return json.dumps(value, ensure_ascii=ascii_only)

    look_for = _LOOKED_FOR.get(each.operator)
    wanted = look_for(each.value, holds, written) if look_for else _ANYTHING
    return _all([holds(written(each.key)), wanted])


Holds = Callable[[str], Condition]
Written = Callable[[object], str]


def _equal(value: Any, holds: Holds, written: Written) -> Condition:
    return holds(written(value)) if isinstance(value, str) else _ANYTHING  # 1, 1.0 and True are equal


def _part(value: Any, holds: Holds, written: Written) -> Condition:
    return holds(written(value)[1:-1]) if isinstance(value, str) and value else _ANYTHING


def _one_equal(values: Sequence[Any], holds: Holds, written: Written) -> Condition:
    return _any([_equal(value, holds, written) for value in values])


def _one_part(values: Sequence[Any], holds: Holds, written: Written) -> Condition:
    return _any([_part(value, holds, written) for value in values])


def _every_part(values: Sequence[Any], holds: Holds, written: Written) -> Condition:
    return _all([_part(value, holds, written) for value in values])


def _any(parts: Sequence[Condition]) -> Condition:
    return _joined(" OR ", parts) if parts else _NOTHING


def _all(parts: Sequence[Condition]) -> Condition:
    return _joined(" AND ", parts) if parts else _ANYTHING


def _joined(word: str, parts: Sequence[Condition]) -> Condition:
    return f"({word.join(sql for sql, _ in parts)})", [value for _, values in parts for value in values]


def _is_text(value: str) -> bool:
    """Whether SQLite can be asked for it: half a surrogate pair is in no text that it holds."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


_LOOKED_FOR: dict[FilterOperator, Callable[[Any, Holds, Written], Condition]] = {
    FilterOperator.EQ: _equal,
    FilterOperator.IN: _one_equal,
    FilterOperator.CONTAINS: _part,
    FilterOperator.TEXT_MATCH: _part,
    FilterOperator.ANY: _one_part,
    FilterOperator.ALL: _every_part,
}
_SIGNS = {
    FilterOperator.EQ: "=",
    FilterOperator.GT: ">",
    FilterOperator.GTE: ">=",
    FilterOperator.LT: "<",
    FilterOperator.LTE: "<=",
}
