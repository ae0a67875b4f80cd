"""What a person wrote about a picture, a shape or a table, for those who do not see it."""

from __future__ import annotations

import re

_BY_MACHINE = re.compile(r"\s*(?:Description automatically generated.*|AI-generated content may be incorrect\.?)\s*$")


def alternative_text(text: str) -> str:
    """Return an alternative text on one line; empty for one that a program wrote.

    Args:
        text: The text as it is in the file.

    Returns:
        The line.
    """
    return "" if _BY_MACHINE.search(text) else text.replace("\n", " ")
