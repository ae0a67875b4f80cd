"""Recognising text in UTF-16 without a byte order mark, whatever its script, by the zero bytes of ASCII characters."""

from __future__ import annotations

import unicodedata
from collections import Counter

from indexes.readers.charset.japanese import NEVER_IN_TEXT

_FEWEST = 4  # characters
_ENDIAN = (("utf-16-le", 1), ("utf-16-be", 0))  # and where the zero byte of an ASCII character is
_SPACES = frozenset("\t\n\r\f")
_OF_ONE_SCRIPT = 0.9  # of the letters; names in the Latin alphabet are in texts of any script
_LETTERS = 0.4  # of the characters


def decode_wide(data: bytes) -> str | None:
    """Decode text in UTF-16 without a byte order mark.

    Args:
        data: The bytes of a text file, of an even number.

    Returns:
        The text; None if it has no character of ASCII, such as a space, to show the byte order, or is no text: one
        script beside the Latin alphabet makes up nearly all of its letters.
    """
    zeros = {name: data[place::2].count(0) for name, place in _ENDIAN}
    name = max(zeros, key=lambda each: zeros[each])
    if len(data) < 2 * _FEWEST or not zeros[name] or 4 * min(zeros.values()) > zeros[name]:
        return None
    try:
        text = data.decode(name)
    except UnicodeDecodeError:
        return None
    counts = Counter(text)
    if any(unicodedata.category(each) in NEVER_IN_TEXT and each not in _SPACES for each in counts):
        return None
    scripts: Counter[str] = Counter()
    for character, count in counts.items():
        if character.isalpha():
            scripts[_script(character)] += count
    letters, latin = scripts.total(), scripts.pop("LATIN", 0)
    most = max(scripts.values(), default=0)
    return text if letters >= _LETTERS * len(text) and latin + most >= _OF_ONE_SCRIPT * letters else None


def _script(letter: str) -> str:
    """The script of a letter, which is the first word of its name."""
    script = unicodedata.name(letter, "").partition(" ")[0]
    return "CJK" if script in ("HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO") else script
