"""Right or wrong, and how sure. Knows answers and numbers; knows no model."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

_Z = 1.96  # standard deviations on either side of a 95 % interval
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")


def share_found(answer: str, expected: Sequence[str]) -> float:
    """How many of the expected strings stand in an answer, from 0 to 1, as RULER's `string_match_all` counts.

    Width, case and the commas of thousands make no difference; an expected number inside a longer one does not count.
    """
    text = _plain(answer)
    found = (re.search(rf"(?<![A-Za-z0-9]){re.escape(_plain(one))}(?![A-Za-z0-9])", text) for one in expected)
    return sum(map(bool, found)) / len(expected)


def _plain(text: str) -> str:
    return _THOUSANDS.sub("", unicodedata.normalize("NFKC", text).casefold())


def wilson(mean: float, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share `mean` of `trials` (E. B. Wilson, JASA 22, 1927).

    For scores between 0 and 1, of which the mean is taken, it is wider than it need be, since a share varies most.
    """
    square = _Z * _Z
    middle = mean + square / (2 * trials)
    half = _Z * math.sqrt(mean * (1 - mean) / trials + square / (4 * trials * trials))
    low, high = (middle - half) / (1 + square / trials), (middle + half) / (1 + square / trials)
    return max(0.0, low), min(1.0, high)


def perplexity_interval(losses: Sequence[float]) -> tuple[float, float, float]:
    """Perplexity from the mean losses of two or more windows, in nats a token, with a 95 % interval.

    The interval takes the windows as a sample of windows: it is normal in the loss.
    """
    mean = math.fsum(losses) / len(losses)
    variance = math.fsum((loss - mean) ** 2 for loss in losses) / (len(losses) - 1)
    half = _Z * math.sqrt(variance / len(losses))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)
