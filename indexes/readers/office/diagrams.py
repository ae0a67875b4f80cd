"""The words of diagrams (SmartArt), which are kept beside the document."""

from __future__ import annotations

from typing import Any

_DGM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
DIAGRAM = f"{_DGM}relIds"  # which names the part with the data
DIAGRAM_DATA = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"


def diagram_words(data: Any) -> list[str]:
    """Return the words in each shape of a diagram.

    Args:
        data: The root of the diagram's data.

    Returns:
        A line for each shape that has some, in the order in which they were made.
    """
    shapes = (shape for shape in data.iter(f"{_DGM}pt") if shape.get("type", "node") in ("node", "asst"))
    paragraphs = ([_words(paragraph) for paragraph in shape.iterfind(f"{_DGM}t/{_A}p")] for shape in shapes)
    return list(filter(None, (" ".join(filter(None, each)) for each in paragraphs)))


def drawn_paragraphs(box: Any) -> list[str]:
    """Return the paragraphs of a text box of DrawingML.

    Args:
        box: Its element.

    Returns:
        A line for each.
    """
    return [_words(paragraph) for paragraph in box.iter(f"{_A}p")]


def _words(paragraph: Any) -> str:
    return "".join(" " if each.tag == f"{_A}br" else each.text or "" for each in paragraph.iter(f"{_A}t", f"{_A}br"))
