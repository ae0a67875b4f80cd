"""The text in shapes and boxes of DrawingML, which Word, Excel and PowerPoint share."""

from __future__ import annotations

from typing import Any

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"


def drawn_paragraphs(shape: Any) -> list[str]:
    """Return the paragraphs in a shape, in a box or in all of a drawing.

    Args:
        shape: Its element.

    Returns:
        A line for each.
    """
    return list(map(_words, shape.iter(f"{_A}p")))


def _words(paragraph: Any) -> str:
    return "".join(" " if each.tag == f"{_A}br" else each.text or "" for each in paragraph.iter(f"{_A}t", f"{_A}br"))
