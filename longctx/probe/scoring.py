"""Scores and intervals, and the summary of a probe's results."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from longctx.probe.report import PERPLEXITY, Cell, ProbeReport, Reach, TextFacts
from longctx.probe.results import Result
from longctx.probe.setup import ProbeSetup
from longctx.version import __version__

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


THRESHOLD = 0.85  # of the score at the native window: RULER's own bar is one model's score, which ours cannot be

_Place = tuple[str, str, int, float | None]  # task, language, length, depth


def summarize(bench: ProbeSetup, results: Iterable[Result], *, complete: bool) -> ProbeReport:
    """The report of all results that there are, of this run and of those before it."""
    by_method = _by_method(bench, list(results))
    cells = [cell for method, taken in by_method.items() for cell in _cells(method, taken)]
    native = bench.facts.native_window
    return ProbeReport(
        longctx=__version__,
        model=bench.facts,
        text=TextFacts(name=bench.text.name, sha256=bench.text.sha256),
        prompt=bench.prompting.style,
        seed=bench.options.seed,
        factor=bench.options.factor,
        scored_tokens=bench.step,
        threshold=THRESHOLD,
        complete=complete,
        methods=tuple(by_method),
        cells=tuple(cells),
        windows=tuple(reach for method in by_method for reach in _reaches(method, cells, native)),
    )


def _by_method(bench: ProbeSetup, results: Sequence[Result]) -> dict[str, list[Result]]:
    """The results of each method; a length that no method scales counts for all of them."""
    methods = dict.fromkeys((*bench.options.methods, *(result.method for result in results)))
    return {
        method: [one for one in results if one.method == bench.effective_method(method, one.length)]
        for method in methods
    }


def _cells(method: str, results: Sequence[Result]) -> list[Cell]:
    taken: dict[_Place, list[Result]] = defaultdict(list)
    for one in results:
        taken[one.task, one.language, one.length, None].append(one)
        if one.depth is not None:
            taken[one.task, one.language, one.length, one.depth].append(one)
    # in order of place, not of arrival: a probe that was interrupted gives the same report
    return [_cell(method, place, sorted(taken[place], key=lambda one: one.key)) for place in sorted(taken, key=_order)]


def _order(place: _Place) -> tuple[str, str, int, float]:
    task, language, length, depth = place
    return task, language, length, -1.0 if depth is None else depth


def _cell(method: str, place: _Place, results: Sequence[Result]) -> Cell:
    task, language, length, depth = place
    scores = [one.score for one in results]
    if task == PERPLEXITY:
        score, low, high = perplexity_interval(scores)
    else:
        score = math.fsum(scores) / len(scores)
        low, high = wilson(score, len(scores))
    score, low, high = (round(value, 6) for value in (score, low, high))
    return Cell(
        task=task,
        language=language,
        method=method,
        length=length,
        depth=depth,
        trials=len(scores),
        score=score,
        low=low,
        high=high,
    )


def _reaches(method: str, cells: Iterable[Cell], native: int) -> list[Reach]:
    """The effective windows of a method: over all tasks but perplexity, and for each."""
    mine = [cell for cell in cells if cell.method == method and cell.depth is None]
    tasks = sorted({cell.task for cell in mine})
    scored = [cell for cell in mine if cell.task != PERPLEXITY]
    groups: list[tuple[str | None, list[Cell]]] = [(None, scored)] if scored else []
    groups += [(task, [cell for cell in mine if cell.task == task]) for task in tasks]
    return [_reach(method, task, group, native) for task, group in groups]


def _reach(method: str, task: str | None, cells: Sequence[Cell], native: int) -> Reach:
    lengths = sorted({cell.length for cell in cells})
    quality = {length: _quality([cell for cell in cells if cell.length == length]) for length in lengths}
    return Reach(method=method, task=task, tokens=effective_window(quality, native), measured=lengths[-1])


def _quality(cells: Sequence[Cell]) -> float:
    """One number of which more is better: the mean score of tasks and languages, or one over the perplexity."""
    scores = [1 / cell.score if cell.task == PERPLEXITY else cell.score for cell in cells]
    return math.fsum(scores) / len(scores)


def effective_window(quality: Mapping[int, float], native: int) -> int | None:
    """The longest length up to which every length has `THRESHOLD` of the quality at the native window.

    Lengths below the native window make no difference. None where the quality there is 0 or unknown.
    """
    bar = THRESHOLD * quality.get(native, 0.0)
    if not bar:
        return None
    reached = native
    for length in sorted(length for length in quality if length > native):
        if quality[length] < bar:
            break
        reached = length
    return reached
