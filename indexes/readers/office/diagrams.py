"""The words of diagrams (SmartArt), which are kept beside the document."""

from __future__ import annotations

from typing import Any

from indexes.readers.office.drawing_text import drawn_paragraphs

_DGM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
DIAGRAM = f"{_DGM}relIds"  # which names the part with the data
DIAGRAM_DATA = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm"


def diagram_words(data: Any) -> list[str]:
    """Return the words in each shape of a diagram.

    Args:
        data: The root of the diagram's data.

    Returns:
        A line for each shape that has some, in the order in which they were made.
    """
    shapes = (shape for shape in data.iter(f"{_DGM}pt") if shape.get("type", "node") in ("node", "asst"))
    texts = (drawn_paragraphs(text) for shape in shapes for text in shape.iterfind(f"{_DGM}t"))
    return list(filter(None, (" ".join(filter(None, each)) for each in texts)))
