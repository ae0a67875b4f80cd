"""Packing: which passages and which turns of the conversation go into the tokens that a window leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from longctx.planning.inputs import PassageCost, Policy, PromptCosts


class Packing:
    """Passages that fit `room` tokens; the first passage of a document also costs the fence around the document."""

    def __init__(self, costs: PromptCosts, room: float) -> None:
        self._costs, self._room = costs, room
        self.chosen: dict[int, PassageCost] = {}
        self.kept: Sequence[PassageCost] = ()
        self.kept_tokens = 0
        self.tokens = 0
        self._documents: set[str] = set()

    def keep(self, parts: Sequence[PassageCost]) -> None:
        """Begin with passages in the order in which they are, without regard to the room."""
        self.kept = parts
        for part in parts:
            self.tokens += part.tokens + self._costs.numbers[len(self.chosen)]
            if part.document not in self._documents:
                self.tokens += self._costs.fences[part.document]
            self.chosen[part.chunk_id] = part
            self._documents = {part.document}  # only the last one's fence can take more passages
        self.kept_tokens = self.tokens

    def add(self, part: PassageCost) -> bool:
        """Add a passage if there is room for it; returns whether it is in."""
        if part.chunk_id in self.chosen:
            return True
        cost = part.tokens + self._costs.numbers[len(self.chosen)]
        if part.document not in self._documents:
            cost += self._costs.fences[part.document]
        if self.tokens + cost > self._room:
            return False
        self.tokens += cost
        self.chosen[part.chunk_id] = part
        self._documents.add(part.document)
        return True

    def spend(self, tokens: float) -> None:
        """Give tokens of the room to something else."""
        self._room -= tokens

    @property
    def left(self) -> float:
        """Tokens that are not used."""
        return self._room - self.tokens

    @property
    def parts(self) -> list[PassageCost]:
        """The passages that are in: those that were kept in their order, then others in that of the documents."""
        last = self.kept[-1].document if self.kept else ""
        new = list(self.chosen.values())[len(self.kept) :]
        return [*self.kept, *sorted(new, key=lambda part: (part.document != last, part.document, part.chunk_id))]


def pack(packing: Packing, costs: PromptCosts, policy: Policy) -> Sequence[int]:
    """Fill the room that the best passage leaves: turns up to their share, passages, neighbours, then more turns.

    The turn that bears on the question most comes first, as the best passage does, unless it takes more than half of
    what both share.

    Args:
        packing: The prompt so far, which is filled.
        costs: What could go into it.
        policy: The share of the turns, and how many neighbours come with a passage.

    Returns:
        The numbers of the turns that are in.
    """
    best = costs.recalled[:1] if policy.history_share else ()
    if costs.of_turns(best) > min(packing.left, (packing.left + packing.tokens) / 2):
        best = ()
    share = int(packing.left * policy.history_share) - costs.of_turns(best)
    turns = pack_turns(costs, max(0, share), best)
    packing.spend(costs.of_turns(turns))
    for candidates in _candidates(costs, policy.expand):
        for part in candidates:
            if not packing.add(part):
                break  # a neighbour comes only with those between
    return pack_turns(costs, int(packing.left), turns)


def pack_turns(costs: PromptCosts, room: int, kept: Sequence[int] = ()) -> Sequence[int]:
    """The turns that fit beside those that are kept: the last ones, and by turns with them those that were recalled.

    Of the last ones none is left out between others; of those that were recalled any may be.

    Args:
        costs: What the turns cost.
        room: How many tokens further turns may take.
        kept: Turns that are in already.

    Returns:
        The numbers of the turns that are in, those kept among them.
    """
    chosen = set(kept)

    def add(number: int) -> bool:
        nonlocal room
        cost = 0 if number in chosen else costs.turns[number - 1]
        if cost > room:
            return False
        chosen.add(number)
        room -= cost
        return True

    recalled, last = iter(costs.recalled), len(costs.turns)
    while last and add(last):
        last -= 1
        for number in islice(recalled, 1):
            add(number)
    for number in recalled:
        add(number)
    return sorted(chosen)


def _candidates(costs: PromptCosts, expand: int) -> Iterator[Iterable[PassageCost]]:
    """Runs of passages in the order in which they are wanted; each run ends with the first that does not fit."""
    found = [one for one in costs.found if one.stands_out]
    for one in found:
        for side in (one.before, one.after):
            yield (one.part, *side[:expand])
    reach = max((len(side) for one in found for side in (one.before, one.after)), default=0)
    for distance in range(expand + 1, reach + 1):
        for one in found:
            for side in (one.before, one.after):
                yield (one.part, *side[:distance])
