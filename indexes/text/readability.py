"""Judging whether text that was extracted from a file can be read at all.

A PDF can show text whose characters have no meaning to a program: what comes out are control and private-use
characters, the names of glyphs, or characters of scripts that do not belong together. The judgement looks at characters
only and knows no words, so that it holds for every language.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from itertools import pairwise

_SAMPLE = 20_000  # characters that are looked at
_MEANINGLESS = frozenset({"Cc", "Cn", "Co", "Cs"})
_MOST_MEANINGLESS = 0.3
_CONTROL_IN_WORD = re.compile(r"(?<=[^\s\0-\x1f])[\0-\x08\x0e-\x1a\x1c-\x1f\x7f](?=[^\s\0-\x1f])")
_FEWEST_CONTROLS, _MOST_CONTROLS = 3, 0.08  # where spaces are control characters, they are one in six
_GLYPH_NAMES = re.compile(
    r"(?:/[A-Za-z_.]{0,10}[0-9A-Fa-f]{1,6}\s*){4,}|(?:\(cid:[0-9]{1,6}\)\s*){2,}|(?:<[0-9A-Fa-f]{2,8}>\s*){4,}"
)
_MOST_NAMES = 0.4
_FEWEST_LETTERS = 12  # fewer prove nothing
_MOST_CHANGES = 0.2  # of script, within words
_HAN_ONLY = 0.9
_LEAST_COMMON = 0.55
_WITHOUT_SPACES = frozenset({"HAN", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "YI"})
_WITH_LATIN = frozenset(  # in formulas, units and abbreviations
    {
        "GREEK",
        "MATHEMATICAL",
        "MICRO",
        "OHM",
        "ANGSTROM",
        "KELVIN",
        "DOUBLE-STRUCK",
        "SCRIPT",
        "BLACK-LETTER",
        "MODIFIER",
    }
    | {"SUPERSCRIPT", "SUBSCRIPT", "FEMININE", "MASCULINE", "PLANCK", "ALEF"}
)
_EAST_ASIAN = frozenset(
    {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH", "BOPOMOFO", "KANGXI"}
)


def is_readable(text: str) -> bool:
    """Judge whether text has a meaning.

    Args:
        text: The text of a page or a file.

    Returns:
        False if most of it are control or private-use characters, names of glyphs, or a mixture of scripts.
    """
    sample = text[:_SAMPLE]
    counts = Counter(sample)
    visible = sum(count for character, count in counts.items() if not character.isspace())
    meaningless = sum(count for character, count in counts.items() if _is_meaningless(character))
    controls = len(_CONTROL_IN_WORD.findall(sample))
    names = sum(len("".join(match[0].split())) for match in _GLYPH_NAMES.finditer(sample))
    if meaningless > _MOST_MEANINGLESS * visible or names > _MOST_NAMES * visible:
        return False
    if controls >= _FEWEST_CONTROLS and controls > _MOST_CONTROLS * visible:
        return False
    letters = {character: count for character, count in counts.items() if _script(character)}
    if sum(letters.values()) < _FEWEST_LETTERS:
        return True
    return not _is_mixture(sample) and not _are_rare(letters)


def _is_meaningless(character: str) -> bool:
    is_space = character.isspace() or character in "\x08\x1b"
    return character == "\ufffd" or (unicodedata.category(character) in _MEANINGLESS and not is_space)


def _is_mixture(text: str) -> bool:
    """Whether neighbouring letters often belong to different scripts."""
    pairs = changes = 0
    for a, b in pairwise(map(_script, text)):
        if a and b:
            pairs += 1
            changes += (
                a != b
                and not (a in _WITHOUT_SPACES and (b == "LATIN" or b in _WITHOUT_SPACES))
                and not (b in _WITHOUT_SPACES and a == "LATIN")
            )
    return changes > _MOST_CHANGES * pairs


def _are_rare(letters: dict[str, int]) -> bool:
    """Whether text of Chinese characters alone, or of Hangul, consists of characters that are hardly ever used."""
    total = sum(letters.values())
    for script, is_common in (("HAN", _is_common_han), ("HANGUL", _is_common_hangul)):
        these = {character: count for character, count in letters.items() if _script(character) == script}
        share = sum(these.values())
        common = sum(count for character, count in these.items() if is_common(character))
        if share >= max(_HAN_ONLY * total, _FEWEST_LETTERS) and common < _LEAST_COMMON * share:
            return True
    return False


@lru_cache(maxsize=1 << 16)
def _script(character: str) -> str:
    """The first word of a letter's name in Unicode, such as LATIN, with one for all of Chinese and Japanese."""
    if not character.isalpha():
        return ""
    word = unicodedata.name(character, "?").partition(" ")[0]
    if word in _WITH_LATIN:
        return "LATIN"
    return "HAN" if word in _EAST_ASIAN else word


@lru_cache(maxsize=1 << 16)
def _is_common_han(character: str) -> bool:
    """Whether a character is in the first level of the Japanese, Chinese or Taiwanese standard."""
    levels = (("euc_jp", 0xCF), ("gb2312", 0xD7), ("big5", 0xC6))
    return any((data := _encoded(character, name)) and data[0] <= last for name, last in levels)


@lru_cache(maxsize=1 << 16)
def _is_common_hangul(character: str) -> bool:
    return bool(_encoded(character, "euc_kr"))


def _encoded(character: str, encoding: str) -> bytes:
    data = character.encode(encoding, "ignore")
    return data if len(data) == 2 else b""
