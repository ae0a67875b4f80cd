"""The front matter of Markdown and other pages of a site: YAML between `---`, TOML between `+++`, or a JSON object."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from indexes.readers.base import lines_with_offsets, properties

_ENTRY = re.compile(r"([^\W\d][\w-]{0,63}):(?:[ \t]+(\S.*)?)?$")  # indented, it is part of another
_BLOCK_TEXT = re.compile(r"[|>][-+\d]{0,2}[ \t]*(?:#.*)?$")
_NO_SIMPLE_VALUE = ("{", "&", "*", "!")  # YAML that is more than text and lists
_ITEM = re.compile(r"[ \t]*-[ \t]+")
_TOML_ENTRY = re.compile(r"""([\w-]{1,64})[ \t]*=[ \t]*(["'].*["']|\[.*\]|[\w.:+-]+)[ \t]*$""")
_ANY_ENTRY = re.compile(r"""["']?[^\s:="'][^:="']{0,63}["']?[ \t]*(?::(?:\s|$)|=)""")
_LINE_CONTENT = re.compile(r"[^\r\n]+")
_MARKS = {"---": ("---", "..."), "+++": ("+++",)}
_MOST_LINES = 200  # a longer one is a text between rulers
_LONGEST_JSON = 50_000  # characters


def front_matter(text: str) -> tuple[dict[str, str], int]:
    """Find the front matter of a Markdown text.

    Args:
        text: The text.

    Returns:
        Its entries, with lists joined by commas; and where the Markdown begins, 0 if there is no front matter.
    """
    if text.startswith("{"):
        return _json(text)
    lines = lines_with_offsets(text)
    closing = _MARKS.get(next(lines, (0, ""))[1].rstrip(), ())
    inside: list[str] = []
    for offset, line in lines:
        if line.rstrip() in closing:
            has_entries = any(map(_ANY_ENTRY.match, inside))  # text between two rulers is no front matter
            if not has_entries and any(each.strip() for each in inside):
                return {}, 0
            return properties(**dict(_toml(inside) if closing == ("+++",) else _yaml(inside))), offset + len(line)
        inside.append(line)
        if not closing or len(inside) > _MOST_LINES:
            break
    return {}, 0


def without_front_matter(text: str) -> tuple[dict[str, str], str]:
    """Find the front matter of a text, and leave it out.

    Args:
        text: The text.

    Returns:
        The entries, as of `front_matter`; and the text with empty lines for those of the front matter.
    """
    front, body = front_matter(text)
    return front, _LINE_CONTENT.sub("", text[:body]) + text[body:]


def _yaml(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The entries, the first of a name last: it is the one that stays."""
    entries: list[tuple[str, list[str]]] = []
    for line in lines:
        if entry := _ENTRY.match(line):
            value = (entry[2] or "").rstrip()
            entries.append((entry[1], [] if _BLOCK_TEXT.match(value) else [value]))
        elif entries and line.strip() and (line[0] in " \t" or _ITEM.match(line)) and not line.lstrip().startswith("#"):
            entries[-1][1].append(line)
        elif line.strip() and not line.startswith("#"):
            entries.append(("", []))  # what belongs to it is none of the entry above
    for name, (*values,) in reversed(entries):
        first = next(filter(None, values), "")
        if name and not first.startswith(_NO_SIMPLE_VALUE):
            yield name, _value(values)


def _value(lines: list[str]) -> str:
    """The value of an entry: its line, with those that are indented below it; of a list, the items with commas."""
    filled = [line for line in lines if line]
    if all(map(_ITEM.match, filled)):
        return ", ".join(_unquoted(_ITEM.sub("", line, count=1)) for line in filled)
    if len(filled) == 1:
        return _flow(filled[0].strip())
    return " ".join(line.strip() for line in filled)


def _flow(value: str) -> str:
    """A value on one line: a list in brackets is joined by commas."""
    if value.startswith("[") and value.endswith("]"):
        return ", ".join(filter(None, (_unquoted(item) for item in value[1:-1].split(","))))
    return _unquoted(value)


def _unquoted(value: str) -> str:
    return value.strip().strip("\"'")


def _toml(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in reversed(lines):
        if entry := _TOML_ENTRY.match(line):
            yield entry[1], _flow(entry[2])


def _json(text: str) -> tuple[dict[str, str], int]:
    try:
        found, end = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode(text[:_LONGEST_JSON])
    except (json.JSONDecodeError, RecursionError):
        return {}, 0
    if not found or not text[end:].startswith(("\n", "\r")) or not text[end:].strip():
        return {}, 0
    return properties(**{name: _text(value) for name, value in found.items() if name}), end


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(filter(None, map(_text, value)))
    return value if isinstance(value, str) else ""
