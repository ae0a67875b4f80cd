"""`longctx ask`."""

from __future__ import annotations

from itertools import chain
from typing import Annotated

import typer

from longctx.cli.options import AskFlags, JsonOption, open_qa, with_flags
from longctx.cli.output import NO_MODEL, note_unmeasured, note_unsupported, print_json, print_plan, print_sources
from longctx.cli.progress import prefill_progress


@with_flags(AskFlags)
def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    flags: AskFlags,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show how the question was answered, and what the window was used for.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Answer a question from the index, with citations."""
    settings = flags.settings()
    options = flags.options(settings)
    with open_qa(settings) as qa:
        with prefill_progress(quiet=json) as progress:
            stream = qa.stream(question, options, progress=progress)
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
        note_unsupported(stream.answer)
        note_unmeasured(stream.answer)
        if explain:
            print_plan(stream.answer)
