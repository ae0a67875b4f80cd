"""`longctx search`."""

from __future__ import annotations

from typing import Annotated

import typer

from longctx.cli.answer_texts import answer_texts
from longctx.cli.opening import check_trusted
from longctx.cli.options import (
    EncoderOption,
    FilterFlags,
    IndexOption,
    JsonOption,
    RerankerOption,
    TrustOption,
    with_flags,
)
from longctx.cli.output import place, print_json
from longctx.cli.terminal import echo, name, secho

_EXCERPT = 240  # characters


@with_flags(FilterFlags)
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    flags: FilterFlags,
    index: IndexOption = None,
    encoder: EncoderOption = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages.")] = 10,
    reranker: RerankerOption = None,
    trust: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """List the passages that are most relevant to a query, best first."""
    from indexes import CorpusIndex
    from indexes.text import MOST_PATTERNS, on_one_line, query_patterns
    from longctx.answering import check_found
    from longctx.settings import load_settings

    settings = load_settings(index=index, encoder=encoder, reranker=reranker)
    check_trusted(settings, agreed=trust, used=("encoder", "reranker", "index"))
    with CorpusIndex.open(settings.index, settings.encoder, reranker=settings.reranker, create=False) as corpus:
        filters = flags.filters()
        hits = corpus.search(query, k, flags.search_mode, filters=filters, expand=flags.expand or 0)
        check_found(corpus, hits, filters)
    if (asked := len(query_patterns(query, most=None))) > MOST_PATTERNS:
        echo(f"the query has {asked:,} beginnings of words and single kanji: the first {MOST_PATTERNS} count", err=True)
    if json:
        print_json(hits)
        return
    for number, hit in enumerate(hits, start=1):
        excerpt = on_one_line(hit.chunk.text)
        secho(f"{number}. {place(hit.chunk, answer_texts(query, excerpt))}  ({hit.score:.4f})", bold=True)
        if hit.chunk.heading:
            echo(f"   {name(hit.chunk.heading)}")
        echo(f"   {excerpt[:_EXCERPT]}{'…' if len(excerpt) > _EXCERPT else ''}")
    if not hits:
        echo("nothing found", err=True)
