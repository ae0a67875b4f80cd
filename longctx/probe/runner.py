"""Running a probe: one unit of work after another, each result kept as it comes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from statistics import fmean

from longctx.engine import KV_CACHE_FOLDER, GenerationOptions, PrefillCallback, PrefillProgress, PrefixStore
from longctx.errors import BadRequest
from longctx.gguf import GgufEngine
from longctx.models import LoadedModel
from longctx.probe.options import ProbeOptions
from longctx.probe.render import write_markdown
from longctx.probe.report import PERPLEXITY, NoRoom, ProbeReport, write_report
from longctx.probe.results import FORMAT, Result, ResultKey
from longctx.probe.sample import SampleQuestion
from longctx.probe.scoring import share_found, summarize
from longctx.probe.setup import ProbeSetup, open_setup
from longctx.probe.tasks import Draft, together
from longctx.prompts import TokenIds
from longctx.result_file import Results, open_results
from rope_scaling import RopeScaling

_LONG = 8192  # tokens: a shorter text is soon read again by a probe that was stopped in the middle of it
_ANSWER = 500  # tokens of a prompt that are read in the time that an answer takes, roughly


@dataclass(frozen=True, slots=True)
class Unit:
    """The texts of one trial under one method, or one window of perplexity, which has no drafts.

    The texts begin alike, as far as their needles allow: the model reads that part once. `keys` are those of the
    results, one for each question.
    """

    keys: Sequence[ResultKey]
    drafts: Sequence[Draft] = ()

    @property
    def key(self) -> ResultKey:
        """The first key."""
        return self.keys[0]

    def cost(self, setup: ProbeSetup) -> float:
        """Floating-point operations, roughly: to estimate how long the rest of the work takes."""
        length = self.key.length
        # how much of each text has been read with the one before
        cached = sum(_read_cost(setup, length * draft.needles[0].depth) for draft in self.drafts[1:])
        answers = 2 * setup.engine.loaded.parameters * _ANSWER * len(self.keys)
        return (len(self.drafts) or 1) * _read_cost(setup, length) - cached + answers

    def run(
        self, setup: ProbeSetup, known: Container[ResultKey] = (), reading: PrefillCallback | None = None
    ) -> Iterator[Result]:
        """Measure what is not known of its results; `reading` is called with how much of a text has been read."""
        task, language, method, length, trial, _ = self.key
        scaling, began = setup.scaling(method, length), time.monotonic()
        if task == PERPLEXITY:
            loss = fmean(setup.engine.token_losses(setup.window_ids(length, trial), setup.stride, scaling))
            yield Result(**self.key._asdict(), depth=None, score=loss, read=length, seconds=_since(began))
            return
        keys = iter(self.keys)
        for draft in self.drafts:
            own = list(islice(keys, len(draft.questions)))
            if all(key in known for key in own):
                continue
            draw = Random(f"{setup.options.seed} prose {language} {length} {trial}")
            sample = setup.builder.build(draft, length, setup.haystack.sentences(language, draw))
            for key, asked in zip(own, sample.questions, strict=True):
                if key not in known:
                    yield _answer(setup, scaling, sample.prefix, asked, key, reading)


def _read_cost(setup: ProbeSetup, tokens: float) -> float:
    """Floating-point operations, roughly, for reading the first tokens of a text."""
    model, config = setup.engine.loaded, setup.engine.loaded.text_config
    return float(2 * model.parameters * tokens + 2 * config.num_hidden_layers * config.hidden_size * tokens**2)


def _answer(
    setup: ProbeSetup,
    scaling: RopeScaling | None,
    prefix: TokenIds,
    asked: SampleQuestion,
    key: ResultKey,
    reading: PrefillCallback | None,
) -> Result:
    began, question = time.monotonic(), asked.question
    options = GenerationOptions(asked.room, stop=tuple(setup.builder.template.stops))
    stored = len(prefix) if len(prefix) >= _LONG else 0
    stream = setup.engine.stream(prefix, asked.suffix, scaling, options, reading, stored=stored)
    answer = "".join(stream)
    return Result(
        **key._asdict(),
        depth=question.depth,
        score=share_found(answer, question.answers),
        answer=answer,
        expected=question.answers,
        read=stream.prompt_tokens - stream.reused_tokens,
        seconds=_since(began),
    )


def _since(start: float) -> float:
    return round(time.monotonic() - start, 3)


def plan_work(setup: ProbeSetup) -> tuple[list[Unit], list[NoRoom]]:
    """List the work, short lengths first; what several methods have in common is there once.

    Args:
        setup: What is measured.

    Returns:
        The units of work, and what cannot be measured for lack of room.

    Raises:
        BadRequest: If nothing can be measured.
    """
    options = setup.options
    groups = setup.groups()
    needs = {group: setup.needed(*group) for group in groups}
    units: list[Unit] = []
    no_room: list[NoRoom] = []
    for length in options.lengths:
        methods = dict.fromkeys(setup.effective_method(method, length) for method in options.methods)
        no_room += [
            NoRoom(task=task, language=group[1], length=length, needed=needs[group])
            for group in groups
            if needs[group] > length
            for task in group[0]
        ]
        units += [
            _unit(setup, tasks, language, method, length, trial)
            for tasks, language in groups
            if needs[tasks, language] <= length
            for method in methods
            for trial in range(options.windows if tasks == (PERPLEXITY,) else options.trials)
        ]
    if not units:
        least = min(no_room, key=lambda one: one.needed)
        raise BadRequest(
            f"no task has room at {', '.join(f'{length:,}' for length in options.lengths)} tokens: "
            f"{least.task} ({least.language}) takes at least {least.needed:,}; give longer lengths"
        )
    return units, no_room


def _unit(setup: ProbeSetup, tasks: Sequence[str], language: str, method: str, length: int, trial: int) -> Unit:
    """A trial of the tasks that are asked about the same text."""
    drafts = [setup.drafts(task, language, trial) for task in tasks]
    keys = [
        ResultKey(task, language, method, length, trial, number)
        for task, own in zip(tasks, drafts, strict=True)
        for number in range(sum(len(draft.questions) for draft in own) or 1)
    ]
    return Unit(keys, together(drafts))


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
    model: str | Path | LoadedModel | GgufEngine,
    out: str | Path,
    options: ProbeOptions | None = None,
    *,
    native_window: int | None = None,
    progress: ProbeCallback | None = None,
) -> ProbeReport:
    """Measure how well a model reads prompts of rising length under each scaling method.

    Results are kept as they come: a probe that was stopped goes on, also within a long text, and one with more lengths,
    methods, tasks or trials adds to what is there. Where it is interrupted, a report is written of what there is. A
    task and a length that no prompt fits are named in the report.

    Args:
        model: A checkpoint's folder, a hub name, a GGUF file, or a model that is open.
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
    store = _text_store(Path(out))
    setup = open_setup(model, options or ProbeOptions(), native_window, store)
    units, no_room = plan_work(setup)
    with open_results(Path(out), Result, "probe", {"format": FORMAT, **setup.fingerprint()}, repr) as results:
        complete = False
        try:
            _work(setup, units, results, store, progress)
            complete = True
            with suppress(OSError):  # there is none
                store.folder.rmdir()
        finally:
            report = summarize(setup, results.known.values(), no_room, complete=complete)
            write_report(report, Path(out))
            write_markdown(report, Path(out))
    return report


def _text_store(out: Path) -> PrefixStore:
    """The keys and values of a long text, so that a probe that is stopped in it goes on there.

    Args:
        out: The probe's folder.

    Returns:
        A store of half of what the disk has free; in the model's dtype, so that int8 changes no answer.
    """
    place = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    return PrefixStore(out / KV_CACHE_FOLDER, shutil.disk_usage(place).free // 2, "model")


def _work(
    setup: ProbeSetup,
    units: Sequence[Unit],
    results: Results[Result],
    store: PrefixStore,
    progress: ProbeCallback | None,
) -> None:
    """Measure what is missing; the rest is estimated to go on at the rate so far."""
    waiting = [unit for unit in units if any(key not in results.known for key in unit.keys)]
    total = len(results.known) + sum(key not in results.known for unit in waiting for key in unit.keys)
    left, spent, began = sum(unit.cost(setup) for unit in waiting), 0.0, time.monotonic()
    doing, read_cost = "", 0.0  # of the unit that is measured

    def tell(read: str = "") -> None:
        if progress is not None:
            done = spent + read_cost
            seconds = (left - read_cost) * (time.monotonic() - began) / done if done else None
            progress(ProbeProgress(len(results.known), total, seconds, doing + read))

    def tell_read(read: PrefillProgress) -> None:
        nonlocal read_cost
        read_cost = max(read_cost, _read_cost(setup, read.done))
        if read.done < read.total:
            tell(f", {read.done:,} read")

    for unit in waiting:
        tasks = dict.fromkeys(key.task for key in unit.keys)
        doing = f"{', '.join(tasks)}, {unit.key.method}, {unit.key.length:,} tokens"
        tell()
        setup.engine.forget()  # the texts of a unit begin alike, but not like those of the one before
        for result in unit.run(setup, results.known, tell_read):
            results.add(result)
            tell()
        store.clear()
        left, spent, read_cost = left - unit.cost(setup), spent + unit.cost(setup), 0.0
    doing = ""
    tell()
