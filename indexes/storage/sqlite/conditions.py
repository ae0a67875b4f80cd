"""SQL conditions that filters select rows by, composed from parts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from indexes.sources import composed, is_file
from indexes.text import is_unicode

MOST_TERMS = 100  # of one AND or OR: SQLite refuses more than 1,000, and a long condition takes long
_AT_ONCE = 500  # ids; SQLite allows 999 parameters at least
_PLAIN_KEY = re.compile(r"[ !#-\[\]-~]+")  # that is written in JSON, and in a path of SQLite's, as it is


class Condition(NamedTuple):
    """A condition on a row.

    Attributes:
        sql: The condition, with a question mark for each parameter.
        parameters: The values of the parameters, in order.
    """

    sql: str
    parameters: list[Any]


ANYTHING = Condition("TRUE", [])
NOTHING = Condition("FALSE", [])


def all_of(conditions: Iterable[Condition]) -> Condition:
    """Join conditions by AND.

    Args:
        conditions: The conditions.

    Returns:
        The condition that all of them hold; ANYTHING if there are none.
    """
    return _joined(" AND ", conditions, ANYTHING, NOTHING)


def any_of(conditions: Iterable[Condition]) -> Condition:
    """Join conditions by OR.

    Args:
        conditions: The conditions.

    Returns:
        The condition that at least one of them holds; NOTHING if there are none.
    """
    return _joined(" OR ", conditions, NOTHING, ANYTHING)


def with_ids(column: str, ids: Iterable[int]) -> Iterator[Condition]:
    """Ask for the rows with some ids, in parts.

    Args:
        column: The name of the column.
        ids: The ids, in any number.

    Yields:
        The condition of each part, whose parameters are its ids.
    """
    left = iter(ids)
    while some := [*islice(left, _AT_ONCE)]:
        yield Condition(f"{column} IN ({', '.join('?' * len(some))})", some)


def contains(column: str, text: str) -> Condition:
    """Test whether a column contains a text.

    Args:
        column: The name of the column.
        text: The text.

    Returns:
        The condition that the column's text contains it.
    """
    return Condition(f"instr({column}, ?) > 0", [text]) if is_unicode(text) else NOTHING


def compares(column: str, sign: str, text: str) -> Condition:
    """Compare a column with a text.

    Args:
        column: The name of the column.
        sign: An SQL operator, such as ">=".
        text: The text.

    Returns:
        The condition that the comparison holds; ANYTHING if SQLite cannot read the text.
    """
    return Condition(f"{column} {sign} ?", [text]) if is_unicode(text) else ANYTHING


def compares_in_json(column: str, key: str, sign: str, value: str | float) -> Condition:
    """Compare what a JSON object has under a key with a value.

    Args:
        column: The name of a column with JSON objects.
        key: The key.
        sign: An SQL operator, such as ">=".
        value: The value. SQLite orders all numbers before all texts, and lists among the texts.

    Returns:
        The condition that the comparison holds, or that SQLite cannot read the JSON, such as NaN; ANYTHING if it cannot
        read the key or the value.
    """
    if not _PLAIN_KEY.fullmatch(key) or (isinstance(value, str) and not (is_unicode(value) and "\0" not in value)):
        return ANYTHING
    sql = f"CASE WHEN json_valid({column}) THEN json_extract({column}, ?) {sign} ? ELSE TRUE END"
    return Condition(sql, [f'$."{key}"', value])


def source_lies_in(place: str) -> Condition:
    """Select the document with a source, or all documents under a folder.

    Args:
        place: The source or the folder.

    Returns:
        The condition on a row of `documents` that `sources.lies_in` holds for its source, or for that of a copy;
        composed and decomposed letters are alike.
    """
    column, place = ("source", place) if place.isascii() else ("nfc(source)", composed(place))
    inside = place.rstrip(os.sep) + os.sep
    after = inside[:-1] + chr(ord(os.sep) + 1)
    sql = f"({column} = ? OR (? AND {column} > ? AND {column} < ?))"
    return of_any_source(Condition(sql, [place, is_file(place), inside, after]))


def of_any_source(condition: Condition) -> Condition:
    """Extend a condition on the column `source` of `documents` to the copies of a document.

    Args:
        condition: The condition.

    Returns:
        The condition that it holds for the document's source or for that of a copy.
    """
    if condition in (ANYTHING, NOTHING):
        return condition
    copied = f"id IN (SELECT document_id FROM copies WHERE {condition.sql})"  # noqa: S608
    return Condition(f"({condition.sql} OR {copied})", condition.parameters * 2)


def _joined(word: str, conditions: Iterable[Condition], neutral: Condition, decisive: Condition) -> Condition:
    """Join conditions, without those that are `neutral`; one that is `decisive` is the result."""
    parts = [condition for condition in conditions if condition != neutral]
    if decisive in parts:
        return decisive
    if len(parts) < 2:
        return parts[0] if parts else neutral
    parameters = [value for part in parts for value in part.parameters]
    return Condition(f"({word.join(part.sql for part in parts)})", parameters)
