"""`longctx probe`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longctx.cli.options import JsonOption
from longctx.cli.output import INTERRUPTED
from longctx.cli.progress import progress_on_stderr

if TYPE_CHECKING:
    from longctx.probe import ProbeProgress, ProbeReport, TaskTexts


def probe(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A checkpoint's folder, or a hub name.")],
    methods: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,...", help="none, linear, ntk, dynamic-ntk, yarn, ... (default: none,yarn)"),
    ] = None,
    lengths: Annotated[
        list[str] | None,
        typer.Option(metavar="N,...", help="Tokens with question and answer (default: 1, 2, 4, 8 native windows)"),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...",
            help="needle, multi-key, multi-value, variable-tracking, common-words, qa, perplexity, or all "
            "(default: needle,perplexity)",
        ),
    ] = None,
    text: Annotated[Path | None, typer.Option(metavar="FILE", help="The haystack (default: prose made up)")] = None,
    languages: Annotated[
        list[str] | None, typer.Option(metavar="en,ja", help="The language of the needles (default: the text's)")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results and report go.")] = Path("probe"),
    trials: Annotated[int, typer.Option(min=1, help="Texts in each cell.")] = 5,
    depths: Annotated[int, typer.Option(min=2, help="Places of a text where a needle is put.")] = 5,
    windows: Annotated[int, typer.Option(min=2, help="Windows that perplexity is the mean of.")] = 16,
    factor: Annotated[
        float | None, typer.Option(metavar="S", help="One factor for all lengths (default: the length's own)")
    ] = None,
    needle: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A needle of your own, with {value} for its number.")
    ] = None,
    question: Annotated[str | None, typer.Option(metavar="TEXT", help="The question that asks for it.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Leave the model's chat template aside.")] = False,
    seed: Annotated[int, typer.Option(help="Another seed, other texts.")] = 0,
    window: Annotated[
        int | None, typer.Option(min=1, metavar="TOKENS", help="The native window, where the model does not say it.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure how long a window a model really uses, under each scaling method.

    Results are kept as they come: stop it with Ctrl-C, and the same command goes on. Exit code: 130 when stopped.
    """
    from longctx.probe import ALL_TASKS, DEFAULT_TASKS, ProbeOptions, run_probe

    names = _split(tasks)
    options = ProbeOptions(
        methods=_split(methods),
        lengths=_numbers(_split(lengths)),
        tasks=ALL_TASKS if names == ("all",) else names or DEFAULT_TASKS,
        languages=_split(languages),
        text=text,
        trials=trials,
        depths=depths,
        windows=windows,
        seed=seed,
        factor=factor,
        needle=_wording(needle, question),
        style="plain" if plain else "auto",
    )
    try:
        with _progress() as progress:
            report = run_probe(model, out, options, native_window=window, progress=progress)
    except KeyboardInterrupt:
        typer.echo(f"stopped: what was answered is kept in {out}, and the same command goes on from there", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if json:
        typer.echo(report.model_dump_json(indent=1))
        return
    _draw(report, out)
    _print_report(report, out)


def _split(values: list[str] | None) -> tuple[str, ...]:
    """The names in options that were given several times, or once with commas."""
    return tuple(name.strip() for value in values or () for name in value.split(",") if name.strip())


def _numbers(values: tuple[str, ...]) -> tuple[int, ...]:
    """Tokens as numbers, '32k' too. Raises BadParameter."""
    try:
        return tuple(int(value[:-1]) * 1024 if value[-1] in "kK" else int(value) for value in values)
    except ValueError:
        raise typer.BadParameter("give numbers of tokens, such as 4096,8k,32k", param_hint="--lengths") from None


def _wording(needle: str | None, question: str | None) -> TaskTexts | None:
    from longctx.probe import TaskTexts

    if (needle is None) != (question is None):
        raise typer.BadParameter("give both or none", param_hint="--needle and --question")
    if needle is None or question is None:
        return None
    return TaskTexts(needle, question, needle.partition("{value}")[0].rstrip())


def _progress() -> AbstractContextManager[Callable[[ProbeProgress], None] | None]:
    """Show the progress of a probe, with its own estimate of the time left; elsewhere, a line for each tenth."""
    told = -1

    def bar(progress: ProbeProgress) -> dict[str, Any]:
        return {
            "description": progress.doing,
            "total": progress.total,
            "completed": progress.done,
            "count": f"{progress.done}/{progress.total}",
            "detail": _left(progress),
        }

    def line(progress: ProbeProgress) -> str | None:
        nonlocal told
        before, told = told, max(told, 10 * progress.done // max(progress.total, 1))
        is_due = told > before
        return f"[{progress.done}/{progress.total}] {_left(progress)} {progress.doing}".rstrip() if is_due else None

    return progress_on_stderr(bar, line, begin="loading", shows_time_left=False)


def _left(progress: ProbeProgress) -> str:
    if progress.seconds_left is None or progress.done == progress.total:
        return ""
    minutes, seconds = divmod(round(progress.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    return f"about {hours}:{minutes:02}:{seconds:02} left"


def _draw(report: ProbeReport, out: Path) -> None:
    """Draw pictures if matplotlib is there, and say so if it is not."""
    from longctx.probe import draw_report, write_markdown
    from rope_scaling import PlotUnavailable

    try:
        draw_report(report, out)
        write_markdown(report, out)
    except PlotUnavailable as missing:
        typer.echo(f"no pictures: {missing}", err=True)


def _print_report(report: ProbeReport, out: Path) -> None:
    """Print the scores of each task, and the effective windows."""
    from rich.console import Console
    from rich.table import Table

    from longctx.probe import reach_text, score_text

    console = Console()
    for task, language in dict.fromkeys((cell.task, cell.language) for cell in report.cells):
        rows = {
            method: {cell.length: cell for cell in report.select(task, method, language)} for method in report.methods
        }
        lengths = sorted({length for cells in rows.values() for length in cells})
        table = Table(f"{task} ({language})", *(f"{length:,}" for length in lengths))
        for method, cells in rows.items():
            table.add_row(method, *(score_text(cells.get(length)) for length in lengths))
        console.print(table)
    windows = Table("effective window", *report.methods)
    known = {(reach.method, reach.task): reach for reach in report.windows}
    for name in dict.fromkeys(reach.task for reach in report.windows):
        found = (reach_text(known.get((method, name))) for method in report.methods)
        windows.add_row(name or "all but perplexity", *found)
    console.print(windows)
    typer.echo(f"{out}: report.json, report.md and pictures")
