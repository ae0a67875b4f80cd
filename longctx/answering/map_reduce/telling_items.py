"""What tells the items of a list from others: how sure a model is of them, and the question's words beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from statistics import fmean, median

_FEWEST_CONTROLS = 3
_APART = 0.5  # nats between items and others: less tells nothing
_ABOVE = 0.9  # of pairs of an item with a word and one without, in which the model is surer of the one with it


@dataclass(frozen=True, slots=True)
class Cut:
    """What tells items from others.

    Attributes:
        odds: The log-odds above which an item is right, in nats.
        apart: How far right ones are from others, in nats; 0 where they are not told apart.
    """

    odds: float = 0.0
    apart: float = 0.0


def cut_between(odds: Sequence[float], controls: Sequence[float]) -> Cut:
    """Find what tells items from others: halfway between two clusters (2-means), of which controls are in the lower.

    Args:
        odds: The log-odds of items, right and wrong ones, in nats.
        controls: Those of what is no item for sure.

    Returns:
        The cut; where yes is as likely as no, if there is too little to compare or nothing stands out.
    """
    if not odds or len(controls) < _FEWEST_CONTROLS:
        return Cut()
    below, above = median(controls), max(odds)
    upper = list[float]()
    while above - below >= _APART:
        cut = (below + above) / 2
        before, upper = upper, [each for each in odds if each > cut]
        if upper == before:
            return Cut(cut, above - below)
        below, above = median([*controls, *(each for each in odds if each <= cut)]), fmean(upper)
    return Cut()


def common_terms(asked: Set[str], items: Sequence[Set[str]], share: float, fewest: int) -> set[str]:
    """Find the terms of a question by which items were found.

    Args:
        asked: The terms of the question.
        items: The terms of the sentences on each item.
        share: Of how many items the sentences have to hold a term, from 0 to 1.
        fewest: The least number of such items.

    Returns:
        The terms.
    """
    least = max(fewest, share * len(items))
    return {term for term in asked if sum(term in terms for terms in items) >= least}


def dividing_terms(asked: Set[str], items: Sequence[tuple[float, Set[str]]], fewest: int, apart: float) -> set[str]:
    """Find the terms of a question that divide items which have others in common, as their odds do.

    Args:
        asked: The terms of the question.
        items: The log-odds of each item, in nats, and the terms of the sentences on it; those with infinite odds do not
            count.
        fewest: The least number of items with a term, and of items without it.
        apart: How much surer of those with a term the model has to be on average, in nats. One by one it has to be
            almost always.

    Returns:
        The terms.
    """
    dividing = set[str]()
    for term in asked:
        held = [odds for odds, terms in items if math.isfinite(odds) and term in terms]
        lacking = [odds for odds, terms in items if math.isfinite(odds) and term not in terms]
        if min(len(held), len(lacking)) >= fewest and fmean(held) - fmean(lacking) >= apart:
            dividing |= {term} if fmean(one > other for one in held for other in lacking) >= _ABOVE else set()
    return dividing
