"""Pictures of a report: a heatmap for each task with depths, and curves. matplotlib is imported only to draw one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longctx.errors import extra
from longctx.probe.report import PERPLEXITY, Cell, ProbeReport
from rope_scaling import PlotUnavailable

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
        drawn.append(_scores(report, list(shallow), folder / "scores.png"))
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


def _scores(report: ProbeReport, groups: list[tuple[str, str]], file: Path) -> Path:
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
    figure.savefig(file, dpi=_DPI, metadata={"Software": None})  # the same report, the same bytes
    return file
