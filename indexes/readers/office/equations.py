"""Equations of Office documents (OMML) as one line of text, close to Word's linear format."""

from __future__ import annotations

from typing import Any

from indexes.readers.html import SCRIPT_END, spaced

M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_DELETED = frozenset({f"{_W}del", f"{_W}moveFrom"})
_SCRIPTS = {f"{M}sub": "_", f"{M}sup": "^", f"{M}lim": "_"}


def equation_text(element: Any) -> str:
    """Return an equation's text, such as `x=(a+b)/2` or `∑_(i=1)^n x_i`."""
    return spaced(_text(element))


def _text(element: Any) -> str:
    name = element.tag.removeprefix(M) if isinstance(element.tag, str) else ""
    if name == "t" or element.tag in _DELETED:  # which has no text of its own
        return element.text or ""
    if name == "f":
        return f"{_argument(element, 'num')}/{_argument(element, 'den')}"
    if name == "rad":
        return f"{_argument(element, 'deg')}√{_argument(element, 'e')}"
    if name == "d":
        begin, end = _property(element, "begChr", "("), _property(element, "endChr", ")")
        return f"{begin}{_property(element, 'sepChr', '|').join(map(_text, element.findall(f'{M}e')))}{end}"
    if name in ("m", "eqArr"):
        return "; ".join(_text(row) for row in element if row.tag in (f"{M}mr", f"{M}e"))
    if name == "mr":
        return ", ".join(map(_text, element))
    text = _property(element, "chr", "∫") if name == "nary" else ""
    for child in element:
        mark = _SCRIPTS.get(child.tag)
        if mark is None:
            text += (SCRIPT_END if child.tag == f"{M}e" and name == "nary" and len(text) > 1 else "") + _text(child)
        elif argument := _argument(element, child.tag.removeprefix(M)):
            text += mark + argument
    return text + SCRIPT_END if any(child.tag in _SCRIPTS for child in element) and name != "nary" else text


def _argument(element: Any, name: str) -> str:
    """An argument's text, in parentheses where it is longer than a character or a number."""
    argument = element.find(f"{M}{name}")
    text = "" if argument is None else _text(argument).removesuffix(SCRIPT_END)
    return text if len(text) < 2 or text.isdecimal() else f"({text})"


def _property(element: Any, name: str, default: str) -> str:
    """A character among an element's properties."""
    found = element.find(f"*/{M}{name}")
    return default if found is None else str(found.get(f"{M}val", ""))
