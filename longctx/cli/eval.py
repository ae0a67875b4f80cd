"""`longctx eval`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longctx.cli.answer_texts import answer_texts
from longctx.cli.opening import open_qa
from longctx.cli.options import AskFlags, JsonOption, split_names, with_flags
from longctx.cli.output import INTERRUPTED, short_path
from longctx.cli.progress import line_each_tenth, progress_on_stderr
from longctx.cli.terminal import cell, echo, echo_json, secho

if TYPE_CHECKING:
    from longctx.evaluation import EvaluationOptions, EvaluationProgress, EvaluationReport
    from longctx.qa import DocumentQA
    from longctx.settings import Settings

_NAMES_WIDTH, _COLUMN_WIDTH = 22, 14  # of a table, in characters
_MODEL_SETTINGS = ("window", "adapter", "quantization", "dtype", "report", "template", "encoder", "reranker")


def _compared(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=text)


@with_flags(AskFlags)
def evaluate_questions(
    questions: Annotated[
        Path,
        typer.Argument(
            metavar="QUESTIONS.jsonl",
            help='JSON Lines: {"question": "…", "answers": ["…"], "source": "docs/guide.md"}; all but the question may '
            "be left out, and an empty list of answers asks for a refusal.",
        ),
    ],
    flags: AskFlags,
    models: Annotated[
        list[str] | None, _compared("A,B", "Compare models; 'none' quotes sentences (default: --model)")
    ] = None,
    scalings: Annotated[list[str] | None, _compared("none,yarn", "Compare RoPE scalings (default: --scaling)")] = None,
    routes: Annotated[list[str] | None, _compared("native,retrieval", "Compare routes (default: --route)")] = None,
    modes: Annotated[
        list[str] | None, _compared("hybrid,dense,lexical", "Compare ways to search (default: --mode)")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keep the answers and write a page with all of them; the same command goes on."
        ),
    ] = None,
    make: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Draft N questions from the index and write them to QUESTIONS.jsonl."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure answers on your own questions: how many are found, held, cited and correctly refused.

    Exit code: 0 every question was asked, 1 it stopped before or no question has an answer, 130 interrupted.
    """
    from indexes import CorpusIndex
    from longctx.evaluation import evaluate, read_questions

    settings = flags.settings()
    if make is not None:
        _make(settings, questions, make, flags.seed or 0)
        return
    asked = read_questions(questions)
    options = _options(flags, settings, {"models": models, "scalings": scalings, "routes": routes, "modes": modes})

    def open_with(model: str | None, scaling: str | None) -> DocumentQA:
        return open_qa(settings.model_copy(update={"model": model, "scaling": scaling}))

    with CorpusIndex.open(settings.index, settings.encoder, create=False) as index, _progress() as progress:
        report = evaluate(index, asked, open_with, options, out=out, progress=progress)
    echo_json(report.to_json()) if json else _print_report(report, out)
    sys.exit(_say_how_it_ended(report, out))


def _make(settings: Settings, path: Path, count: int, seed: int) -> None:
    from indexes import CorpusIndex
    from longctx.errors import BadRequest
    from longctx.evaluation import draft_questions, write_questions

    if os.path.lexists(path):
        raise BadRequest(f"{path} exists already: give another name, or move it away")
    with CorpusIndex.open(settings.index, settings.encoder, create=False) as index:
        drafts = draft_questions(index, count, seed)
    if not drafts:
        raise BadRequest(f"no sentence in {index.name} can be made into a question: write them by hand")
    write_questions([replace(each, source=short_path(each.source or "")) for each in drafts], path)
    fewer = "" if len(drafts) == count else f" of {count}, since there are no more such sentences"
    echo(f"{path}: {len(drafts)} questions{fewer}. They are drafts: edit them before you trust a figure.")


def _options(flags: AskFlags, settings: Settings, given: dict[str, list[str] | None]) -> EvaluationOptions:
    """What is compared; the single flag is the default of each list."""
    from longctx.evaluation import EvaluationOptions

    names = {name: split_names(values) for name, values in given.items()}
    without = {name: tuple(None if each == "none" else each for each in names[name]) for name in ("models", "scalings")}
    held = {name: str(value) for name in _MODEL_SETTINGS if (value := getattr(settings, name)) is not None}
    return EvaluationOptions(
        models=without["models"] or (settings.model,),
        scalings=without["scalings"] or (settings.scaling,),
        routes=names["routes"] or (settings.route,),
        modes=names["modes"] or (flags.search_mode,),
        ask=flags.options(settings),
        depends_on=held,
    )


def _progress() -> AbstractContextManager[Callable[[EvaluationProgress], None] | None]:
    """Show the progress of an evaluation; without a terminal, as a line for each tenth."""

    def bar(progress: EvaluationProgress) -> dict[str, Any]:
        return {
            "description": "asking" if progress.doing else "done",
            "total": progress.total,
            "completed": progress.done,
            "count": f"{progress.done:,}/{progress.total:,}",
            "detail": progress.doing[:60],
        }

    line = line_each_tenth(lambda progress: f"[{progress.done}/{progress.total}] {progress.doing}")
    return progress_on_stderr(bar, line, begin="opening the index")


def _print_report(report: EvaluationReport, out: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from longctx.evaluation import how_judged, report_tables

    console = Console()
    for rows in report_tables(report, max(1, (console.width - _NAMES_WIDTH) // _COLUMN_WIDTH)):
        table = Table(show_header=False)
        for row in rows:
            table.add_row(*map(cell, row))
        console.print(table)
    if judged := how_judged(report):
        echo(judged)
    if out is not None:
        echo(f"{out}: results.jsonl, summary.json and report.html")


def _say_how_it_ended(report: EvaluationReport, out: Path | None) -> int:
    """Report the outcome on standard error; returns the exit code."""
    from longctx.evaluation import INTERRUPTED as STOPPED_BY_USER

    if report.note:
        echo(report.note, err=True)
    if all(each.model is None for each in report.combinations):
        secho(answer_texts("").no_model, err=True, dim=True)
    if report.stopped:
        done = f"{len(report.records)} of {report.total} answers"
        kept = f"{done} are kept in {out}, and the same command goes on from there"
        lost = f"{done} are in the table; with --out DIR they are kept, and the same command goes on"
        echo(f"stopped: {report.stopped}: {lost if out is None else kept}", err=True)
        return INTERRUPTED if report.stopped == STOPPED_BY_USER else 1
    return 1 if all(record.error for record in report.records.values()) else 0
