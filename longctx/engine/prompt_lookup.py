"""Prompt lookup decoding: drafts of the next tokens, copied from where the last ones stood before.

Answers quote their passages, so that what followed the same two or three tokens earlier is often what follows now. A
draft is only a guess: the model reads it in one pass, and each of its tokens is chosen as it would be without. It knows
token ids, and neither the model nor how tokens are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_DRAFT = 8
_MATCHES = (3, 2)  # tokens that must have stood before, the longer tried first
_LONGEST_PAUSE = 64  # tokens


class PromptLookup:
    """The tokens of a sequence, and where each two and three of them stood last.

    A draft becomes longer after one that was right, and shorter after one that was not. Drafts that keep being wrong
    are given up for a while, and then longer each time: a wrong one costs time, and gains nothing.

    Args:
        ids: The tokens of the prompt.
        longest: The longest draft; 0 makes none.
    """

    def __init__(self, ids: Sequence[int], longest: int = LONGEST_DRAFT) -> None:
        self._longest = longest
        self._ids: list[int] = []
        self._places: dict[tuple[int, ...], int] = {}  # where what follows them begins
        self._length = 4
        self._pause = self._wait = 0
        for token in ids:
            self.add(token)

    def add(self, token: int) -> None:
        """Take the next token of the sequence."""
        if not self._longest:
            return
        for size in _MATCHES:  # the last tokens are noted once something follows them
            if len(self._ids) >= size:
                self._places[tuple(self._ids[-size:])] = len(self._ids)
        self._ids.append(token)

    def draft(self, most: int) -> list[int]:
        """Guess the next tokens.

        Args:
            most: The longest draft.

        Returns:
            What followed the last tokens before; empty if they are new, or if drafts have not been right of late.
        """
        most = min(most, self._length, self._longest)
        if self._wait or most <= 0:
            self._wait = max(0, self._wait - 1)
            return []
        for size in _MATCHES:
            place = self._places.get(tuple(self._ids[-size:]))
            if place is not None:
                return self._ids[place : place + most]
        return []

    def learn(self, drafted: int, right: int) -> None:
        """Fit the length of drafts to how the last one did.

        Args:
            drafted: Its length in tokens.
            right: How many of them, from the first, were what the model chose.
        """
        if not drafted:
            return
        if right:
            self._pause = 0
            self._length = min(self._longest, 2 * self._length if right == drafted else right + 1)
            return
        self._length = max(1, self._length // 2)
        if self._length == 1:
            self._pause = min(_LONGEST_PAUSE, max(4, 2 * self._pause))
            self._wait = self._pause
