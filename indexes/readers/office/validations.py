"""What a sheet says of what is put into its cells: the choices of a list, and the prompt beside a cell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from indexes.readers.lines import Lines
from indexes.readers.zip_files import parse_xml

_ROWS = re.compile(rb"<(?:\w+:)?sheetData\b[^>]*>.*</(?:\w+:)?sheetData\s*>", re.DOTALL)
_LONGEST_PLACE = 40  # characters: a validation may be of very many ranges
_MOST = 1_000


def add_validations(lines: Lines, xml: bytes) -> None:
    """Add the prompts and lists of a sheet, each once.

    Args:
        lines: Where to add them.
        xml: The sheet.
    """
    if b"dataValidation" in xml:
        add_inputs(lines, _validations(xml))


def add_inputs(lines: Lines, inputs: Iterable[tuple[str, str, str]]) -> None:
    """Add what is said of what is put into cells, such as `Choices on B2: Gold, Silver`.

    Args:
        lines: Where to add it.
        inputs: For each: where, the prompt and the choices, either of which may be empty.
    """
    said: set[tuple[str, str]] = set()
    for place, prompt, choices in inputs:
        if (prompt, choices) in said or len(said) == _MOST:
            continue
        said.add((prompt, choices))
        on = f" on {place}" if place and len(place) <= _LONGEST_PLACE else ""
        lines.add(f"Prompt{on}: {prompt}" if prompt else "")
        lines.add(f"Choices{on}: {choices}" if choices else "")


def _validations(xml: bytes) -> Iterator[tuple[str, str, str]]:
    """The validations, of which newer ones stand in an extension of the sheet."""
    for element in parse_xml(_ROWS.sub(b"", xml)).iter("{*}dataValidation"):
        place = element.get("sqref") or element.findtext("{*}sqref") or ""
        title, prompt = (" ".join(element.get(name, "").split()) for name in ("promptTitle", "prompt"))
        yield place, ": ".join(filter(None, (title, prompt))), _choices(element)


def _choices(element: Any) -> str:
    """The entries of a list that is written out; empty for one that stands in cells."""
    if element.get("type") != "list":
        return ""
    formula = (element.findtext("{*}formula1") or element.findtext("{*}formula1/{*}f") or "").strip()
    if len(formula) < 2 or not formula.startswith('"') or not formula.endswith('"'):
        return ""
    return ", ".join(filter(None, map(str.strip, formula[1:-1].replace('""', '"').split(","))))
