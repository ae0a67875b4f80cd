"""What the commands share: how they print, and the options that several of them take."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

    from indexes import Chunk, IngestProgress, SearchFilter
    from longctx.requests import Progress
    from longctx.types import Answer, Citation, Plan, Share


class Quantized(str, Enum):
    """How weights are kept."""

    four = "4bit"
    eight = "8bit"


IndexOption = Annotated[
    Path | None,
    typer.Option("--index", metavar="DIR", help="The index's folder (default: .longctx)", show_default=False),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="NAME",
        help="The encoder: 'default', a sentence-transformers folder, or a hub name.",
    ),
]
RerankerOption = Annotated[
    str | None,
    typer.Option(
        "--reranker",
        metavar="PATH_OR_HUB_ID",
        help="A sentence-transformers CrossEncoder that puts the best candidates into its own order.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="PATH_OR_HUB_ID",
        help="A causal language model, or openai:http://host:port/v1#name for one on a server; without one, "
        "sentences are quoted.",
    ),
]
WindowOption = Annotated[
    int | None,
    typer.Option(
        "--window",
        min=1,
        metavar="TOKENS",
        help="The model's native window (default: what the model or server says).",
    ),
]
AdapterOption = Annotated[
    str | None,
    typer.Option("--adapter", metavar="PATH_OR_HUB_ID", help="A LoRA adapter that goes onto the model."),
]
QuantizationOption = Annotated[
    Quantized | None, typer.Option("--quantization", help="Keep the model's weights in so many bits.")
]
DtypeOption = Annotated[
    str | None,
    typer.Option(
        "--dtype", metavar="DTYPE", help="float32, bfloat16 or float16 (default: auto, the checkpoint's own)."
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, ... (default: auto, a GPU if there is one)."),
]
ScalingOption = Annotated[
    str | None,
    typer.Option(
        "--scaling", metavar="METHOD", help="Take the model past its native window, by 'yarn' or another method."
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="DIR", help="Use no window beyond what 'longctx probe --out DIR' has shown to work."
    ),
]
RouteOption = Annotated[
    str | None,
    typer.Option(
        "--route", metavar="ROUTE", help="auto, native, extended, retrieval or self (default: auto; see the guide)."
    ),
]
TemplateOption = Annotated[
    str | None,
    typer.Option(
        "--template",
        metavar="NAME",
        help="How prompts are written: llama-2, code-llama, elyza, chat, plain (default: what fits the model).",
    ),
]
PassagesOption = Annotated[int | None, typer.Option("-k", min=1, help="How many passages to look for (default: 8)")]
NewTokensOption = Annotated[int | None, typer.Option(min=1, help="The longest answer, in tokens (default: 256)")]
SourceOption = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="PATH", help="Only this file, folder or pattern ('*.pdf'); repeat it for more."),
]
TitleOption = Annotated[
    list[str] | None,
    typer.Option("--title", metavar="TITLE", help="Only documents of this title or pattern; repeat it for more."),
]
MetadataOption = Annotated[
    list[str] | None,
    typer.Option("--metadata", metavar="NAME=VALUE", help="Only documents whose metadata have this; all of them hold."),
]
AfterOption = Annotated[
    str | None, typer.Option("--after", metavar="DATE", help="Only files last written on this day (UTC) or later.")
]
BeforeOption = Annotated[
    str | None, typer.Option("--before", metavar="DATE", help="Only files last written before this day (UTC).")
]
ExpandOption = Annotated[
    int, typer.Option("--expand", min=0, help="Widen each passage by so many neighbours on either side.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait while another process is writing to the index.")]

NO_MODEL = "No model was given: the answer quotes the documents. Give one with --model PATH_OR_HUB_ID."


def search_filter(
    source: list[str] | None,
    title: list[str] | None,
    metadata: list[str] | None,
    after: str | None,
    before: str | None,
) -> SearchFilter | None:
    """The filter that the flags ask for; None if they ask for none. Raises BadParameter, CorpusError."""
    from indexes import SearchFilter

    pairs = [entry.partition("=") for entry in metadata or []]
    if odd := [name for name, equals, _ in pairs if not (name and equals)]:
        raise typer.BadParameter(f"{odd[0]!r}: write NAME=VALUE", param_hint="--metadata")
    if not (source or title or pairs or after or before):
        return None
    return SearchFilter(
        tuple(source or ()), tuple(title or ()), {name: value for name, _, value in pairs}, after, before
    )


def print_json(value: Any) -> None:
    """A dataclass, a mapping or a list as JSON on standard output, in readable Japanese."""
    if isinstance(value, list):
        plain: Any = [asdict(item) for item in value]
    else:
        plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    typer.echo(json.dumps(plain, ensure_ascii=False, indent=2, default=dict))  # Metadata is a mapping, but no dict


_KINDS = {
    "system": "system prompt",
    "document": "document",
    "turn": "turn",
    "question": "question",
    "answer": "room for the answer",
    "free": "not used",
    "found": "found, but no room",
    "documents": "",
}


def print_sources(answer: Answer) -> None:
    """Where an answer comes from; what was in the prompt, if a model names none: it may have used any."""
    shown = answer.citations or answer.passages
    if shown:
        typer.secho("\nSources" if answer.citations else "\nPassages in the prompt", bold=True)
    for citation in shown:
        typer.echo(f"[{citation.number}] {place(citation)}")


def print_plan(plan: Plan) -> None:
    """How a question was answered, as a table of what the window was used for and what was left out."""
    from rich.console import Console
    from rich.table import Table

    window = "" if plan.window is None else f", window {plan.window:,}"
    caption = plan.reason if plan.searched is None else f"{plan.reason}\nsearched for: {plan.searched}"
    table = Table("", "", "passages", "tokens", title=f"route {plan.route}{window}", caption=escape(caption))
    for heading, shares in (("in the prompt", plan.shares), ("left out", plan.left_out)):
        if shares:
            table.add_section()
            table.add_row(heading, style="bold")
        for share in _with_turns_together(shares):
            name = short_path(share.name) if share.kind in ("document", "found") else share.name
            table.add_row(_KINDS[share.kind], escape(name), str(share.passages or ""), f"{share.tokens:,}")
    Console().print(table)


def _with_turns_together(shares: Sequence[Share]) -> Iterator[Share]:
    """The shares, turns of a conversation that follow one another as one: '4-187'."""
    runs: list[list[Share]] = []
    for share in shares:
        last = runs[-1][-1] if runs else None
        follows = last and last.kind == share.kind == "turn" and int(last.name) + 1 == int(share.name)
        if follows:
            runs[-1].append(share)
        else:
            runs.append([share])
    for run in runs:
        name = run[0].name if len(run) == 1 else f"{run[0].name}-{run[-1].name}"
        yield replace(run[0], name=name, tokens=sum(share.tokens for share in run))


def one_line(error: Exception) -> str:
    """What to tell a user: the message of an error of ours; for another, its kind too, and how to see more."""
    from indexes.errors import CorpusError
    from longctx.errors import LongctxError
    from rope_scaling.errors import RopeScalingError

    message = " ".join(str(error).split())
    if isinstance(error, CorpusError | LongctxError | RopeScalingError):
        return message
    return f"{type(error).__name__}: {message} (unexpected: --debug shows where)"


def place(where: Chunk | Citation) -> str:
    """'docs/guide.md, line 12, characters 345-402': the file, its page or line, and the characters in its text."""
    position = f"page {where.page}" if where.page is not None else f"line {where.line}"
    return f"{short_path(where.source)}, {position}, characters {where.start}-{where.end}"


def short_path(source: str) -> str:
    """A path as seen from the working folder, if it lies below it."""
    path = Path(source)
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else source


@contextmanager
def ingest_progress(quiet: bool) -> Iterator[Callable[[IngestProgress], None] | None]:
    """A progress bar on a terminal, a plain line a file elsewhere, nothing if `quiet`; on standard error."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        yield from _progress_bar()
    else:
        yield _plain_line()


@contextmanager
def prefill_progress(quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """A bar on a terminal while the model reads a prompt, on standard error; nothing elsewhere, or if `quiet`."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("reading the prompt"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tokens, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    with bar_on_stderr(*columns, rate=0.0, visible=False) as update:

        def show(progress: Progress) -> None:
            update(total=progress.total, completed=progress.done, rate=progress.tokens_per_second, visible=True)

        yield show


@contextmanager
def bar_on_stderr(*columns: ProgressColumn, **fields: Any) -> Iterator[Callable[..., None]]:
    """A progress bar that vanishes at the end; what it gives is called with what has changed, as rich's `update` is."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield partial(bar.update, bar.add_task(**{"description": "", "total": None, **fields}))


def _plain_line() -> Callable[[IngestProgress], None]:
    done = 0

    def show(progress: IngestProgress) -> None:
        nonlocal done
        if progress.done > done:
            done = progress.done
            typer.echo(f"[{done}/{progress.total}] {short_path(progress.source)}", err=True)

    return show


def _progress_bar() -> Iterator[Callable[[IngestProgress], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[chunks]} chunks"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[source]}", markup=False),
    )
    with bar_on_stderr(*columns, chunks=0, source="") as update:

        def show(progress: IngestProgress) -> None:
            update(
                total=progress.total,
                completed=progress.done,
                chunks=progress.chunks,
                source=Path(progress.source).name,
            )

        yield show
