"""The order of passages: those of the last prompt first, so that a model that has read them goes on behind them."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from longctx.planning.inputs import PassageCost, PromptCosts
from longctx.planning.packing import Packing

_STAYING = 0.5  # what a token costs that stays though it was not found now, in tokens that are not read again


def lay_out(costs: PromptCosts, packing: Packing, room: float, most: float, expand: int) -> Packing:
    """Put the passages of the last prompt first, in their order, as far as that pays.

    Where a prompt differs from the last one, the model reads on from there. A passage that was not found now stays if
    more of those behind it were found. It takes the place of neighbours, never of passages that were found.

    Args:
        costs: What could go into the prompt, and the passages of the last one.
        packing: What is in the prompt without regard to the last one, the most wanted first.
        room: Tokens for passages.
        most: Tokens for those that stay and those that were found. As the first need not be read, that may be more.
        expand: How many neighbours on either side come with a passage that was found.

    Returns:
        The passages in their new order; `packing` itself if it does not pay.
    """
    wanted = packing.chosen
    sides = [(one.part, *side[:expand]) for one in costs.found for side in (one.before, one.after)]
    needed = {part.chunk_id for side in sides for part in side} & wanted.keys()
    found = [part for part in wanted.values() if part.chunk_id in needed]
    fits = bisect_left(range(1, len(costs.last) + 1), True, key=lambda n: _packed(costs, n, found, most) is None)
    staying = _STAYING if costs.conversing else math.inf
    gains = [*accumulate(part.tokens * (1 if part.chunk_id in wanted else -staying) for part in costs.last[:fits])]
    best = max(gains, default=0)
    made = _packed(costs, gains.index(best) + 1, found, most) if best > 0 else None
    if made is None:
        return packing
    made.spend(most - room)
    for part in wanted.values():
        if not made.add(part):
            break  # a neighbour comes only with those between
    return made


def _packed(costs: PromptCosts, kept: int, found: Sequence[PassageCost], room: float) -> Packing | None:
    """So many passages of the last prompt and those that were found; None if they do not fit."""
    packing = Packing(costs, room)
    packing.keep(costs.last[:kept])
    return packing if packing.left >= 0 and all(map(packing.add, found)) else None
