"""What tokenizers make of a text before they look for control tokens in it, with the place of each character.

Some normalise: full-width letters and ligatures become plain ones (NFKC), accents and characters without a width go.
Folding does all of that, so that two spellings which any of them takes for the same are the same.
"""

from __future__ import annotations

import sys
import unicodedata
from functools import cache

_DROPPED = frozenset({"Mn", "Me", "Cf"})  # marks on other characters, and what has no width


def fold(text: str) -> str:
    """Fold a text.

    Args:
        text: The text.

    Returns:
        Its compatibility decomposition, without marks, control characters and characters without a width.
    """
    return text if text.isascii() and text.isprintable() else unicodedata.normalize("NFKD", text).translate(_dropped())


def folded_places(text: str) -> tuple[str, list[int]]:
    """Fold a text, and say where each character of the result comes from.

    Args:
        text: The text.

    Returns:
        The folded text, and for each of its characters the offset of one in the text.
    """
    parts = [fold(character) for character in text]
    return "".join(parts), [place for place, part in enumerate(parts) for _ in part]


@cache
def _dropped() -> dict[int, None]:
    characters = map(chr, range(sys.maxunicode + 1))
    return {ord(c): None for c in characters if _is_dropped(c)}


def _is_dropped(character: str) -> bool:
    category = unicodedata.category(character)
    return category in _DROPPED or (category == "Cc" and not character.isspace())
