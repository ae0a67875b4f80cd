"""Scores of answers, intervals, and the report on all results."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from statistics import fmean, stdev

from indexes.text import folded
from longctx.probe.report import PERPLEXITY, Cell, EffectiveWindow, NoRoom, NotDecisive, ProbeReport, TextFacts
from longctx.probe.results import Result
from longctx.probe.setup import ProbeSetup
from longctx.version import __version__

THRESHOLD = 0.85  # of the score at the shortest length: RULER's own bar is one model's score, which ours cannot be
DECISIVE = 0.5  # the least score at the shortest length: of a lower one, a decline cannot be told from chance
_Z = 1.96  # standard deviations on either side of a 95 % interval
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")


def share_found(answer: str, expected: Sequence[str]) -> float:
    """The share of the expected strings that stand in an answer, as RULER's `string_match_all` counts.

    Width, case and the commas of thousands make no difference; an expected number inside a longer one does not count.

    Args:
        answer: What the model said.
        expected: The strings, one or more.

    Returns:
        A share from 0 to 1.
    """
    text = _plain(answer)
    found = (re.search(rf"(?<![A-Za-z0-9]){re.escape(_plain(one))}(?![A-Za-z0-9])", text) for one in expected)
    return sum(map(bool, found)) / len(expected)


def _plain(text: str) -> str:
    return _THOUSANDS.sub("", folded(text))


def wilson(mean: float, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share `mean` of `trials` (E. B. Wilson, JASA 22, 1927).

    For scores between 0 and 1, of which the mean is taken, it is wider than it need be, since a share varies most.

    Args:
        mean: The share, from 0 to 1.
        trials: Of how many.

    Returns:
        The interval's ends.
    """
    square = _Z * _Z
    middle = mean + square / (2 * trials)
    half = _Z * math.sqrt(mean * (1 - mean) / trials + square / (4 * trials * trials))
    low, high = (middle - half) / (1 + square / trials), (middle + half) / (1 + square / trials)
    return max(0.0, low), min(1.0, high)


def perplexity_interval(losses: Sequence[float]) -> tuple[float, float, float]:
    """Perplexity with a 95 % interval, which takes the windows as a sample of windows: it is normal in the loss.

    Args:
        losses: The mean loss of each window, in nats a token; two or more.

    Returns:
        The perplexity, and the interval's ends.
    """
    mean, half = fmean(losses), _Z * stdev(losses) / math.sqrt(len(losses))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def effective_window(quality: Mapping[int, float]) -> int:
    """The longest length up to which every length has `THRESHOLD` of the quality at the shortest.

    Args:
        quality: A number above 0 of which more is better, by length.

    Returns:
        A length.
    """
    lengths = sorted(quality)
    bar = THRESHOLD * quality[lengths[0]]
    return max(takewhile(lambda length: quality[length] >= bar, lengths))


def summarize(
    setup: ProbeSetup, results: Iterable[Result], no_room: Sequence[NoRoom], *, complete: bool
) -> ProbeReport:
    """The report on all results that there are, of this run and of those before it."""
    results = sorted(results, key=lambda result: result.key)  # an interrupted probe gives the same report
    methods = tuple(dict.fromkeys((*setup.options.methods, *(result.method for result in results))))
    cells, windows, not_decisive = list[Cell](), list[EffectiveWindow](), list[NotDecisive]()
    for method in methods:
        # a length that no method scales counts for all of them
        taken = [result for result in results if result.method == setup.effective_method(method, result.length)]
        scored = _cells(method, taken)
        cells += scored
        found, weak = _windows(method, [cell for cell in scored if cell.depth is None])
        windows += found
        not_decisive += weak
    return ProbeReport(
        longctx=__version__,
        model=setup.facts,
        text=TextFacts(name=setup.haystack.name, sha256=setup.haystack.sha256),
        template=setup.builder.template.name,
        seed=setup.options.seed,
        factor=setup.options.factor,
        scored_tokens=setup.stride,
        threshold=THRESHOLD,
        complete=complete,
        methods=methods,
        cells=tuple(cells),
        no_room=tuple(no_room),
        windows=tuple(windows),
        not_decisive=tuple(not_decisive),
    )


def _cells(method: str, results: Iterable[Result]) -> list[Cell]:
    """A cell for each task, language and length, and one for each depth there."""
    scores: dict[tuple[str, str, int, float | None], list[float]] = defaultdict(list)
    for result in results:
        for depth in dict.fromkeys((None, result.depth)):
            scores[result.task, result.language, result.length, depth].append(result.score)
    cells = []
    for place in sorted(scores, key=lambda place: (*place[:3], -1.0 if place[3] is None else place[3])):
        task, language, length, depth = place
        taken = scores[place]
        if task == PERPLEXITY:
            score, low, high = perplexity_interval(taken)
        else:
            score = fmean(taken)
            low, high = wilson(score, len(taken))
        cells.append(
            Cell(
                task=task,
                language=language,
                method=method,
                length=length,
                depth=depth,
                trials=len(taken),
                score=round(score, 6),
                low=round(low, 6),
                high=round(high, 6),
            )
        )
    return cells


def _windows(method: str, cells: Sequence[Cell]) -> tuple[list[EffectiveWindow], list[NotDecisive]]:
    """The effective windows of a method, over all tasks but perplexity and for each, and what decides none.

    Args:
        method: The method.
        cells: Its cells over all depths.

    Returns:
        The windows, and the tasks whose score at their shortest length is below `DECISIVE`.
    """
    qualities: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for cell in cells:
        qualities[cell.task, cell.language][cell.length] = 1 / cell.score if cell.task == PERPLEXITY else cell.score
    windows, weak = list[EffectiveWindow](), list[NotDecisive]()
    reached: dict[tuple[str, str], tuple[int, int]] = {}
    for (task, language), quality in qualities.items():
        shortest = min(quality)
        if task == PERPLEXITY or quality[shortest] >= DECISIVE:
            reached[task, language] = (effective_window(quality), max(quality))
        else:
            reason = (
                f"the score at {shortest:,} tokens, its shortest length, is {quality[shortest]:.2f}, below {DECISIVE}"
            )
            weak.append(NotDecisive(method=method, task=task, language=language, reason=reason))
    for wanted in (None, *sorted({task for task, _ in qualities})):
        own = [key for key in qualities if (key[0] == wanted if wanted else key[0] != PERPLEXITY)]
        ends = [reached[key] for key in own if key in reached]
        tokens = min((end for end, _ in ends), default=None)
        # the window ends where the first task fails; those that reach as far and were not measured further show less
        measured = max((longest for end, longest in ends if end == tokens), default=None)
        if own:
            measured = measured or max(length for key in own for length in qualities[key])
            windows.append(EffectiveWindow(method=method, task=wanted, tokens=tokens, measured=measured))
    return windows, weak
