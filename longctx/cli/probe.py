"""`longctx probe`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longctx.cli.options import (
    Cache,
    CacheOption,
    DeviceMapOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    QuantizationOption,
    TemplateOption,
    split_names,
    tokens_option,
)
from longctx.cli.output import INTERRUPTED
from longctx.cli.progress import line_each_tenth, progress_on_stderr
from longctx.cli.terminal import cell, echo, echo_json
from longctx.quantities import parse_tokens

if TYPE_CHECKING:
    from longctx.probe import ProbeProgress, ProbeReport, TaskTexts


def probe(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A checkpoint's folder, a GGUF file, or a hub name.")],
    methods: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,...", help="none, linear, ntk, dynamic-ntk, yarn, ... (default: none,yarn)"),
    ] = None,
    lengths: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N,...",
            help="Tokens with question and answer, the shortest to compare with (default: 1, 2, 4, 8 native windows)",
        ),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...",
            help="needle, reading, two-hop, multi-key, multi-value, variable-tracking, common-words, qa, perplexity, "
            "or all (default: needle,reading,two-hop,perplexity)",
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
    shared_text: Annotated[
        bool,
        typer.Option("--shared-text", help="Ask multi-key, reading, two-hop and others about one text, read once."),
    ] = False,
    template: TemplateOption = None,
    seed: Annotated[int, typer.Option(help="Another seed, other texts.")] = 0,
    window: Annotated[
        int | None, tokens_option("TOKENS", "The native window, where the model does not say it.")
    ] = None,
    quantization: QuantizationOption = None,
    dtype: DtypeOption = None,
    device: DeviceOption = None,
    device_map: DeviceMapOption = None,
    cache: CacheOption = None,
    json: JsonOption = False,
) -> None:
    """Measure how long a window a model really uses, under each scaling method.

    Results are kept as they come: stop it with Ctrl-C, and the same command goes on. Exit code: 130 when stopped.
    """
    from longctx.models import FASTEST, load_model
    from longctx.probe import ALL_TASKS, DEFAULT_TASKS, ProbeOptions, run_probe

    names = split_names(tasks)
    options = ProbeOptions(
        methods=split_names(methods),
        lengths=_numbers(split_names(lengths)),
        tasks=ALL_TASKS if names == ("all",) else names or DEFAULT_TASKS,
        languages=split_names(languages),
        text=text,
        trials=trials,
        depths=depths,
        windows=windows,
        seed=seed,
        factor=factor,
        needle=_needle(needle, question),
        template=template,
        shared_text=shared_text,
        cache_dtype="int8" if cache is Cache.int8 else "model",
    )
    try:
        with _progress() as progress:
            held = {"quantization": quantization and quantization.value, "dtype": dtype, "device": device}
            loading: dict[str, Any] = {
                name: value for name, value in {**held, "device_map": device_map}.items() if value is not None
            }
            loaded = load_model(model, **FASTEST | loading) if loading else model
            report = run_probe(loaded, out, options, native_window=window, progress=progress)
    except KeyboardInterrupt:
        echo(f"stopped: what was answered is kept in {out}, and the same command goes on from there", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if json:
        echo_json(report.model_dump_json(indent=1))
        return
    _print_report(report, out)


def _numbers(values: tuple[str, ...]) -> tuple[int, ...]:
    """Tokens as numbers, '32k' too. Raises BadParameter."""
    try:
        return tuple(map(parse_tokens, values))
    except ValueError:
        raise typer.BadParameter("give numbers of tokens, such as 4096,8k,32k", param_hint="--lengths") from None


def _needle(needle: str | None, question: str | None) -> TaskTexts | None:
    from longctx.probe import TaskTexts

    if (needle is None) != (question is None):
        raise typer.BadParameter("give both or none", param_hint="--needle and --question")
    return None if needle is None or question is None else TaskTexts(needle, question)


def _progress() -> AbstractContextManager[Callable[[ProbeProgress], None] | None]:
    """Show the progress of a probe, with its own estimate of the time left; elsewhere, a line for each tenth."""

    def bar(progress: ProbeProgress) -> dict[str, Any]:
        return {
            "description": progress.doing,
            "total": progress.total,
            "completed": progress.done,
            "count": f"{progress.done}/{progress.total}",
            "detail": _time_left(progress),
        }

    line = line_each_tenth(lambda now: f"[{now.done}/{now.total}] {_time_left(now)} {now.doing}")
    return progress_on_stderr(bar, line, begin="loading", shows_time_left=False)


def _time_left(now: ProbeProgress) -> str:
    if now.seconds_left is None or now.done == now.total:
        return ""
    return f"about {timedelta(seconds=round(now.seconds_left))} left"


def _print_report(report: ProbeReport, out: Path) -> None:
    """Draw the pictures if matplotlib is there, and print the tables."""
    from rich.console import Console
    from rich.table import Table

    from longctx.probe import draw_report, report_tables, write_markdown
    from rope_scaling import PlotUnavailable

    try:
        draw_report(report, out)
        write_markdown(report, out)
    except PlotUnavailable as missing:
        echo(f"no pictures: {missing}", err=True)
    console = Console()
    windows, *scores = report_tables(report)
    for table in (*scores, windows):
        drawn = Table(*map(cell, table.head))
        for row in table.rows:
            drawn.add_row(*map(cell, row))
        console.print(drawn)
        echo(table.note)
    echo(f"{out}: report.json, report.md and pictures")
