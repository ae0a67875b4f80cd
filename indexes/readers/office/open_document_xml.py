"""The XML of OpenDocument files: its namespaces, and the whole numbers in its attributes."""

from __future__ import annotations

import re

_URN = "urn:oasis:names:tc:opendocument:xmlns:"
TEXT, TABLE, DRAW, OFFICE, STYLE, FORM, CHART, PRESENTATION, SVG, FO = (
    f"{{{_URN}{name}:1.0}}"
    for name in (
        "text",
        "table",
        "drawing",
        "office",
        "style",
        "form",
        "chart",
        "presentation",
        "svg-compatible",
        "xsl-fo-compatible",
    )
)
DC = "{http://purl.org/dc/elements/1.1/}"
MATH = "{http://www.w3.org/1998/Math/MathML}"
HREF = "{http://www.w3.org/1999/xlink}href"


def integer(text: str | None, default: int) -> int:
    """Return the whole number that an attribute has.

    Args:
        text: The attribute; None if it is missing.
        default: The number for one that is missing, or no number of at most seven digits.

    Returns:
        The number.
    """
    return int(text) if text and re.fullmatch("[0-9]{1,7}", text) else default
