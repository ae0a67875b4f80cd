"""Running a probe: its units of work, one after another, resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from longctx.engine import GenerationOptions
from longctx.models import LoadedModel
from longctx.probe.options import ProbeOptions
from longctx.probe.render import write_markdown
from longctx.probe.report import PERPLEXITY, ProbeReport, write_report
from longctx.probe.results import Key, Result, Results, open_results
from longctx.probe.sample import SampleQuestion
from longctx.probe.scoring import share_found, summarize
from longctx.probe.setup import ProbeSetup, open_setup, window_ids, window_loss
from longctx.probe.tasks import TASKS, Draft

_ANSWER = 500  # tokens of a prompt that are read in the time that an answer takes, roughly


@dataclass(frozen=True, slots=True)
class Unit:
    """One text, or one window where `draft` is None, under one method; `first` is the number of its first question.

    `shared` is the part of the text that the unit before has read.
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
        """What results it gives."""
        questions = 1 if self.draft is None else len(self.draft.questions)
        return [(*self.group, self.first + number) for number in range(questions)]

    def cost(self, bench: ProbeSetup) -> float:
        """How much work it is, in floating-point operations, roughly: to tell how long the rest will take."""
        model = bench.engine.loaded.model
        config = model.config.get_text_config()
        matrices, attention = 2 * model.num_parameters(), 2 * config.num_hidden_layers * config.hidden_size
        begun = self.shared * self.length
        answers = 0 if self.draft is None else len(self.draft.questions) * _ANSWER
        return float(matrices * (self.length - begun + answers) + attention * (self.length**2 - begun**2))

    def run(self, bench: ProbeSetup, missing: Sequence[Key]) -> Iterator[Result]:
        """Do it, but for the questions that are not missing."""
        if self.draft is None:
            yield self._window(bench)
            return
        draw = Random(f"{bench.options.seed} prose {self.language} {self.length} {self.trial}")
        document = bench.scribes[self.language].write(self.draft, self.length, draw)
        for key, asked in zip(self.keys, document.asked, strict=True):
            if key in missing:
                yield self._answer(bench, document.prefix, asked, key[-1])

    def _answer(self, bench: ProbeSetup, prefix: Sequence[int], asked: SampleQuestion, number: int) -> Result:
        since, question = time.monotonic(), asked.question
        options = GenerationOptions(asked.room, stop=bench.prompting.stop)
        stream = bench.engine.stream(prefix, asked.suffix, bench.scaling(self.method, self.length), options)
        answer = "".join(stream)
        return Result(
            **self._place(),
            question=number,
            depth=question.depth,
            score=share_found(answer, question.answers),
            answer=answer,
            expected=question.answers,
            read=stream.prompt_tokens - stream.reused_tokens,
            seconds=round(time.monotonic() - since, 3),
        )

    def _window(self, bench: ProbeSetup) -> Result:
        since = time.monotonic()
        bos = bench.engine.loaded.tokenizer.bos_token_id
        ids = window_ids(bench.prose, bos, self.length, self.trial, bench.step)
        loss = window_loss(bench.engine, ids, bench.step, bench.scaling(self.method, self.length))
        seconds = round(time.monotonic() - since, 3)
        return Result(**self._place(), question=0, depth=None, score=loss, read=self.length, seconds=seconds)

    def _place(self) -> dict[str, Any]:
        return dict(zip(("task", "language", "method", "length", "trial"), self.group, strict=True))


def units(bench: ProbeSetup) -> Iterator[Unit]:
    """All the work, short lengths first; what several methods have in common is there once."""
    options = bench.options
    for length in options.lengths:
        methods = dict.fromkeys(bench.effective_method(method, length) for method in options.methods)
        for task in options.tasks:
            for method in methods:
                if task in TASKS:
                    yield from _texts(bench, task, method, length)
                else:
                    for window in range(options.windows):
                        yield Unit(PERPLEXITY, bench.text.language, method, length, window)


def _texts(bench: ProbeSetup, task: str, method: str, length: int) -> Iterator[Unit]:
    for language in bench.options.languages:
        for trial in range(bench.options.trials):
            first = 0
            for draft in bench.drafts(task, language, length, trial):
                shared = draft.needles[0].depth if first else 0.0
                yield Unit(task, language, method, length, trial, first, draft, shared)
                first += len(draft.questions)


@dataclass(frozen=True, slots=True)
class ProbeProgress:
    """How far a probe is: `done` of `total` questions and windows, of which some may have been there before.

    `seconds_left` is None until something has been measured; `doing` says what comes next.
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
    """Measure how a model fares on texts of rising length; write `report.json` and `report.md` into the folder `out`.

    Results are kept in the folder as they come: a probe that was stopped goes on, and one with more lengths, methods,
    tasks or trials adds to it. Where it is interrupted, a report is written of what there is. `native_window` overrides
    what the configuration says. Raises LongctxError and RopeScalingError, before any work where that can be known.
    """
    bench = open_setup(model, options or ProbeOptions(), native_window)
    with open_results(Path(out), bench.setting()) as results:
        complete = False
        try:
            _work(bench, results, progress)
            complete = True
        finally:
            report = summarize(bench, results.known.values(), complete=complete)
            write_report(report, Path(out))
            write_markdown(report, Path(out))
    return report


def _work(bench: ProbeSetup, results: Results, progress: ProbeCallback | None) -> None:
    """Do what is missing."""
    waiting = [unit for unit in units(bench) if any(key not in results for key in unit.keys)]
    clock = _Clock(bench, results, waiting, progress)
    group = None
    for unit in waiting:
        clock.tell(unit)
        if group != (group := unit.group):
            bench.engine.pool.shrink(0)  # nothing more begins like the texts read so far
        for result in unit.run(bench, [key for key in unit.keys if key not in results]):
            results.add(result)
            clock.tell(unit)
        clock.add(unit)
    clock.tell(None)


class _Clock:
    """Tells a callback how far the work is, and how long the rest will take if it goes on at the rate so far."""

    def __init__(
        self, bench: ProbeSetup, results: Results, waiting: list[Unit], progress: ProbeCallback | None
    ) -> None:
        self._bench, self._results, self._progress = bench, results, progress
        self._total = len(results.known) + sum(key not in results for unit in waiting for key in unit.keys)
        self._cost = sum(unit.cost(bench) for unit in waiting)
        self._spent, self._since = 0.0, time.monotonic()

    def add(self, unit: Unit) -> None:
        """A unit is done."""
        self._spent += unit.cost(self._bench)

    def tell(self, unit: Unit | None) -> None:
        """Call back before a unit, or at the end (None)."""
        if self._progress is None:
            return
        elapsed = time.monotonic() - self._since
        left = (self._cost - self._spent) * elapsed / self._spent if self._spent else None
        doing = "" if unit is None else f"{unit.task}, {unit.method}, {unit.length:,} tokens"
        self._progress(ProbeProgress(len(self._results.known), self._total, left, doing))
