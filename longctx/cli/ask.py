"""`longctx ask`."""

from __future__ import annotations

import sys
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from longctx.cli.answer_texts import answer_texts
from longctx.cli.batch import ask_questions
from longctx.cli.opening import open_qa
from longctx.cli.options import AskFlags, JsonOption, with_flags
from longctx.cli.output import (
    note_answer,
    note_unmeasured,
    note_unsupported,
    print_json,
    print_pieces,
    print_plan,
    print_sources,
)
from longctx.cli.progress import prefill_progress
from longctx.cli.serve import identity
from longctx.cli.terminal import echo, secho
from longctx.server import ask_server

if TYPE_CHECKING:
    from longctx.answering import AnswerStream
    from longctx.server import ServerAnswer

_NO_QUESTION = "Missing argument 'QUESTION': ask something, or give a file of questions with --questions FILE."
_TWO_WAYS = "QUESTION and --questions cannot be given together: leave one of them out."


@with_flags(AskFlags)
def ask(
    flags: AskFlags,
    question: Annotated[str | None, typer.Argument(help="What to ask.")] = None,
    questions: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Answer the questions of a file, JSON Lines (.jsonl) or one on each line; '-' reads standard input.",
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show how the question was answered, and what the window was used for.")
    ] = False,
    server: Annotated[
        bool, typer.Option(help="Let a server that runs on this index answer, which has everything loaded.")
    ] = True,
    json: JsonOption = False,
) -> None:
    """Answer a question from the index, with citations.

    Exit code with --questions: 0 all were answered, 1 some were not.
    """
    if (question is None) == (questions is None):
        raise typer.BadParameter(_NO_QUESTION if question is None else _TWO_WAYS)
    if questions is not None:
        sys.exit(ask_questions(questions, flags, as_json=json))
    assert question is not None
    settings = flags.settings()
    given = flags.given_options(settings)
    options = flags.options(settings)
    if server and (answering := ask_server(settings.index, question, given, identity(settings))) is not None:
        with closing(answering):
            quotes = answering.model is None
            _print(question, answering, next(answering, ""), explain=explain, as_json=json, quotes=quotes)
        if not json:
            texts = answer_texts(question, answering.answer.text)
            by = texts.with_model.format(answering.model) if answering.model else texts.without_model
            secho(f"\n{texts.served.format(by)}", err=True, dim=True)
        return
    with open_qa(settings) as qa:
        with prefill_progress(quiet=json) as progress:
            stream = qa.stream(question, options, progress=progress)
            first = next(stream, "")
        _print(question, stream, first, explain=explain, as_json=json, quotes=settings.model is None)


def _print(
    question: str,
    stream: AnswerStream | ServerAnswer,
    first: str,
    *,
    explain: bool,
    as_json: bool,
    quotes: bool,
) -> None:
    """Print an answer as it comes, or the whole as JSON."""
    if as_json:
        print_json(stream.answer)
        return
    print_pieces(chain((first,), stream))
    echo()
    texts = answer_texts(question, stream.answer.text)
    print_sources(stream.answer, texts)
    note_answer(stream.answer)
    if quotes:
        secho(f"\n{texts.no_model}", err=True, dim=True)
    note_unsupported(stream.answer, texts)
    note_unmeasured(stream.answer, texts)
    if explain:
        print_plan(stream.answer, texts)
