"""Running a probe: one unit of work after another, each result kept as it comes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from random import Random

from longctx.engine import GenerationOptions
from longctx.errors import BadRequest
from longctx.models import LoadedModel
from longctx.probe.options import ProbeOptions
from longctx.probe.render import write_markdown
from longctx.probe.report import PERPLEXITY, NoRoom, ProbeReport, write_report
from longctx.probe.results import Key, Result, Results, open_results
from longctx.probe.scoring import share_found, summarize
from longctx.probe.setup import ProbeSetup, open_setup
from longctx.probe.tasks import Draft

_ANSWER = 500  # tokens of a prompt that are read in the time that an answer takes, roughly


@dataclass(frozen=True, slots=True)
class Unit:
    """One text, or one window of perplexity where `draft` is None, under one method.

    `first` is the number of its first question; `shared` the part of the text that the unit before has read.
    """

    task: str
    language: str
    method: str
    length: int
    trial: int
    first: int = 0
    draft: Draft | None = None
    shared: float = 0.0

    @property
    def group(self) -> tuple[str, str, str, int, int]:
        """What units have in common whose texts begin alike."""
        return self.task, self.language, self.method, self.length, self.trial

    @property
    def keys(self) -> list[Key]:
        """The keys of its results."""
        questions = 1 if self.draft is None else len(self.draft.questions)
        return [(*self.group, self.first + number) for number in range(questions)]

    def cost(self, setup: ProbeSetup) -> float:
        """Floating-point operations, roughly: to estimate how long the rest of the work takes."""
        model = setup.engine.loaded.model
        config = model.config.get_text_config()
        cached = self.shared * self.length
        answers = 0 if self.draft is None else len(self.draft.questions) * _ANSWER
        attention = 2 * config.num_hidden_layers * config.hidden_size * (self.length**2 - cached**2)
        return float(2 * model.num_parameters() * (self.length - cached + answers) + attention)

    def run(self, setup: ProbeSetup, missing: Sequence[Key]) -> Iterator[Result]:
        """Measure what is missing of its results."""
        task, language, method, length, trial = self.group
        result = partial(Result, task=task, language=language, method=method, length=length, trial=trial)
        scaling, began = setup.scaling(method, length), time.monotonic()
        if self.draft is None:
            losses = setup.engine.token_losses(setup.window_ids(length, trial), setup.stride, scaling)
            loss = math.fsum(losses) / len(losses)
            yield result(question=0, depth=None, score=loss, read=length, seconds=_since(began))
            return
        draw = Random(f"{setup.options.seed} prose {language} {length} {trial}")
        sample = setup.builder.build(self.draft, length, setup.haystack.sentences(language, draw))
        for key, asked in zip(self.keys, sample.questions, strict=True):
            if key in missing:
                began = time.monotonic()
                options = GenerationOptions(asked.room, stop=tuple(setup.builder.template.stops))
                stream = setup.engine.stream(sample.prefix, asked.suffix, scaling, options)
                answer = "".join(stream)
                yield result(
                    question=key[-1],
                    depth=asked.question.depth,
                    score=share_found(answer, asked.question.answers),
                    answer=answer,
                    expected=asked.question.answers,
                    read=stream.prompt_tokens - stream.reused_tokens,
                    seconds=_since(began),
                )


def _since(start: float) -> float:
    return round(time.monotonic() - start, 3)


def plan_work(setup: ProbeSetup) -> tuple[list[Unit], list[NoRoom]]:
    """All the work, short lengths first, and what cannot be measured for lack of room. Raises BadRequest if all is so.

    What several methods have in common is there once.
    """
    options, own = setup.options, (setup.haystack.language,)
    units: list[Unit] = []
    no_room: list[NoRoom] = []
    for length in options.lengths:
        methods = dict.fromkeys(setup.effective_method(method, length) for method in options.methods)
        for task in options.tasks:
            fitting = []
            for language in own if task == PERPLEXITY else options.languages:
                needed = setup.needed(task, language, length)
                if needed <= length:
                    fitting.append(language)
                else:
                    no_room.append(NoRoom(task=task, language=language, length=length, needed=needed))
            for method in methods:
                for language in fitting:
                    units += _units(setup, task, language, method, length)
    if not units:
        least = min(no_room, key=lambda one: one.needed)
        raise BadRequest(
            f"no task has room at {', '.join(f'{length:,}' for length in options.lengths)} tokens: "
            f"{least.task} ({least.language}) takes at least {least.needed:,}; give longer lengths"
        )
    return units, no_room


def _units(setup: ProbeSetup, task: str, language: str, method: str, length: int) -> Iterator[Unit]:
    if task == PERPLEXITY:
        yield from (Unit(task, language, method, length, window) for window in range(setup.options.windows))
        return
    for trial in range(setup.options.trials):
        drafts = setup.drafts(task, language, length, trial)
        firsts = accumulate((len(draft.questions) for draft in drafts[:-1]), initial=0)
        for first, draft in zip(firsts, drafts, strict=True):
            yield Unit(task, language, method, length, trial, first, draft, draft.needles[0].depth if first else 0.0)


@dataclass(frozen=True, slots=True)
class ProbeProgress:
    """How far a probe is.

    Attributes:
        done: Questions and windows that are measured, those of earlier runs among them.
        total: All of them.
        seconds_left: An estimate; None until something has been measured.
        doing: What is measured next; empty at the end.
    """

    done: int
    total: int
    seconds_left: float | None
    doing: str


ProbeCallback = Callable[[ProbeProgress], None]


def run_probe(
    model: str | Path | LoadedModel,
    out: str | Path,
    options: ProbeOptions | None = None,
    *,
    native_window: int | None = None,
    progress: ProbeCallback | None = None,
) -> ProbeReport:
    """Measure how well a model reads prompts of rising length under each scaling method.

    Results are kept as they come: a probe that was stopped goes on, and one with more lengths, methods, tasks or trials
    adds to what is there. Where it is interrupted, a report is written of what there is. A task and a length that no
    prompt fits are named in the report.

    Args:
        model: A checkpoint's folder, a hub name, or a loaded model.
        out: The folder for the results, `report.json` and `report.md`.
        options: What to measure; None is the default of each option.
        native_window: The window that the model was trained with, in tokens; None is what its configuration says.
        progress: Called before each text or window and after each result.

    Returns:
        The report.

    Raises:
        LongctxError: BadRequest, ModelUnavailable, NotEnoughMemory and others, before any work where that can be known.
        RopeScalingError: For a scaling that the model cannot have.
    """
    setup = open_setup(model, options or ProbeOptions(), native_window)
    units, no_room = plan_work(setup)
    with open_results(Path(out), setup.fingerprint()) as results:
        complete = False
        try:
            _work(setup, units, results, progress)
            complete = True
        finally:
            report = summarize(setup, results.known.values(), no_room, complete=complete)
            write_report(report, Path(out))
            write_markdown(report, Path(out))
    return report


def _work(setup: ProbeSetup, units: Sequence[Unit], results: Results, progress: ProbeCallback | None) -> None:
    """Measure what is missing; the rest is estimated to go on at the rate so far."""
    waiting = [unit for unit in units if any(key not in results for key in unit.keys)]
    total = len(results.known) + sum(key not in results for unit in waiting for key in unit.keys)
    left, spent, began = sum(unit.cost(setup) for unit in waiting), 0.0, time.monotonic()

    def tell(doing: str) -> None:
        if progress is not None:
            seconds = left * (time.monotonic() - began) / spent if spent else None
            progress(ProbeProgress(len(results.known), total, seconds, doing))

    group = None
    for unit in waiting:
        doing = f"{unit.task}, {unit.method}, {unit.length:,} tokens"
        tell(doing)
        if group != (group := unit.group):
            setup.engine.pool.shrink(0)  # no text that follows begins like those read so far
        for result in unit.run(setup, [key for key in unit.keys if key not in results]):
            results.add(result)
            tell(doing)
        left, spent = left - unit.cost(setup), spent + unit.cost(setup)
    tell("")
