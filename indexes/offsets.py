"""Offsets in a text that was put right, and in the original."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import itemgetter

Shifts = tuple[tuple[int, int], ...]
"""Pairs of an offset in the text and the offset in the original of the same character, ascending: one behind each place
where the lengths differ."""


def original_span(shifts: Shifts, start: int, end: int) -> tuple[int, int]:
    """Translate a span of a text that was put right into one of the original.

    Args:
        shifts: Where the lengths differ.
        start: The offset of the span's first character.
        end: The offset after its last character.

    Returns:
        The offsets in the original, without what was dropped at either end.
    """

    def original(offset: int, place: int, least: int) -> int:
        clean, base = shifts[place - 1] if place else (0, 0)
        found = base + offset - clean  # within what one character became, `least` before its end
        return min(found, shifts[place][1] - least) if place < len(shifts) else found

    first = bisect_right(shifts, start, key=itemgetter(0))
    last = bisect_left(shifts, end, key=itemgetter(0))
    return original(start, first, 1), original(end, last, 0)


def clean_offset(shifts: Shifts, original: int) -> int:
    """Translate an offset in the original into one in the text.

    Args:
        shifts: Where the lengths differ.
        original: The offset in the original.

    Returns:
        The offset in the text; of what was dropped, that of the next character.
    """
    place = bisect_right(shifts, original, key=itemgetter(1))
    clean, base = shifts[place - 1] if place else (0, 0)
    offset = clean + original - base
    return min(offset, shifts[place][0]) if place < len(shifts) else offset
