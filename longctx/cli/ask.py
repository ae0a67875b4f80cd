"""`longctx ask`."""

from __future__ import annotations

from itertools import chain
from typing import Annotated

import typer

from longctx.cli.options import (
    AdapterOption,
    AfterOption,
    BeforeOption,
    DeviceOption,
    DtypeOption,
    EncoderOption,
    ExpandOption,
    IndexOption,
    JsonOption,
    MetadataOption,
    ModelOption,
    NewTokensOption,
    PassagesOption,
    QuantizationOption,
    ReportOption,
    RerankerOption,
    RouteOption,
    ScalingOption,
    SourceOption,
    TemplateOption,
    TitleOption,
    WindowOption,
    open_qa,
    search_filter,
)
from longctx.cli.output import NO_MODEL, note_unshown, print_json, print_plan, print_sources
from longctx.cli.progress import prefill_progress


def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    index: IndexOption = None,
    model: ModelOption = None,
    window: WindowOption = None,
    adapter: AdapterOption = None,
    quantization: QuantizationOption = None,
    dtype: DtypeOption = None,
    device: DeviceOption = None,
    scaling: ScalingOption = None,
    report: ReportOption = None,
    route: RouteOption = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show how the question was answered, and what the window was used for.")
    ] = False,
    template: TemplateOption = None,
    encoder: EncoderOption = None,
    k: PassagesOption = None,
    max_new_tokens: NewTokensOption = None,
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
    from longctx.settings import load_settings

    settings = load_settings(
        index=index,
        model=model,
        window=window,
        adapter=adapter,
        quantization=quantization,
        dtype=dtype,
        device=device,
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
    with open_qa(settings) as qa:
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
        print_sources(stream.answer)
        if settings.model is None:
            typer.secho(f"\n{NO_MODEL}", err=True, dim=True)
        note_unshown(stream.answer.plan)
        if explain:
            print_plan(stream.answer.plan)
