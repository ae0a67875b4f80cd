"""A probe's report for people: tables, `report.md` and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longctx.errors import extra
from longctx.probe.report import PERPLEXITY, Cell, EffectiveWindow, ProbeReport
from longctx.result_file import write_result, write_result_text
from rope_scaling import PlotUnavailable

_FILE = "report.md"
_DPI = 80  # a picture of three panels takes 30 kB


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table of a report.

    Attributes:
        head: The columns' heads; the first one names the table.
        rows: The rows, as texts.
        note: A sentence or more about the table.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str


def report_tables(report: ProbeReport) -> list[ReportTable]:
    """Put a report into tables: the effective windows, and the scores of each task and language.

    Args:
        report: The report.

    Returns:
        The tables, the effective windows first.
    """
    known = {(found.method, found.task): found for found in report.windows}
    rows = [
        ("all but perplexity" if task is None else task, *(_window_text(known.get((m, task))) for m in report.methods))
        for task in dict.fromkeys(found.task for found in report.windows)
    ]
    note = (
        "The longest length, in tokens, up to which the score of every task stays within "
        f"{report.threshold:.0%} of that at its shortest length."
    )
    weak: dict[tuple[str, str, str], list[str]] = {}
    for each in report.not_decisive:
        weak.setdefault((each.task, each.language, each.reason), []).append(each.method)
    notes = (
        f" Not decisive: {task} ({language}; {', '.join(methods)}): {reason}."
        for (task, language, reason), methods in weak.items()
    )
    groups = dict.fromkeys((cell.task, cell.language) for cell in report.cells)
    groups |= dict.fromkeys((each.task, each.language) for each in report.no_room)
    scores = [_scores(report, task, language) for task, language in groups]
    return [ReportTable(("effective window", *report.methods), rows, note + "".join(notes)), *scores]


def write_markdown(report: ProbeReport, folder: Path) -> None:
    """Write `report.md`, with the pictures that are in the folder.

    Args:
        report: The report.
        folder: The folder that the probe wrote to.

    Raises:
        BadRequest: If it cannot be written.
    """
    parts = [f"# Probe of {report.model.name}", _facts(report)]
    for table in report_tables(report):
        lines = [table.head, ("---", *("---:" for _ in table.head[1:])), *table.rows]
        parts += [
            f"## {table.head[0].capitalize()}",
            "\n".join(f"| {' | '.join(line)} |" for line in lines),
            table.note,
        ]
    parts += [f"![{picture.name}]({picture.name})" for picture in sorted(folder.glob("*.png"))]
    write_result_text(folder / _FILE, "\n\n".join(parts) + "\n")


def _facts(report: ProbeReport) -> str:
    facts = [
        f"native window {report.model.native_window:,} tokens",
        f"text: {report.text.name or 'generated'}",
        f"prompts of `ask`, template {report.template}",
        f"seed {report.seed}",
    ]
    facts += [f"factor {report.factor:g}"] if report.factor else []
    facts += [f"scaling of its own: `{report.model.carried}`"] if report.model.carried else []
    stopped = "" if report.complete else "\n\n**Stopped before its end: run the same command again to finish.**"
    return "; ".join(facts) + f". Intervals are at 95 %; longctx {report.longctx}." + stopped


def _window_text(found: EffectiveWindow | None) -> str:
    if found is None:
        return "–"
    if found.tokens is None:
        return "not decisive"
    return f"at least {found.tokens:,}" if found.tokens == found.measured else f"{found.tokens:,}"


def _scores(report: ProbeReport, task: str, language: str) -> ReportTable:
    """The scores of a task, a row for each method."""
    cells = {(method, cell.length): cell for method in report.methods for cell in report.select(task, method, language)}
    no_room = {each.length: each.needed for each in report.no_room if (each.task, each.language) == (task, language)}
    lengths = sorted({length for _, length in cells} | no_room.keys())
    missing = {length: "no room" for length in no_room}
    rows = [
        (method, *(_score_text(cells.get((method, length)), missing.get(length, "–")) for length in lengths))
        for method in report.methods
    ]
    unit = f"windows of {report.scored_tokens} tokens" if task == PERPLEXITY else "questions"
    counts = [cell.trials for cell in cells.values()]
    trials = sorted({min(counts), max(counts)}) if counts else []
    notes = [f"{' to '.join(map(str, trials))} {unit} in each cell."] if trials else []
    if no_room:
        short = ", ".join(f"{length:,}" for length in sorted(no_room))
        notes.append(f"No room at {short} tokens: a prompt takes at least {min(no_room.values()):,}.")
    return ReportTable((f"{task} ({language})", *(f"{length:,}" for length in lengths)), rows, " ".join(notes))


def _score_text(cell: Cell | None, missing: str) -> str:
    if cell is None:
        return missing
    digits = 1 if cell.task == PERPLEXITY else 2
    return f"{cell.score:.{digits}f} ({cell.low:.{digits}f}–{cell.high:.{digits}f})"


def draw_report(report: ProbeReport, folder: Path) -> list[Path]:
    """Draw `heatmap-TASK-LANGUAGE.png`, `scores.png` and `perplexity.png`, as far as there are results for them.

    Args:
        report: The report.
        folder: Where the pictures go.

    Returns:
        The pictures' files.

    Raises:
        PlotUnavailable: Without matplotlib.
        BadRequest: If they cannot be written.
    """
    cells = report.cells
    figures = {
        f"heatmap-{task}-{language}": _heatmaps(report, task, language)
        for task, language in dict.fromkeys((cell.task, cell.language) for cell in cells if cell.depth is not None)
    }
    if groups := list(dict.fromkeys((cell.task, cell.language) for cell in cells if cell.task != PERPLEXITY)):
        figures["scores"] = _score_curves(report, groups)
    if any(cell.task == PERPLEXITY for cell in cells):
        figures["perplexity"] = _perplexity_curves(report)
    return [_save(figure, folder / f"{name}.png") for name, figure in figures.items()]


def _heatmaps(report: ProbeReport, task: str, language: str) -> Any:
    """Score over length and depth, a panel for each method."""
    cells = [cell for cell in report.cells if (cell.task, cell.language) == (task, language) and cell.depth is not None]
    lengths = sorted({cell.length for cell in cells})
    depths = sorted({cell.depth for cell in cells if cell.depth is not None})
    figure, panels = _figure(len(report.methods), 1.2 + 2.6 * len(report.methods), 2.8)
    for panel, method in zip(panels, report.methods, strict=True):
        scores = {(cell.depth, cell.length): cell.score for cell in cells if cell.method == method}
        grid = [[scores.get((depth, length), float("nan")) for length in lengths] for depth in depths]
        image = panel.imshow(grid, vmin=0, vmax=1, cmap="viridis", aspect="auto")
        panel.set(title=_label(report, method), xlabel="tokens")
        panel.set_xticks(range(len(lengths)), [f"{length:,}" for length in lengths], rotation=45)
        panel.set_yticks(range(len(depths)), [f"{depth:.0%}" for depth in depths])
    panels[0].set_ylabel("depth of the needle" if task == "needle" else "depth of the answer")
    figure.colorbar(image, ax=list(panels), label="found")
    return figure


def _score_curves(report: ProbeReport, groups: Sequence[tuple[str, str]]) -> Any:
    """Score against length, a panel for each task and language."""
    figure, panels = _figure(len(groups), 0.8 + 3.2 * len(groups), 3.0)
    for panel, (task, language) in zip(panels, groups, strict=True):
        _curves(panel, report, task, language)
        panel.set(title=f"{task} ({language})", ylim=(-0.03, 1.03))
    panels[0].set_ylabel("score")
    panels[0].legend()
    return figure


def _perplexity_curves(report: ProbeReport) -> Any:
    """Perplexity against length, both logarithmic."""
    figure, (panel,) = _figure(1, 5.6, 3.2)
    from matplotlib.ticker import LogLocator

    _curves(panel, report, PERPLEXITY, None)
    panel.set_yscale("log", subs=())
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # so that some are marked in less than a decade, too
    panel.yaxis.set_major_formatter("{x:g}")
    panel.set(ylabel=f"perplexity of {report.scored_tokens} tokens")
    panel.legend()
    return figure


def _figure(panels: int, width: float, height: float) -> tuple[Any, Any]:
    """A figure with panels side by side."""
    try:
        from matplotlib.figure import Figure  # the object interface: no display, no global state
    except ImportError as error:
        raise PlotUnavailable(f"drawing needs matplotlib, from {extra('plot')}") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, panels, squeeze=False)[0]


def _curves(panel: Any, report: ProbeReport, task: str, language: str | None) -> None:
    """A line for each method over the logarithm of the length, 95 % intervals shaded."""
    for method in report.methods:
        cells = report.select(task, method, language)
        lengths = [cell.length for cell in cells]
        (line,) = panel.plot(
            lengths, [cell.score for cell in cells], marker="o", markersize=3, label=_label(report, method)
        )
        low, high = [cell.low for cell in cells], [cell.high for cell in cells]
        panel.fill_between(lengths, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
    lengths = sorted({cell.length for cell in report.cells})
    panel.set_xscale("log", base=2)
    panel.set_xticks(lengths, [f"{length:,}" for length in lengths], rotation=45)
    if lengths[0] <= report.model.native_window <= lengths[-1]:
        panel.axvline(report.model.native_window, color="grey", linestyle=":", linewidth=1)
    panel.set_xlabel("tokens")


def _label(report: ProbeReport, method: str) -> str:
    return "no scaling" if method == "none" and report.model.carried is None else method


def _save(figure: Any, file: Path) -> Path:
    same_bytes = {"Software": None}  # for the same report
    write_result(file, lambda new: figure.savefig(new, dpi=_DPI, format="png", metadata=same_bytes))
    return file
