"""Jupyter notebooks: the cells in order, with their short text outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from indexes.errors import UnreadableFile
from indexes.readers.base import ReadLimits, ReadText, joined_readings, one_line, without_embedded_files
from indexes.readers.charset import decode
from indexes.readers.html import web_page
from indexes.readers.json import parse_json
from indexes.readers.markup import front_matter, markdown_headings, markdown_tables

_OBJECT = re.compile(r"\s*<[\w.]+(?: object)?(?: at 0x[0-9a-fA-F]+)?>\s*")  # whose class alone is named
_SHORT_KINDS = {"text/html": "html", "text/latex": "latex", "image/svg+xml": "svg"}  # of format 3
_LARGEST_OUTPUT = 2_000  # characters: a result is worth finding, a log of a training run is not


def read_notebook(data: bytes, limits: ReadLimits) -> ReadText:
    """Read Markdown, code and text outputs of up to 2,000 characters, with `breaks` at cells; pictures are left out."""
    notebook = parse_json(decode(data, limits.encoding))
    if not isinstance(notebook, dict) or not ("cells" in notebook or "worksheets" in notebook):
        raise UnreadableFile("not a notebook: it has no cells")
    glue = "\n" if notebook.get("nbformat") in ("1", "2") else ""  # those formats leave the line ends out
    parts: list[ReadText] = []
    about: dict[str, str] = {}
    long = 0
    for cell in _cells(notebook):
        source = _source(cell, glue)
        if not parts and cell.get("cell_type") == "raw":  # of Quarto and the like
            front, body = front_matter(source)
            about, source = front or about, source[body:]
        outputs = list(_outputs(cell, glue))
        long += sum(len(output) > _LARGEST_OUTPUT for output in outputs)
        shown = (output for output in outputs if len(output) <= _LARGEST_OUTPUT)
        text = "\n\n".join(part for part in (source, *shown) if part.strip())
        if text:
            parts.append(_part(without_embedded_files(text), cell.get("cell_type")))
    are = "outputs are" if long > 1 else "output is"
    warnings = (f"{long:,} {are} left out: over {_LARGEST_OUTPUT:,} characters",) if long else ()
    reading = joined_readings(parts, "\n\n")
    return replace(reading, title=about.pop("title", ""), metadata=about, warnings=warnings)


def _part(text: str, kind: Any) -> ReadText:
    """The text of a cell, with the headings and tables that Markdown has."""
    if kind not in ("markdown", "heading"):
        return ReadText(text, breaks=(0,))
    tables, rows = markdown_tables(text)
    return ReadText(text, headings=markdown_headings(text), breaks=tuple(sorted({0, *rows})), tables=tables)


def _cells(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The cells, which format 3 kept in worksheets."""
    for sheet in (notebook, *_dicts(notebook.get("worksheets"))):
        yield from _dicts(sheet.get("cells"))


def _source(cell: dict[str, Any], glue: str) -> str:
    source = _text(cell.get("source", cell.get("input")), glue)
    if cell.get("cell_type") != "heading":  # format 3 had a kind of cell for them
        return source
    level = cell.get("level")
    return "#" * (int(level) if level in ("1", "2", "3", "4", "5", "6") else 1) + " " + source


def _outputs(cell: dict[str, Any], glue: str) -> Iterator[str]:
    for output in _dicts(cell.get("outputs")):
        if output.get("output_type") in ("error", "pyerr"):  # without its traceback, which is the program's
            yield one_line(": ".join(filter(None, (_text(output.get(name), glue) for name in ("ename", "evalue")))))
        else:
            yield _shown(output.get("data", output), glue)


def _shown(data: Any, glue: str) -> str:
    """The text of an output: in Markdown, else in plain text, unless that names an object that is shown otherwise."""
    if not isinstance(data, dict):
        return ""
    kinds = ("text/markdown", "text/html", "text/latex", "image/svg+xml")
    markdown, page, formula, drawing = (_text(data.get(kind, data.get(_SHORT_KINDS.get(kind))), glue) for kind in kinds)
    plain = _text(data.get("text/plain", data.get("text")), glue)
    if markdown or (plain.strip() and not _OBJECT.fullmatch(plain)):
        return markdown or plain
    with suppress(UnreadableFile):  # it is nested too deeply
        return formula or web_page(page or drawing, is_whole=True).text
    return plain


def _text(value: Any, glue: str) -> str:
    """A multi-line string, which a notebook holds whole or as a list of lines."""
    if isinstance(value, list):
        lines = [line for line in value if isinstance(line, str)]
        return glue.join(lines)
    return value if isinstance(value, str) else ""


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    yield from (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()
