"""`longctx search`."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from longctx.cli.options import (
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
    search_filter,
)
from longctx.cli.output import place, print_json

_EXCERPT = 240  # characters


class Mode(str, Enum):
    """The ways to search."""

    hybrid = "hybrid"
    dense = "dense"
    lexical = "lexical"


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    index: IndexOption = None,
    encoder: EncoderOption = None,
    mode: Annotated[Mode, typer.Option(help="By meaning, by words, or both.")] = Mode.hybrid,
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages.")] = 10,
    source: SourceOption = None,
    title: TitleOption = None,
    metadata: MetadataOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    expand: ExpandOption = 0,
    reranker: RerankerOption = None,
    json: JsonOption = False,
) -> None:
    """List the passages that bear on a query, best first."""
    from indexes import CorpusIndex
    from longctx.settings import load_settings

    settings = load_settings(index=index, encoder=encoder, reranker=reranker)
    wanted = search_filter(source, title, metadata, after, before)
    with CorpusIndex.open(settings.index, settings.encoder, reranker=settings.reranker, create=False) as corpus:
        hits = corpus.search(query, k, mode.value, filters=wanted, expand=expand)
    if json:
        print_json(hits)
        return
    for number, hit in enumerate(hits, start=1):
        excerpt = " ".join(hit.chunk.text.split())
        typer.secho(f"{number}. {place(hit.chunk)}  ({hit.score:.4f})", bold=True)
        if hit.chunk.heading:
            typer.echo(f"   {hit.chunk.heading}")
        typer.echo(f"   {excerpt[:_EXCERPT]}{'…' if len(excerpt) > _EXCERPT else ''}")
    if not hits:
        typer.echo("nothing found", err=True)
