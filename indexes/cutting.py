"""Where to cut a sentence that is longer than a chunk: not inside brackets that would fit, and where it pauses.

Knows no documents and no tokenizer.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

_OPEN, _CLOSE = "「『（【〈《", "」』）】〉》"
_BRACKETS = re.compile(f"[{_OPEN}{_CLOSE}]")
_LEAST_FILLED = 2  # a part is at least half full, if a cut outside of brackets lets it be
# How good it is to cut behind a character; behind any other, 0.
_PAUSES = {
    **dict.fromkeys("\n。．！？｡.!?…", 3),
    **dict.fromkeys("、，；：;:,」』）】〉》", 2),
    **dict.fromkeys(" \t　", 1),
}


def cut_places(text: str, places: Sequence[int], longest: int) -> list[int]:
    """Which of the `places` in a text (rising, the first its beginning) parts of up to `longest` places begin at.

    The first is not among them. What stands between brackets stays in one part if it has no more places than that.
    """
    held = _held(text, places, longest)
    cuts, begin = [], 0
    while len(places) - begin > longest:
        window = range(begin + 1, begin + longest + 1)
        begin = max(
            window, key=lambda i: (i not in held, i - begin >= longest // _LEAST_FILLED, _pause(text, places[i]), i)
        )
        cuts.append(begin)
    return [places[i] for i in cuts]


def _pause(text: str, place: int) -> int:
    """How good it is to cut there."""
    pause = _PAUSES.get(text[place - 1], 0)
    return _PAUSES.get(text[place - 2], pause) if pause == 1 and place > 1 else pause


def _held(text: str, places: Sequence[int], longest: int) -> set[int]:
    """The numbers of the places inside brackets that fit into a part."""
    held: set[int] = set()
    for opening, closing in _bracketed(text):
        first, end = bisect_right(places, opening), bisect_right(places, closing)
        if end - first < longest:
            held.update(range(first, end))
    return held


def _bracketed(text: str) -> Iterator[tuple[int, int]]:
    """Where brackets open and close."""
    opened: list[int] = []
    for bracket in _BRACKETS.finditer(text):
        if bracket.group() in _OPEN:
            opened.append(bracket.start())
        elif opened:
            yield opened.pop(), bracket.start()
