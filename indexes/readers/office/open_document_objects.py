"""Objects in OpenDocument files: charts, equations, and others, which are only counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from indexes.readers.html import MathText
from indexes.readers.lines import Lines
from indexes.readers.office.open_document_xml import CHART, DRAW, HREF, MATH, OFFICE, TABLE

_BESIDE_CHARTS = (f"{CHART}subtitle", f"{CHART}footer")


class Objects:
    """The objects of a document.

    Args:
        part: A function from the name of an object to its content, for objects that are beside the document; None for
            one that is missing.

    Attributes:
        unread: How many objects were met that are not read.
    """

    def __init__(self, part: Callable[[str], Any]) -> None:
        self._part = part
        self.unread = 0

    def add(self, element: Any, lines: Lines, *, on_sheet: bool) -> list[Any]:
        """Add an equation, or the title and the words of a chart; count anything else.

        Args:
            element: The object.
            lines: Where to add it.
            on_sheet: Whether it stands on a sheet, whose cells hold the values of its charts.

        Returns:
            The tables of a chart's values, which follow.
        """
        content = self._content(element)
        if content is not None and content.tag == f"{MATH}math":
            lines.add(_equation(content))
            return []
        chart = None if content is None else content.find(f"{OFFICE}body/{OFFICE}chart/{CHART}chart")
        if chart is None:
            self.unread += 1
            return []
        title = chart.find(f"{CHART}title")
        words = "" if title is None else "".join(title.itertext()).strip()
        axes = ["".join(each.itertext()).strip() for each in chart.iterfind(f"*/{CHART}axis/{CHART}title")]
        lines.blank()
        lines.heading(f"Chart: {words}" if words else "" if on_sheet else "Chart", 3)
        beside = ["".join(each.itertext()).strip() for each in chart.iterchildren(*_BESIDE_CHARTS)]
        lines.add("\n".join(filter(None, dict.fromkeys([*beside, *axes]))))
        return [] if on_sheet else list(chart.iterchildren(f"{TABLE}table"))

    def equation_in(self, frame: Any) -> str:
        """Return the equation that a frame in a line holds; empty for another frame."""
        objects = [each for each in frame if each.tag == f"{DRAW}object"]
        content = self._content(objects[0]) if objects else None
        return _equation(content) if content is not None and content.tag == f"{MATH}math" else ""

    def _content(self, element: Any) -> Any:
        """The content of an object, in the file or beside it; None for one that is of another kind, or missing."""
        if element.tag != f"{DRAW}object":
            return None
        inside = (each for each in element if each.tag in (f"{OFFICE}document", f"{MATH}math"))
        content = next(inside, None)
        return self._part(element.get(HREF, "")) if content is None else content


def _equation(math: Any) -> str:
    text = MathText()

    def add(element: Any) -> None:
        text.start(element.tag.removeprefix(MATH))
        text.data(element.text or "")
        for child in element:
            add(child)
        text.end()

    for element in math:
        add(element)
    return text.text()
