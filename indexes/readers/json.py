r"""JSON and JSON Lines: the file's own text wherever it can be searched and cited by line.

Escapes such as `\u65e5` become characters, in their place. A JSON file with a line that is too long to read is indented
anew. Nothing else changes: numbers stay digit for digit, keys in order, duplicates too. Comments and trailing commas
are let pass, and so are JSON Lines under the name of a .json and single broken lines among them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from itertools import islice
from typing import Any

from indexes.errors import UnreadableFile
from indexes.readers.base import (
    MOST_MARKS,
    ReadLimits,
    ReadText,
    first_warnings,
    lines_with_offsets,
    without_embedded_files,
)
from indexes.readers.charset import decode

_LONGEST_LINE = 2_000  # characters: with a longer one, a file is not laid out for people
_DEEPEST_INDENT = 40  # levels; deeper ones are not indented further, so that nesting cannot multiply a file's size
_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\.")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
_NOT_SPACE = re.compile(r"\S")
_NOT_VALID = "not valid JSON"
# Not as a Wiki's or a template's text does, but below comments, or wrapped for JavaScript.
_BEGINS_AS_JSON = re.compile(
    r"(?:\s|//[^\n]*\n|#[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*"
    r"(?:\)\]\}',?\s|(?:while\s?\(1\)|for\s?\(;;\));|[\w.$]{1,80}\s?[(=])?"
    r"\s*[\[{]\s*(?:[\[{\"'\w-]|//|/\*|\#)"
)
_COMMENT = re.compile(r'("[^"\\\n]*(?:\\.[^"\\\n]*)*")|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/')
_TRAILING_COMMA = re.compile(r'("[^"\\\n]*(?:\\.[^"\\\n]*)*")|,(?=\s*[\]}])')
_MANY_BROKEN = 100  # lines, from which on a text that is mostly no JSON is not read further
_MOSTLY = 10  # lines, of which one is a record at least
_SEPARATOR = "\x1e"  # before each record of a JSON text sequence (RFC 7464)
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
        raise UnreadableFile(f"{_NOT_VALID}: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise UnreadableFile("JSON that is nested too deeply to be read") from error


def read_json(data: bytes, limits: ReadLimits) -> ReadText:
    """Read one JSON value, indented by two spaces unless it is laid out already; JSON Lines as `read_json_lines`."""
    text = decode(data, limits.encoding)
    if text.lstrip(" \t\r\n").startswith(_SEPARATOR):
        return _read_sequence(text)
    try:
        parse_json(text)
    except UnreadableFile as error:
        if _is_json_with_comments(text):
            return ReadText(without_embedded_files(_unescaped(text)))
        if _begins_with_record(text):
            with suppress(UnreadableFile):
                return _read_lines(text)
        text = without_embedded_files(_unescaped(text))
        if breaks := _several_values(text):
            return ReadText(text, breaks=breaks)
        return _as_text(text, error)
    text = without_embedded_files(_unescaped(text))
    is_laid_out = all(len(line) <= _LONGEST_LINE for _, line in lines_with_offsets(text))
    return ReadText(text if is_laid_out else _indented(text, limits.max_text))


def _as_text(text: str, error: UnreadableFile) -> ReadText:
    """JSON with an error in it, or that is cut off, as the text that it is. Raises the error for any other text."""
    if not error.reason.startswith(_NOT_VALID) or not _BEGINS_AS_JSON.match(text):
        raise error
    return ReadText(text, warnings=(f"{error.reason}: read as plain text",))


def read_json_lines(data: bytes, limits: ReadLimits) -> ReadText:
    """Read one JSON value a line, or over several, with `breaks` at them; broken lines stay, and are named."""
    text = decode(data, limits.encoding)
    if text.lstrip(" \t\r\n").startswith(_SEPARATOR):
        return _read_sequence(text)
    try:
        return _read_lines(text)
    except UnreadableFile:
        text = without_embedded_files(_unescaped(text))
        if not (breaks := _several_values(text)):
            raise
        return ReadText(text, breaks=breaks)


def _read_lines(text: str) -> ReadText:
    """Read JSON Lines. Raises UnreadableFile if hardly any of the lines are valid."""
    broken: list[str] = []
    records = 0
    for number, (_, line) in enumerate(lines_with_offsets(text), start=1):
        if not line.strip():
            continue
        records += 1
        try:
            parse_json(line)
        except UnreadableFile as error:
            broken.append(error.reason.replace(" at line 1,", f" at line {number},"))
            if len(broken) > _MANY_BROKEN and _MOSTLY * (records - len(broken)) < records:
                break
    if broken and _MOSTLY * (records - len(broken)) < records:
        raise UnreadableFile(broken[0])
    text = without_embedded_files(_unescaped(text))
    starts = (offset for offset, line in lines_with_offsets(text) if line.strip())
    return ReadText(text, breaks=tuple(islice(starts, MOST_MARKS)), warnings=first_warnings(broken, "lines are broken"))


def _read_sequence(text: str) -> ReadText:
    """Read a JSON text sequence, whose separators become spaces. Raises UnreadableFile if no record is valid."""
    broken: list[str] = []
    starts: list[int] = []
    line = 1
    for start, record in _records(text):
        try:
            parse_json(record)
        except UnreadableFile as error:
            broken.append(f"the record that begins on line {line}: {error.reason}")
        starts.append(start)
        line += record.count("\n")
    if len(broken) == len(starts):
        raise UnreadableFile(broken[0] if broken else "no record in it")
    text = text.replace(_SEPARATOR, " ")
    return ReadText(text, breaks=tuple(starts[:MOST_MARKS]), warnings=first_warnings(broken, "records are broken"))


def _records(text: str) -> Iterator[tuple[int, str]]:
    """The records of a sequence, those that are not empty, with their offsets."""
    start = 0
    for record in text.split(_SEPARATOR):
        if record.strip():
            yield start, record
        start += len(record) + 1


def _several_values(text: str) -> tuple[int, ...]:
    """Where the values begin in a text of several objects or arrays, one after another; empty for any other text."""
    decoder = json.JSONDecoder(parse_int=str, parse_float=str)
    starts: list[int] = []
    at = 0
    try:
        while (match := _NOT_SPACE.search(text, at)) and len(starts) < MOST_MARKS:
            value, at = decoder.raw_decode(text, match.start())
            if not isinstance(value, dict | list):
                return ()
            starts.append(match.start())
    except (json.JSONDecodeError, RecursionError):
        return ()
    return tuple(starts)


def _begins_with_record(text: str) -> bool:
    """Whether the first line is an object or array of its own, as in JSON Lines."""
    first = text.lstrip().partition("\n")[0]
    with suppress(UnreadableFile):
        return first.startswith(("{", "[")) and parse_json(first) is not None
    return False


def _is_json_with_comments(text: str) -> bool:
    """Whether a text is JSON apart from its comments and trailing commas."""
    bare = _COMMENT.sub(lambda match: match[1] or " ", text)
    try:
        parse_json(_TRAILING_COMMA.sub(lambda match: match[1] or "", bare))
    except UnreadableFile:
        return False
    return True


def _unescaped(text: str) -> str:
    r"""The same JSON with `\u` escapes as characters, except those that JSON requires."""
    return _ESCAPE.sub(_characters, text) if "\\u" in text else text


def _characters(escape: re.Match[str]) -> str:
    if len(escape[0]) == 2:  # another escape, or one that is broken
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
