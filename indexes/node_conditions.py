"""llama-index's metadata filters as SQL: conditions that hold for every node that the filters let pass.

And for others: SQLite looks for what must stand in the JSON text of a node's metadata, which is quick, and
`indexes.node_filters` decides about what that leaves. Knows how metadata are stored and runs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from indexes.node_filters import TRUE_OF_MISSING
from indexes.nodes import COMPUTED_KEYS
from indexes.rows import Condition
from indexes.sources import NAMESPACE

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
