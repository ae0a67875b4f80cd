"""The report as a page for people: `report.md`. Knows a report; knows no model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from longctx.probe.report import PERPLEXITY, Cell, ProbeReport, Reach, replace_text

_FILE = "report.md"


def write_markdown(report: ProbeReport, folder: Path) -> None:
    """Write `report.md` into a folder, with whatever pictures are there."""
    replace_text(folder / _FILE, markdown(report, sorted(picture.name for picture in folder.glob("*.png"))))


def markdown(report: ProbeReport, pictures: Sequence[str] = ()) -> str:
    """The report as Markdown."""
    parts = [
        f"# Probe of {report.model.name}",
        _facts(report),
        "## Effective windows",
        f"The longest length, in tokens, whose score stays within {report.threshold:.0%} of that at the native window.",
        _table(("task", *report.methods), _reach_rows(report)),
    ]
    groups = dict.fromkeys((cell.task, cell.language) for cell in report.cells)
    for task, language in groups:
        parts += [f"## {task}" + ("" if language == "en" else f" ({language})"), _scores(report, task, language)]
    parts += [f"![{picture}]({picture})" for picture in pictures]
    return "\n\n".join(parts) + "\n"


def reach_text(reach: Reach | None) -> str:
    """An effective window in words: '8,192', or 'all of 8,192' where the longest length measured was reached."""
    if reach is None:
        return "–"
    if reach.tokens is None:
        return "not shown"
    return f"at least {reach.tokens:,}" if reach.tokens == reach.measured else f"{reach.tokens:,}"


def score_text(cell: Cell | None) -> str:
    """A score with its interval: '0.95 (0.84–0.99)'."""
    if cell is None:
        return "–"
    digits = 1 if cell.task == PERPLEXITY else 2
    return f"{cell.score:.{digits}f} ({cell.low:.{digits}f}–{cell.high:.{digits}f})"


def _facts(report: ProbeReport) -> str:
    text = report.text.name or "made up"
    facts = [
        f"native window {report.model.native_window:,} tokens",
        f"text: {text}",
        f"prompts: {report.prompt}",
        f"seed {report.seed}",
    ]
    facts += [f"factor {report.factor:g}"] if report.factor else []
    facts += [f"scaling of its own: `{report.model.carried}`"] if report.model.carried else []
    stopped = "" if report.complete else "\n\n**Stopped before its end: run the same command again to finish.**"
    return "; ".join(facts) + f". Intervals are at 95 %; longctx {report.longctx}." + stopped


def _reach_rows(report: ProbeReport) -> Iterable[Sequence[str]]:
    known = {(reach.method, reach.task): reach for reach in report.windows}
    for task in dict.fromkeys(reach.task for reach in report.windows):
        name = "**all but perplexity**" if task is None else task
        yield name, *(reach_text(known.get((method, task))) for method in report.methods)


def _scores(report: ProbeReport, task: str, language: str) -> str:
    rows = {method: {cell.length: cell for cell in report.select(task, method, language)} for method in report.methods}
    lengths = sorted({length for cells in rows.values() for length in cells})
    trials = sorted({cell.trials for cells in rows.values() for cell in cells.values()})
    unit = "windows" if task == PERPLEXITY else "questions"
    counted = f"{trials[0]}" if len(trials) == 1 else f"{trials[0]} to {trials[-1]}"
    table = _table(
        ("tokens", *(f"{length:,}" for length in lengths)),
        ((method, *(score_text(cells.get(length)) for length in lengths)) for method, cells in rows.items()),
    )
    scored = f" of {report.scored_tokens} tokens each" if task == PERPLEXITY else ""
    return f"{table}\n\n{counted} {unit}{scored} in each cell."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
