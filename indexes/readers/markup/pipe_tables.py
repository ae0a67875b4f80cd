"""The tables of Markdown."""

from __future__ import annotations

import re

from indexes.readers.base import MOST_MARKS, lines_with_offsets
from indexes.readers.tables import one_header
from indexes.types import Table

_PIPE_RULE = re.compile(r" {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_QUOTED = re.compile(r" {0,3}>(?:[ \t]?>)*[ \t]?")


def pipe_tables(text: str) -> tuple[tuple[Table, ...], tuple[int, ...]]:
    """The tables of a Markdown text: a header, a line of hyphens, and rows until a line without a `|`.

    Args:
        text: The text.

    Returns:
        The tables, and the offsets of their rows.
    """
    tables: list[Table] = []
    breaks: list[int] = []
    above, header, rows = "", "", list[tuple[int, int]]()
    for offset, whole in [*lines_with_offsets(text), (len(text), "")]:
        line = _QUOTED.sub("", whole)
        is_rule = "|" in above and "-" in line and _PIPE_RULE.match(line) and line.count("|") >= above.count("|") - 2
        is_second = bool(header) and len(rows) > 1 and is_rule and "---" in line  # the row above it begins a table
        if header and "|" in line and not is_second:
            rows.append((offset, offset + len(whole)))
            above = line
            continue
        rows = rows[:-1] if is_second else rows
        if header and rows:
            tables.append(Table(rows[0][0], rows[-1][1], header))
            breaks += (start for start, _ in rows)
        header, rows = one_header(above) if is_rule else "", []
        above = line
        if len(breaks) > MOST_MARKS:
            break
    return tuple(tables), tuple(breaks[:MOST_MARKS])
