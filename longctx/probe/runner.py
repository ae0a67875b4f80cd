"""Running a probe: one unit of work after another, each result kept as it comes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from longctx.engine import KV_CACHE_FOLDER, PrefillProgress, PrefixStore
from longctx.gguf import GgufEngine
from longctx.models import LoadedModel
from longctx.probe.options import ProbeOptions
from longctx.probe.render import write_markdown
from longctx.probe.report import ProbeReport, write_report
from longctx.probe.results import FORMAT, Result
from longctx.probe.scoring import summarize
from longctx.probe.setup import ProbeSetup, open_setup
from longctx.probe.units import Unit, plan_work, read_cost
from longctx.result_file import Results, open_results


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


class _TimeLeft:
    """How long work of a certain cost takes from here on, at the rate so far."""

    def __init__(self, cost: float) -> None:
        self._left, self._spent, self._began = cost, 0.0, time.monotonic()
        self._kept: float | None = None  # of the unit that is measured: what an earlier run had read of its text
        self._read = 0.0  # and what this one has

    def read(self, cost: float) -> None:
        """Note what reading a unit's text has cost so far; first, what need not be read."""
        self._kept = cost if self._kept is None else self._kept
        self._read = max(self._read, cost - self._kept)

    def finish(self, cost: float) -> None:
        """Note that a unit of that cost is measured."""
        self._left, self._spent = self._left - cost, self._spent + cost - (self._kept or 0.0)
        self._kept, self._read = None, 0.0

    def seconds(self) -> float | None:
        """The time left in seconds; None until something has been read."""
        done = self._spent + self._read
        left = self._left - (self._kept or 0.0) - self._read
        return left * (time.monotonic() - self._began) / done if done else None


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
    time_left, doing = _TimeLeft(sum(unit.cost(setup) for unit in waiting)), ""

    def tell(read: str = "") -> None:
        if progress is not None:
            progress(ProbeProgress(len(results.known), total, time_left.seconds(), doing + read))

    def tell_read(read: PrefillProgress) -> None:
        time_left.read(read_cost(setup, read.done))
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
        time_left.finish(unit.cost(setup))
    doing = ""
    tell()
