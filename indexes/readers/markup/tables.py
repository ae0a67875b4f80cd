"""The tables of Markdown, reStructuredText, Org, AsciiDoc and LaTeX, whose text stays as it is."""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise, zip_longest

from indexes.readers.base import MOST_MARKS, lines_with_offsets
from indexes.readers.markup.pipe_tables import pipe_tables
from indexes.readers.tables import LONGEST_HEADER, Row, column_names, header_place
from indexes.types import Table

MarkupTables = tuple[tuple[Table, ...], tuple[int, ...]]
TableRows = list[Row]

_GRID_RULE = re.compile(r"\s*\+(?::?[-=]+:?\+)+\s*$")  # with colons where Pandoc aligns a column
_SIMPLE_RULE = re.compile(r"\s*=+(?:[ \t]+=+)+\s*$")
_SIMPLE_SPAN = re.compile(r"\s*-+(?:[ \t]+-+)*\s*$")
_RST_DIRECTIVE = re.compile(r"(\s*)\.\. (list|csv)-table::")
_RST_OPTION = re.compile(r"\s*:([\w-]+):[ \t]*(.*)")
_RST_ITEM = re.compile(r"(\s*)([*+-][ \t]+)?-(?:[ \t]+|$)(.*)")
_ORG_RULE = re.compile(r"\|[-+]+\|?$")
_ADOC_EDGE = re.compile(r"[|,:]={3,}\s*$")
_ADOC_DELIMITERS = {",": ",", ":": ":"}
_ADOC_FORMAT = re.compile(r"\[.*?format=[\"']?([ctd]sv)\b")
_ADOC_CELL = re.compile(r"(?<!\\)(?:(?<=\s)|^)(?:\d*(?:\.\d+)?[+*])?[<^>.]{0,4}[a-z]?\|")
_LATEX_TABLE = re.compile(
    r"\\begin\{(tabular[xy*]?|tabulary|longtable|tblr)\}((?:(?!\\begin\{(?:tab|longtable|tblr))[^\0])*?)\\end\{\1\}"
)
_LATEX_COLUMNS = re.compile(r"(?:\s*\[[^\]]*\]|\s*\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})+")
_LATEX_BESIDE = re.compile(  # no row of a table: its title, boxes in cells, and the header of its further pages
    r"\\caption\*?(?:\[[^\]]*\])?\{(?:[^{}]|\{[^{}]*\})*\}|\\(?:begin|end)\{minipage\}(?:\[[^\]]*\]|\{[^{}]*\})*"
    r"|\\(?:label|noalign)\{[^{}]*\}|\\endfirsthead\b(?:(?!\\endfirsthead)[^\0])*?\\endhead\b"
)
_NO_LINE_END = re.compile(r"[^\n]")
_LATEX_ROW_END = re.compile(r"\\\\(?:\[[^\]\n]*\])?|\\tabularnewline\b")
_LATEX_RULE = re.compile(r"\s*\\(?:hline|midrule|endhead|endfirsthead)\b")
_LATEX_COMMAND = re.compile(
    r"\\(?:cline|c?midrule)(?:\([^)]*\))?\{[^}]*\}|\\multirow\{[^}]*\}\{[^}]*\}|\\[A-Za-z]+\*?|[{}$]"
)
_LATEX_ACROSS = re.compile(r"\s*\\multicolumn\{(\d{1,2})\}\{[^}]*\}")
_AMPERSAND = re.compile(r"(?<!\\)&")
_ESCAPED = re.compile(r"\\([&%#_$])")
_HTML_TABLE = re.compile(r"<table\b(?:(?!<table\b)[^\0])*?</table>", re.IGNORECASE)
_HTML_ROW = re.compile(r"<tr\b(?:(?!<tr\b|</tr\b|</table\b|</tbody\b|</thead\b)[^\0])*(?:</tr\s*>)?", re.IGNORECASE)
_HTML_CELL = re.compile(r"<t([hd])\b[^<>]*>((?:(?!<t[hd]\b|</t[hd]\b|</tr\b)[^\0])*)", re.IGNORECASE)
_HTML_TAG = re.compile(r"<[^<>]*>")
_MOST_CELLS = 1000  # of a row
_SEARCHED = 20  # rows among which the header is


def rst_tables(text: str) -> MarkupTables:
    """Find grid tables, simple tables, and those of `list-table` and `csv-table`, where they have a header.

    Args:
        text: A text in reStructuredText.

    Returns:
        The tables, and the offsets of their rows.
    """
    return _collected([*_grid_tables(text), *_simple_tables(text), *_directive_tables(text)])


def markdown_tables(text: str) -> MarkupTables:
    """Find the tables of Markdown: pipe tables, grid tables, and those in HTML, where they have a header.

    Args:
        text: A text in Markdown.

    Returns:
        The tables, and the offsets of their rows.
    """
    tables, breaks = pipe_tables(text)
    others: list[tuple[Table, TableRows] | None] = []
    if "+" in text:
        others += _grid_tables(text)
    if "<tr" in text.lower():
        others += (_html_table(match) for match in _HTML_TABLE.finditer(text))
    found, rows = _collected(others)
    if not found:
        return tables, breaks
    own = [table for table in tables if all(table.end <= each.start or each.end <= table.start for each in found)]
    every = sorted([*own, *found], key=lambda table: table.start)
    return tuple(every), tuple(sorted({*breaks, *rows})[:MOST_MARKS])


def org_tables(text: str) -> MarkupTables:
    """Find the tables of an Org file. Their header is above a rule, or shows in the rows below it.

    Args:
        text: The text.

    Returns:
        The tables, and the offsets of their rows.
    """
    tables: list[tuple[TableRows, int]] = [([], 0)]
    for start, line in lines_with_offsets(text):
        (rows, head), bare = tables[-1], line.strip()
        if _ORG_RULE.match(bare):
            tables[-1] = (rows, head or len(rows))
        elif bare.startswith("|"):
            rows.append(Row(start, start + len(line), bare.strip("|").split("|")))
        elif rows or head:
            tables.append(([], 0))
    return _collected(_table(rows, head) for rows, head in tables)


def asciidoc_tables(text: str) -> MarkupTables:
    """Find the tables between two lines `|===`. Their header is marked by a blank line, or shows in the rows below it.

    Args:
        text: A text in AsciiDoc.

    Returns:
        The tables, and the offsets of their rows.
    """
    tables: list[tuple[Table, TableRows] | None] = []
    lines: list[tuple[int, str]] | None = None
    edge = above = delimiter = ""
    for start, line in lines_with_offsets(text):
        if _ADOC_EDGE.match(line) and (lines is None or line.strip() == edge):
            if lines is None:
                edge, lines = line.strip(), []
                delimiter = _ADOC_DELIMITERS.get(edge[0]) or _adoc_delimiter(above)
            else:
                tables.append(_delimited_rows(lines, delimiter) if delimiter else _asciidoc_table(lines))
                lines = None
        elif lines is not None:
            lines.append((start, line))
        above = line
    return _collected(tables)


def _adoc_delimiter(attributes: str) -> str:
    """What separates the cells of a table with these attributes; empty for AsciiDoc's own way."""
    found = _ADOC_FORMAT.search(attributes)
    return {"csv": ",", "tsv": "\t", "dsv": ":"}[found[1]] if found else ""


def _delimited_rows(lines: list[tuple[int, str]], delimiter: str) -> tuple[Table, TableRows] | None:
    filled = [(start, line) for start, line in lines if line.strip()]
    rows = [Row(start, start + len(line), _csv_cells(line, delimiter)) for start, line in filled]
    return _table(rows, 0)


def latex_tables(text: str) -> MarkupTables:
    """Find the tables of LaTeX (`tabular` and the like). Their header is above a rule, or shows in the rows below it.

    Args:
        text: The text.

    Returns:
        The tables, and the offsets of their rows.
    """
    return _collected(_latex_table(match[2], match.start(2)) for match in _LATEX_TABLE.finditer(text))


def _collected(tables: Iterable[tuple[Table, TableRows] | None]) -> MarkupTables:
    found: list[tuple[Table, TableRows]] = []
    for each in sorted((each for each in tables if each is not None), key=lambda each: each[0].end):
        if not found or each[0].start >= found[-1][0].end:  # of two that overlap, the one that ends first
            found.append(each)
    breaks = islice((row.start for _, rows in found for row in rows), MOST_MARKS)
    return tuple(table for table, _ in found), tuple(breaks)


def _table(rows: TableRows, head: int) -> tuple[Table, TableRows] | None:
    """The table of rows, the first of which are its header; of 0, one is looked for. None if there is none."""
    if not head and (place := header_place([row.cells for row in rows[:_SEARCHED]])) is not None:
        rows, head = rows[place:], 1
    if not 0 < head < len(rows):
        return None
    names = column_names([row.cells for row in rows[:head]])
    return Table(rows[head].start, rows[-1].end, names), rows[head:]


def _grid_tables(text: str) -> Iterator[tuple[Table, TableRows] | None]:
    """Rows stand between two rules each, on one line or more; a rule of `=` is below the header."""
    rows: TableRows = []
    head, is_open = 0, False
    for start, line in lines_with_offsets(text):
        if _GRID_RULE.match(line):
            head = len(rows) if "=" in line else head
            is_open = False
        elif line.lstrip().startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if is_open:
                last = rows.pop()
                start, cells = last.start, [f"{a} {b}".strip() for a, b in zip_longest(last.cells, cells, fillvalue="")]
            rows.append(Row(start, start + len(line), cells))
            is_open = True
        else:
            yield _table(rows, head) if head else None
            rows, head, is_open = [], 0, False
    yield _table(rows, head) if head else None


def _simple_tables(text: str) -> Iterator[tuple[Table, TableRows] | None]:
    """A rule of `=`, the header, a second rule, rows, and a third rule."""
    rules = 0
    rows: TableRows = []
    head: TableRows = []
    columns: list[int] = []
    for start, line in lines_with_offsets(text):
        if _SIMPLE_RULE.match(line):
            if rules == 0:
                columns = [run.start() for run in re.finditer("=+", line)]
            elif rules == 1:
                head, rows = rows, []
            else:
                yield _table([*head, *rows], len(head))
            rules, rows = (rules + 1) % 3, rows if rules == 1 else []
        elif rules and line.strip() and not _SIMPLE_SPAN.match(line):
            edges = [0, *columns[1:], max(len(line), *columns)]
            rows.append(Row(start, start + len(line), [line[a:b].strip() for a, b in pairwise(edges)]))
        elif rules == 2 and not rows:
            rules = 0  # the second rule was the last: a table without a header


def _directive_tables(text: str) -> Iterator[tuple[Table, TableRows] | None]:
    """Tables whose lines are indented below a directive: items of items, or comma-separated values."""
    rows: TableRows = []
    indent, kind, head = 0, "", 0
    for start, line in lines_with_offsets(text):
        depth = len(line) - len(line.lstrip())
        if kind and line.strip() and depth <= indent:
            yield _table(rows, head)
            rows, kind, head = [], "", 0
        if directive := _RST_DIRECTIVE.match(line):
            indent, kind = len(directive[1]), directive[2]
        elif kind and not rows and (option := _RST_OPTION.match(line)):
            if option[1] == "header-rows" and re.fullmatch(r"[1-9]\s*", option[2]):
                head = int(option[2])
            elif option[1] == "header":
                rows, head = [Row(start, start + len(line), _csv_cells(option[2]))], 1
        elif kind == "csv" and line.strip():
            rows.append(Row(start, start + len(line), _csv_cells(line.strip())))
        elif kind == "list" and line.strip():
            _add_item(rows, start, line)
    yield _table(rows, head)


def _add_item(rows: TableRows, start: int, line: str) -> None:
    """Add a line of a `list-table`: `* -` begins a row, `-` a cell, and any other goes on with the last cell."""
    item, end = _RST_ITEM.match(line), start + len(line)
    if item is not None and item[2]:
        rows.append(Row(start, end, [item[3].strip()]))
    elif rows:
        last = rows.pop()
        cells = last.cells
        if item is not None:
            cells = [*cells, item[3].strip()][:_MOST_CELLS]
        elif len(cells[-1]) < LONGEST_HEADER:
            cells = [*cells[:-1], f"{cells[-1]} {line.strip()}".strip()]
        rows.append(Row(last.start, end, cells))


def _csv_cells(line: str, delimiter: str = ",") -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error:  # such as a cell without an end
        return [line]


def _asciidoc_table(lines: list[tuple[int, str]]) -> tuple[Table, TableRows] | None:
    """The table of lines, which hold a row each, or a cell each with the first line for the names."""
    filled = [(place, start, line) for place, (start, line) in enumerate(lines) if line.strip()]
    if not filled:
        return None
    width = len(_ADOC_CELL.findall(filled[0][2]))
    below = filled[0][0] + 1
    is_marked = below < len(lines) and not lines[below][1].strip()
    rows: TableRows = []
    for _, start, line in filled:
        cells = [cell.strip() for cell in _ADOC_CELL.split(line)[1:]]
        if rows and len(rows[-1].cells) + len(cells) <= width:
            rows[-1] = Row(rows[-1].start, start + len(line), [*rows[-1].cells, *cells])
        elif cells:
            rows.append(Row(start, start + len(line), cells))
    return _table(rows, 1 if is_marked and width > 1 else 0)


def _html_table(table: re.Match[str]) -> tuple[Table, TableRows] | None:
    """The table of HTML in another text: its header are the first rows that hold names alone."""
    rows: TableRows = []
    head = 0
    for row in _HTML_ROW.finditer(table[0]):
        cells = [(cell[1].lower() == "h", _plain(cell[2])) for cell in _HTML_CELL.finditer(row[0])]
        if cells:
            head += head == len(rows) and all(is_name for is_name, _ in cells)
            names = [text for _, text in cells]
            rows.append(Row(table.start() + row.start(), table.start() + row.start() + len(row[0].rstrip()), names))
    return _table(rows, head)


def _plain(cell: str) -> str:
    return " ".join(html.unescape(_HTML_TAG.sub(" ", cell)).split())


def _latex_table(text: str, offset: int) -> tuple[Table, TableRows] | None:
    columns = _LATEX_COLUMNS.match(text)
    begin, head = columns.end() if columns else 0, 0
    text = _LATEX_BESIDE.sub(lambda found: _NO_LINE_END.sub(" ", found[0]), text)
    rows: TableRows = []
    for end in [*(match.end() for match in _LATEX_ROW_END.finditer(text)), len(text)]:
        row = text[begin:end]
        if _LATEX_RULE.match(row):
            head = head or len(rows)
        cells = [name for cell in _AMPERSAND.split(_LATEX_ROW_END.sub("", row)) for name in _latex_names(cell)]
        if any(cells):
            start = offset + begin + len(row) - len(row.lstrip())
            rows.append(Row(start, offset + end, cells))
        begin = end
    return _table(rows, head)


def _latex_names(cell: str) -> Sequence[str]:
    """The text of a cell, once for each column that it spans."""
    across = _LATEX_ACROSS.match(cell)
    bare = _LATEX_COMMAND.sub("", cell[across.end() :] if across else cell)
    return [" ".join(_ESCAPED.sub(r"\1", bare).split())] * (int(across[1]) if across else 1)
