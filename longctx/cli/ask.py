"""`longctx ask`."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longctx.cli.terminal import (
    AfterOption,
    BeforeOption,
    EncoderOption,
    ExpandOption,
    IndexOption,
    JsonOption,
    MetadataOption,
    RerankerOption,
    SourceOption,
    TitleOption,
    place,
    prefill_progress,
    print_json,
    print_plan,
    search_filter,
)

if TYPE_CHECKING:
    from longctx.types import Answer

_NO_MODEL = "No model was given: the answer quotes the documents. Give one with --model PATH_OR_HUB_ID."

_NOT_SHOWN = (
    "The prompt was read in a window of {window:,} tokens, and no report shows that the model reads so many: "
    "run 'longctx probe' on it, and give its report with --report DIR."
)


def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    index: IndexOption = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="PATH_OR_HUB_ID",
            help="A causal language model, or openai:http://host:port/v1#name for one on a server; without one, "
            "sentences are quoted.",
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            "--window",
            min=1,
            metavar="TOKENS",
            help="The model's native window (default: what the model or server says).",
        ),
    ] = None,
    scaling: Annotated[
        str | None,
        typer.Option(
            "--scaling", metavar="METHOD", help="Take the model past its native window, by 'yarn' or another method."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="DIR", help="Use no window beyond what 'longctx probe --out DIR' has shown to work."
        ),
    ] = None,
    route: Annotated[
        str | None,
        typer.Option(
            "--route", metavar="ROUTE", help="auto, native, extended, retrieval or self (default: auto; see the guide)."
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show how the question was answered, and what the window was used for.")
    ] = False,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            metavar="NAME",
            help="How prompts are written: llama-2, code-llama, elyza, chat, plain (default: what fits the model).",
        ),
    ] = None,
    encoder: EncoderOption = None,
    k: Annotated[int | None, typer.Option("-k", min=1, help="How many passages to look for (default: 8)")] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="The longest answer, in tokens (default: 256)")
    ] = None,
    source: SourceOption = None,
    title: TitleOption = None,
    metadata: MetadataOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    expand: ExpandOption = 0,
    reranker: RerankerOption = None,
    json: JsonOption = False,
) -> None:
    """Answer a question from the index, with citations."""
    from longctx.qa import DocumentQA
    from longctx.settings import load_settings

    settings = load_settings(
        index=index,
        model=model,
        window=window,
        scaling=scaling,
        report=report,
        encoder=encoder,
        reranker=reranker,
        template=template,
        route=route,
        k=k,
        max_new_tokens=max_new_tokens,
    )
    wanted = search_filter(source, title, metadata, after, before)
    opened = DocumentQA.open(
        settings.index,
        settings.model,
        scaling=settings.scaling,
        window=settings.window,
        encoder=settings.encoder,
        reranker=settings.reranker,
        template=settings.template,
        measured=settings.report or (),
        create=False,
    )
    with opened as qa:
        with prefill_progress(quiet=json) as progress:
            stream = qa.stream(
                question,
                route=settings.route,
                k=settings.k,
                max_new_tokens=settings.max_new_tokens,
                filters=wanted,
                expand=expand,
                progress=progress,
            )
            first = next(stream, "")
        if json:
            print_json(stream.answer)
            return
        for piece in chain((first,), stream):
            typer.echo(piece, nl=False)
        typer.echo()
        _sources(stream.answer, settings.model)
        if not stream.answer.plan.shown:
            typer.secho(f"\n{_NOT_SHOWN.format(window=stream.answer.plan.window)}", err=True, dim=True)
        if explain:
            print_plan(stream.answer.plan)


def _sources(answer: Answer, model: str | None) -> None:
    shown = answer.citations or answer.passages  # a model that names none may have used any
    if shown:
        typer.secho("\nSources" if answer.citations else "\nPassages in the prompt", bold=True)
    for citation in shown:
        typer.echo(f"[{citation.number}] {place(citation)}")
    if model is None:
        typer.secho(f"\n{_NO_MODEL}", err=True, dim=True)
