"""A probe's report as Markdown and as pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from longctx.atomic_write import write_atomically
from longctx.errors import extra
from longctx.probe.report import PERPLEXITY, Cell, ProbeReport, Reach
from rope_scaling import PlotUnavailable

_FILE = "report.md"


def write_markdown(report: ProbeReport, folder: Path) -> None:
    """Write `report.md` into a folder, with whatever pictures are there."""
    text = markdown(report, sorted(picture.name for picture in folder.glob("*.png")))
    write_atomically(folder / _FILE, lambda new: new.write_text(text, encoding="utf-8"))


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


_DPI = 80  # a picture of three panels takes 30 kB


def draw_report(report: ProbeReport, folder: Path) -> list[Path]:
    """Draw `heatmap-TASK-LANGUAGE.png`, `scores.png` and `perplexity.png`, as far as there are results for them.

    Raises PlotUnavailable without matplotlib.
    """
    drawn = []
    deep = dict.fromkeys((cell.task, cell.language) for cell in report.cells if cell.depth is not None)
    for task, language in deep:
        drawn.append(_heatmaps(report, task, language, folder / f"heatmap-{task}-{language}.png"))
    shallow = dict.fromkeys((cell.task, cell.language) for cell in report.cells if cell.task != PERPLEXITY)
    if shallow:
        drawn.append(_draw_scores(report, list(shallow), folder / "scores.png"))
    if any(cell.task == PERPLEXITY for cell in report.cells):
        drawn.append(_perplexity(report, folder / "perplexity.png"))
    return drawn


def _figure(panels: int, width: float, height: float) -> tuple[Any, Any]:
    """A figure with panels side by side."""
    try:
        from matplotlib.figure import Figure  # the object interface: no display, no global state
    except ImportError as error:
        raise PlotUnavailable(f"drawing needs matplotlib, from {extra('plot')}") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, panels, squeeze=False)[0]


def _heatmaps(report: ProbeReport, task: str, language: str, file: Path) -> Path:
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
    panels[0].set_ylabel("depth of the needle")
    figure.colorbar(image, ax=list(panels), label="found")
    return _save(figure, file)


def _draw_scores(report: ProbeReport, groups: list[tuple[str, str]], file: Path) -> Path:
    """Score against length, a panel for each task and language, a line for each method, 95 % intervals shaded."""
    figure, panels = _figure(len(groups), 0.8 + 3.2 * len(groups), 3.0)
    for panel, (task, language) in zip(panels, groups, strict=True):
        for method in report.methods:
            _curve(panel, report.select(task, method, language), _label(report, method))
        panel.set(title=f"{task} ({language})", ylim=(-0.03, 1.03))
        _length_axis(panel, report)
    panels[0].set_ylabel("score")
    panels[0].legend()
    return _save(figure, file)


def _perplexity(report: ProbeReport, file: Path) -> Path:
    """Perplexity against length, both logarithmic."""
    from matplotlib.ticker import LogLocator

    figure, (panel,) = _figure(1, 5.6, 3.2)
    for method in report.methods:
        _curve(panel, report.select(PERPLEXITY, method), _label(report, method))
    panel.set_yscale("log", subs=())
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # so that some are marked in less than a decade, too
    panel.yaxis.set_major_formatter("{x:g}")
    panel.set(ylabel=f"perplexity of {report.scored_tokens} tokens")
    _length_axis(panel, report)
    panel.legend()
    return _save(figure, file)


def _curve(panel: Any, cells: list[Cell], label: str) -> None:
    lengths = [cell.length for cell in cells]
    (line,) = panel.plot(lengths, [cell.score for cell in cells], marker="o", markersize=3, label=label)
    low, high = [cell.low for cell in cells], [cell.high for cell in cells]
    panel.fill_between(lengths, low, high, color=line.get_color(), alpha=0.12, linewidth=0)


def _length_axis(panel: Any, report: ProbeReport) -> None:
    lengths = sorted({cell.length for cell in report.cells})
    panel.set_xscale("log", base=2)
    panel.set_xticks(lengths, [f"{length:,}" for length in lengths], rotation=45)
    panel.axvline(report.model.native_window, color="grey", linestyle=":", linewidth=1)
    panel.set_xlabel("tokens")


def _label(report: ProbeReport, method: str) -> str:
    return "no scaling" if method == "none" and report.model.carried is None else method


def _save(figure: Any, file: Path) -> Path:
    same_bytes = {"Software": None}  # for the same report
    write_atomically(file, lambda new: figure.savefig(new, dpi=_DPI, format="png", metadata=same_bytes))
    return file
