"""Source code and configuration: the file's own text, and where its definitions begin.

A definition is found by how its first line looks, in every language the same way. Python's own parser would be exact,
but a hostile file can crash the interpreter with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from indexes.readers.base import MOST_MARKS, ReadLimits, ReadText, lines_with_offsets, without_embedded_files
from indexes.readers.charset import decode_source

_BEFORE = (
    r"(?:export|default|pub(?:\([a-z]+\))?|public|private|internal|abstract|final|open|sealed|static|async|unsafe"
    r"|data|local)"
)
_DEFINES = re.compile(
    rf"(?:{_BEFORE}\s+)*(?:def|defp|defmodule|defn|class|interface|trait|impl|struct|enum|record|object|module|"
    r"namespace|type|func|function|fun|fn|sub|macro|mod|extension|protocol|data|instance|newtype|let|package|subroutine|program)\b"
    r"|(?:create|alter|insert|select|with)\s",
    re.IGNORECASE,
)
_SECTION = re.compile(
    r"\[|\\(?:part|chapter|(?:sub)*section)\b|\(def|[A-Za-z_][\w.-]*\s*(?:\(\)\s*\{|<-\s*function|:(?:\s|$))"
)
_CONSTANT_FUNCTION = re.compile(r"(?:export\s+)?(?:const|var)\s[^=]*=\s*(?:async\s*)?(?:function\b|\(|\w+\s*=>)")
# Decorators and comments belong to what follows them.
_LEADS = ("@", "# ", "#[", "#!", "//", "/*", " *", "--", ";;", "%")
_FUNCTION = re.compile(r"[^\W\d].*\(")
_NOT_A_FUNCTION = re.compile(r"(?:if|for|while|switch|return|else|do|case|using|import|include|typedef)\b")


# A character in a string of YAML or TOML, as programs write all that is not ASCII. Behind it, the string may go on in
# the next line, indented, and within a word.
_CODE = r"\\(?:u[0-9A-Fa-f]{4}|U000[0-9A-Fa-f]{5}|U0010[0-9A-Fa-f]{4}|x[A-Fa-f][0-9A-Fa-f])"
_FOLD = r"(?:\\\r?\n[ \t]+(?:\\(?=[ \t]))?)?"
_ESCAPED = re.compile(rf"\\\\|(?:{_CODE}{_FOLD})+")
_CODES = re.compile(_CODE)


def read_settings(data: bytes, limits: ReadLimits) -> ReadText:
    """Read YAML or TOML as source code, with the escapes of printable characters as these characters."""
    text = decode_source(data, limits.encoding)
    if "\\u" in text or "\\U" in text or "\\x" in text:
        text = _ESCAPED.sub(lambda escape: _characters(escape[0]), text)
    text = without_embedded_files(text)
    return ReadText(text, breaks=_breaks(text, _begins_definition))


def read_source(data: bytes, limits: ReadLimits) -> ReadText:
    """Read source code as it is, with `breaks` at unindented definitions that a keyword begins, and at sections."""
    text = without_embedded_files(decode_source(data, limits.encoding))
    return ReadText(text, breaks=_breaks(text, _begins_definition))


def read_braces(data: bytes, limits: ReadLimits) -> ReadText:
    """Read source code in C and its relatives, where a function has no keyword."""
    text = without_embedded_files(decode_source(data, limits.encoding))
    return ReadText(text, breaks=_breaks(text, _begins_function))


def _characters(escapes: str) -> str:
    """What escapes in a row stand for; themselves if one is ASCII or ends a line, which is escaped for a reason."""
    if escapes == "\\\\":  # a backslash
        return escapes
    codes = (int(code[0][2:], 16) for code in _CODES.finditer(escapes))
    units = b"".join(chr(code).encode("utf-16-le", "surrogatepass") for code in codes)
    text = units.decode("utf-16-le", "replace")
    return escapes if any(each < "\xa0" or each in "\u2028\u2029\ufeff\ufffd" for each in text) else text


def _begins_definition(line: str) -> bool:
    return any(pattern.match(line) for pattern in (_DEFINES, _SECTION, _CONSTANT_FUNCTION))


def _begins_function(line: str) -> bool:
    if _DEFINES.match(line):
        return True
    is_call_like = _FUNCTION.match(line) is not None and not _NOT_A_FUNCTION.match(line)
    return is_call_like and not line.rstrip().endswith((";", "\\"))


def _breaks(text: str, begins: Callable[[str], bool]) -> tuple[int, ...]:
    breaks = []
    lead: int | None = None  # where the comments and decorators right above begin
    for offset, line in lines_with_offsets(text):
        if line.startswith(_LEADS):
            lead = offset if lead is None else lead
            continue
        if line and not line[0].isspace() and begins(line[:300]):
            breaks.append(offset if lead is None else lead)
            if len(breaks) == MOST_MARKS:
                break
        lead = None
    return tuple(breaks)
