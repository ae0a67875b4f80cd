"""The fields of a Word document: what they show, which is their result, and for some their code."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from indexes.readers.base import superscript
from indexes.readers.office.styles import W, is_on, value
from indexes.readers.running_text import NUMBER

_NUMBERS = frozenset({"PAGE", "NUMPAGES", "SECTION", "SECTIONPAGES", "DATE", "TIME"})
_OPTION = re.compile(r'\\\*\s*(?:"[^"]*"|\S+)')  # a font, or an alignment
_CALL = re.compile(r"((?:\\[A-Za-z]+\s*(?:-?\d+\s*)?){1,6})\(([^()\\]*)\)")  # one with no other in it
_OPEN, _CLOSE = "\ufdd1", "\ufdd2"  # brackets that are shown
_CALLS_DEEP = 20
_LONGEST = 2_000  # characters of a code that is an equation


@dataclass(slots=True)
class _Field:
    outer: list[str] | None  # where the text goes that is beside the field, if that is the code of another one
    form: str | None  # what a form field shows
    code: str = ""
    inside: list[str] = field(default_factory=list)  # text in its code, and that of a number
    is_code: bool = True


class Fields:
    """The fields of a paragraph that have begun and not ended.

    Args:
        are_on_each_page: Whether they are in a header or a footer, where the number of a page says nothing.
    """

    def __init__(self, *, are_on_each_page: bool = False) -> None:
        self._open: list[_Field] = []
        self._are_on_each_page = are_on_each_page

    def target(self, parts: list[str]) -> list[str]:
        """Return where text goes: to those parts of the paragraph, unless it is in the code of a field."""
        found = self._target()
        return parts if found is None else found

    def add_code(self, text: str) -> None:
        """Add to the code of a field."""
        if self._open:
            self._open[-1].code += text

    def take(self, mark: Any) -> str:
        """Take the beginning, the middle or the end of a field, and return what it shows without a result."""
        kind = mark.get(f"{W}fldCharType")
        if kind == "begin":
            self._open.append(_Field(self._target(), _form_value(mark)))
        elif kind == "separate" and self._open:
            self._open[-1].is_code = False
        elif kind == "end" and self._open:
            ended = self._open.pop()
            if ended.form is not None:
                return ended.form
            if self._are_on_each_page and is_page_number(ended.code):
                return NUMBER
            return shown_by_code(ended.code) if ended.is_code else ""
        return ""

    def _target(self) -> list[str] | None:
        """Where text goes in the field that has begun last; None for the paragraph."""
        if not self._open:
            return None
        last = self._open[-1]
        is_left_out = last.is_code or (self._are_on_each_page and is_page_number(last.code))
        return last.inside if is_left_out and last.outer is None else last.outer

    def take_simple(self, element: Any) -> str | None:
        """Return what a field shows that is one element; None if that is its content."""
        is_one = element.tag == f"{W}pgNum" or is_page_number(element.get(f"{W}instr", ""))
        return NUMBER if is_one and self._are_on_each_page else None

    def end(self, parts: list[str]) -> None:
        """End a paragraph; of a field that has not ended there, the text in its code is added to its parts."""
        for each in self._open:
            parts += [*(each.inside if each.is_code else ()), each.form or ""]
        self._open.clear()


def is_page_number(code: str) -> bool:
    """Return whether a field is the number of a page or the like, which in a header says nothing.

    Args:
        code: The field's code.

    Returns:
        Whether it is one.
    """
    return _name(code) in _NUMBERS


def shown_by_code(code: str) -> str:
    """Return what a field shows by its code alone: an equation, an enclosed character, or a text to click on.

    Args:
        code: The code.

    Returns:
        The text; empty for a field that shows its result.
    """
    name = _name(code)
    if name == "MACROBUTTON":
        return "".join(code.split(maxsplit=2)[2:])
    return _equation(code.strip()[len(name) : _LONGEST]) if name == "EQ" else ""


def _equation(code: str) -> str:
    """An equation in one line, such as `1/2`; of text with furigana, the text."""
    code = _OPTION.sub("", code)
    for _ in range(_CALLS_DEEP):
        code, count = _CALL.subn(_call, code)
        if not count:
            break
    return code.replace(_OPEN, "(").replace(_CLOSE, ")").strip()


def _call(call: re.Match[str]) -> str:
    """What a switch of an equation makes of its arguments."""
    kind, arguments = call[1].lower().lstrip("\\"), re.split("[,;]", call[2])
    if kind[0] == "s":
        return superscript(call[2], call.string[: call.start()]) if "up" in kind else call[2]
    if kind[0] == "o":  # one over the other, of which the last is the text
        return arguments[-1]
    if kind[0] == "f":
        return "/".join(arguments)
    if kind[0] == "r":
        return f"√{arguments[-1]}"
    if kind[0] == "b":
        return f"{_OPEN}{call[2]}{_CLOSE}"
    return " ".join(arguments)


def _name(code: str) -> str:
    return "".join(code.split(maxsplit=1)[:1]).upper()


def _form_value(field: Any) -> str | None:
    """What a form field of older documents shows: a box, or the entry that is chosen; text fields hold their text."""
    box, choices = field.find(f"{W}ffData/{W}checkBox"), field.find(f"{W}ffData/{W}ddList")
    if box is not None:
        return "☒" if is_on(box, "default" if box.find(f"{W}checked") is None else "checked") else "☐"
    if choices is None:
        return None
    entries = [entry.get(f"{W}val", "") for entry in choices.iterchildren(f"{W}listEntry")]
    chosen = value(choices, "result") or value(choices, "default") or "0"
    return entries[int(chosen)] if chosen.isdecimal() and int(chosen) < len(entries) else ""
