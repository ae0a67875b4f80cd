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


def read_source(data: bytes, limits: ReadLimits) -> ReadText:
    """Read source code as it is, with `breaks` at unindented definitions that a keyword begins, and at sections."""
    text = without_embedded_files(decode_source(data, limits.encoding))
    return ReadText(text, breaks=_breaks(text, _begins_definition))


def read_braces(data: bytes, limits: ReadLimits) -> ReadText:
    """Read source code in C and its relatives, where a function has no keyword."""
    text = without_embedded_files(decode_source(data, limits.encoding))
    return ReadText(text, breaks=_breaks(text, _begins_function))


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
