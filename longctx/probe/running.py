"""`run_probe`: let a model answer, keep what it answers, and write the report. Knows the order of things."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from longctx.models import LoadedModel
from longctx.probe.bench import Bench, open_bench
from longctx.probe.markdown import write_markdown
from longctx.probe.options import ProbeOptions
from longctx.probe.report import ProbeReport, write_report
from longctx.probe.results import Results, open_results
from longctx.probe.summary import summarize
from longctx.probe.work import Unit, units


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
    bench = open_bench(model, options or ProbeOptions(), native_window)
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


def _work(bench: Bench, results: Results, progress: ProbeCallback | None) -> None:
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

    def __init__(self, bench: Bench, results: Results, waiting: list[Unit], progress: ProbeCallback | None) -> None:
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
