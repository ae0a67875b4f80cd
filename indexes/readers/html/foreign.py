"""Equations and drawings in web pages, in MathML and SVG, whose elements are no elements of HTML."""

from __future__ import annotations

from typing import Any

from indexes.readers.html.mathml import MathText
from indexes.readers.html.svg import SvgText


class Equation:
    """An equation, which a parser passes on as it goes.

    Args:
        attributes: Those of its element, with the text of an equation that has none itself.

    Attributes:
        is_in_line: Whether its text stands in a line, as it does.
    """

    is_in_line = True

    def __init__(self, attributes: Any) -> None:
        self._math = MathText()
        self._alternative: str = attributes.get("alttext", "")

    def start(self, tag: str, attributes: Any) -> None:
        """Begin an element in it."""
        del attributes  # which say nothing of the text
        self._math.start(tag)

    def data(self, text: str) -> None:
        """Add text, perhaps in several pieces."""
        self._math.data(text)

    def end(self, tag: str) -> bool:
        """End an element. Returns whether it was the equation itself."""
        if tag == "math":
            return True
        self._math.end()
        return False

    def labels(self) -> list[str]:
        """Return its text."""
        return [self._math.text() or self._alternative]


class Drawing(SvgText):
    """A drawing, which a parser passes on as it goes.

    Args:
        attributes: Those of its element.

    Attributes:
        is_in_line: Whether its labels stand in a line; each may stand on one of its own.
    """

    is_in_line = False

    def __init__(self, attributes: Any) -> None:
        del attributes  # which say nothing of the text
        super().__init__()


FOREIGN: dict[str, type[Equation] | type[Drawing]] = {"math": Equation, "svg": Drawing}
