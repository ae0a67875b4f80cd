"""Filling what a window leaves: which passages, and which turns of the conversation. Knows no route."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from longctx.planning.inputs import FoundPassage, PassageCost, Policy, PromptCosts


class Packing:
    """Passages for a prompt, as long as they fit `room` tokens; with the first of a document comes its fence."""

    def __init__(self, counts: PromptCosts, room: float) -> None:
        self._counts, self._room = counts, room
        self.chosen: dict[int, PassageCost] = {}
        self.tokens = 0
        self._documents: set[str] = set()

    def add(self, part: PassageCost) -> bool:
        """Take a passage if there is room; returns whether it is in."""
        if part.place in self.chosen:
            return True
        cost = part.tokens + self._counts.numbers[len(self.chosen)]
        if part.document not in self._documents:
            cost += self._counts.fences[part.document]
        if self.tokens + cost > self._room:
            return False
        self.tokens += cost
        self.chosen[part.place] = part
        self._documents.add(part.document)
        return True

    def spend(self, tokens: int) -> None:
        """Give room to something else."""
        self._room -= tokens

    @property
    def left(self) -> float:
        """Room that is not used."""
        return self._room - self.tokens

    @property
    def parts(self) -> list[PassageCost]:
        """What is in, in the order of documents."""
        return sorted(self.chosen.values(), key=_order)


def _order(part: PassageCost) -> tuple[str, int]:
    return part.document, part.place


def pack(selection: Packing, counts: PromptCosts, policy: Policy) -> Sequence[int]:
    """Fill what the best passage leaves: turns up to their share, passages, neighbours, then more turns.

    The turn that bears on the question most comes first, as the best passage does, unless it takes more than half of
    what both share.
    """
    best = counts.recalled[:1] if policy.history_share else ()
    if counts.of_turns(best) > min(selection.left, (selection.left + selection.tokens) / 2):
        best = ()
    share = int(selection.left * policy.history_share) - counts.of_turns(best)
    turns = pack_turns(counts, max(0, share), best)
    selection.spend(counts.of_turns(turns))
    for candidates in _candidates(counts.found, policy.expand):
        for part in candidates:
            if not selection.add(part):
                break  # a neighbour comes only with those between
    return pack_turns(counts, int(selection.left), turns)


def pack_turns(counts: PromptCosts, room: int, kept: Sequence[int] = ()) -> Sequence[int]:
    """The turns that fit beside those that are kept: the last ones, and by turns with them those that were recalled.

    Of the last ones none is left out between others; of those that were recalled any may be.
    """
    chosen = set(kept)

    def add(number: int) -> bool:
        nonlocal room
        cost = 0 if number in chosen else counts.turns[number - 1]
        if cost > room:
            return False
        chosen.add(number)
        room -= cost
        return True

    recalled, last = iter(counts.recalled), len(counts.turns)
    while last and add(last):
        last -= 1
        for number in islice(recalled, 1):
            add(number)
    for number in recalled:
        add(number)
    return sorted(chosen)


def _candidates(found: Sequence[FoundPassage], expand: int) -> Iterator[Iterable[PassageCost]]:
    """Runs of passages in the order in which they are wanted; each run ends with the first that does not fit."""
    for one in found:
        for side in (one.before, one.after):
            yield (one.part, *side[:expand])
    reach = max((len(side) for one in found for side in (one.before, one.after)), default=0)
    for distance in range(expand + 1, reach + 1):
        for one in found:
            for side in (one.before, one.after):
                yield (one.part, *side[:distance])
