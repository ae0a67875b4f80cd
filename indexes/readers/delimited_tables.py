"""The tables in CSV and TSV files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from indexes.readers.tables import (
    HAS_DIGIT,
    LONGEST_HEADER,
    SEARCHED,
    begins_table,
    divides,
    header_of_two,
    header_place,
    one_header,
)
from indexes.types import Table

_DELIMITERS = ("\t", ";", ",", "|")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_MOST_PARTS = 100  # tables in a file of delimited text, which are looked for below empty lines
_MOST_CANDIDATES = 10_000  # records without a digit, any of which may be a header


def delimited_table(text: str, starts: Sequence[int]) -> tuple[Table, ...]:
    """The table of a CSV or TSV file.

    Args:
        text: The file's text.
        starts: Where its records begin.

    Returns:
        A table for each part below an empty line that begins with a header; none if there is no header.
    """
    ends = [*starts[1:], len(text)]
    tables: list[Table] = []
    begin = 0
    parts = sorted({*_below_blanks(text, starts), *_names_between_numbers(text, starts)})
    for number in [*parts, len(starts)]:
        is_cut = number == len(starts) or _delimited(text, starts[number:], ends[number:], by_numbers=True) is not None
        if is_cut and (table := _delimited(text, starts[begin:number], ends[begin:number])) is not None:
            tables.append(table)
        begin = number if is_cut else begin
    return tuple(tables)


def _below_blanks(text: str, starts: Sequence[int]) -> list[int]:
    """The records below an empty one, the first hundred of them."""
    blank = (i for i in range(1, len(starts) - 1) if not text[starts[i - 1] : starts[i]].strip(" \t\r\n,;|"))
    filled = (i for i in blank if text[starts[i] : starts[i + 1]].strip(" \t\r\n,;|"))
    return list(islice(filled, _MOST_PARTS))


def _names_between_numbers(text: str, starts: Sequence[int]) -> list[int]:
    """The records that are the header of a further table with no empty line above it, the first hundred of them."""
    first = text[: starts[min(len(starts) - 1, SEARCHED)]] if starts else ""
    delimiter = max(_DELIMITERS, key=first.count)
    records = (i for i in range(2, len(starts) - 1) if not HAS_DIGIT.search(text, starts[i], starts[i + 1]))
    ends = [*starts[1:], len(text)]
    found = (
        i
        for i in islice(records, _MOST_CANDIDATES)
        if divides([text[starts[each] : ends[each]].split(delimiter) for each in (i - 1, i, i + 1)])
    )
    return list(islice(found, _MOST_PARTS))


def _delimited(text: str, starts: Sequence[int], ends: Sequence[int], *, by_numbers: bool = False) -> Table | None:
    """The table that records are; by numbers, only if its header shows in numbers that stand below names."""
    first = [text[start:end] for start, end in islice(zip(starts, ends, strict=True), SEARCHED)]
    bare = [_QUOTED.sub("x", record[:LONGEST_HEADER]) for record in first]
    delimiter = max(_DELIMITERS, key=lambda each: sum(record.count(each) for record in bare))
    cells = [_QUOTED.sub(lambda quoted: quoted[0].strip('"').replace(delimiter, " "), record) for record in first]
    rows = [record.split(delimiter) for record in cells]
    place = header_place(rows)
    if (
        place is None
        or sum(any(map(str.strip, row)) for row in rows) < 2
        or place + 1 >= len(starts)
        or (by_numbers and not begins_table(rows))
    ):
        return None
    below, names = header_of_two(rows, place)
    if names and below < len(starts):
        return Table(starts[below], ends[-1], one_header(delimiter.join(names)))
    return Table(starts[place + 1], ends[-1], one_header(first[place]))
