r"""JSON and JSON Lines: the file's own text wherever it can be searched and cited by line.

Escapes such as `\u65e5` become characters, in their place. A JSON file with a line that is too long to read is indented
anew. Nothing else changes: numbers stay digit for digit, keys in order, duplicates too.
"""

from __future__ import annotations

import json
import re
from io import StringIO
from itertools import islice
from typing import Any

from indexes.errors import UnreadableFile
from indexes.readers.base import MOST_MARKS, ReadLimits, ReadText, lines_with_offsets
from indexes.readers.charset import decode

_LONGEST_LINE = 2_000  # characters: with a longer one, a file is not laid out for people
_DEEPEST_INDENT = 40  # levels; deeper ones are not indented further, so that nesting cannot multiply a file's size
_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\.")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
_OPENS, _CLOSES = frozenset("[{"), frozenset("]}")


def parse_json(text: str) -> Any:
    """Parse JSON, with numbers as strings, since `int` refuses one of 5,000 digits.

    Args:
        text: The JSON text.

    Returns:
        The value.

    Raises:
        UnreadableFile: It is not valid, at a line and column that are named, or nested too deeply.
    """
    try:
        return json.loads(text, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        raise UnreadableFile(f"not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise UnreadableFile("JSON that is nested too deeply to be read") from error


def read_json(data: bytes, limits: ReadLimits) -> ReadText:
    """Read one JSON value; indented by two spaces unless it is laid out already."""
    text = decode(data, limits.encoding)
    parse_json(text)
    text = _unescaped(text)
    is_laid_out = all(len(line) <= _LONGEST_LINE for _, line in lines_with_offsets(text))
    return ReadText(text if is_laid_out else _indented(text, limits.max_text))


def read_json_lines(data: bytes, limits: ReadLimits) -> ReadText:
    """Read one JSON value a line, with `breaks` at the records."""
    text = decode(data, limits.encoding)
    for number, (_, line) in enumerate(lines_with_offsets(text), start=1):
        try:
            parse_json(line if line.strip() else "null")
        except UnreadableFile as error:
            raise UnreadableFile(error.reason.replace(" at line 1,", f" at line {number},")) from error
    text = _unescaped(text)
    records = (offset for offset, line in lines_with_offsets(text) if line.strip())
    return ReadText(text, breaks=tuple(islice(records, MOST_MARKS)))


def _unescaped(text: str) -> str:
    r"""The same JSON with `\u` escapes as characters, except those that JSON requires."""
    return _ESCAPE.sub(_characters, text) if "\\u" in text else text


def _characters(escape: re.Match[str]) -> str:
    if not escape[0].startswith("\\u"):
        return escape[0]
    return json.dumps(json.loads(f'"{escape[0]}"'), ensure_ascii=False)[1:-1]


def _indented(text: str, limit: int) -> str:
    """Valid JSON, one element a line. It stops after `limit` characters: the caller will notice."""
    out, depth, previous = StringIO(), 0, ""
    for match in _TOKEN.finditer(text):
        token = match[0]
        depth -= token in _CLOSES
        if previous == "," or (previous in _OPENS) != (token in _CLOSES):
            out.write("\n" + "  " * min(depth, _DEEPEST_INDENT))
        elif previous == ":":
            out.write(" ")
        out.write(token)
        depth += token in _OPENS
        previous = token
        if out.tell() > limit:
            break
    return out.getvalue()
