"""`longctx chat`: a conversation in the terminal, or questions from standard input, one a line."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from longctx.cli.answer_texts import AnswerTexts, answer_texts, conversation_texts
from longctx.cli.opening import open_qa
from longctx.cli.options import AskFlags, OnOff, with_flags
from longctx.cli.output import (
    SOME_FAILED,
    note_answer,
    note_unmeasured,
    note_unsupported,
    one_line,
    print_pieces,
    print_plan,
    print_sources,
)
from longctx.cli.progress import prefill_progress
from longctx.cli.terminal import echo, secho
from longctx.errors import BadRequest
from longctx.types import AskOptions, RouteChoice

if TYPE_CHECKING:
    from longctx.conversation import Conversation

_LONGEST_LINE = 1_000_000  # characters of a question from standard input


@with_flags(AskFlags)
def chat(
    flags: AskFlags,
    session: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which conversation to go on with (default: default)")
    ] = None,
    sessions: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The folder that keeps conversations (default: the index's name and -sessions)"
        ),
    ] = None,
    rewrite_questions: Annotated[
        OnOff | None,
        typer.Option(help="Have the model rewrite follow-up questions in full, before the search (default: auto)."),
    ] = None,
) -> None:
    """Hold a conversation about the documents in an index. It is kept, and goes on where it stopped.

    /sources, /plan, /route NAME, /reset, /help and /quit are commands. Ctrl-C stops an answer, Ctrl-D ends. Where
    standard input is no terminal, each line of it is a question.
    """
    from longctx.conversation import Conversation

    rewriting = None if rewrite_questions is None else rewrite_questions.value
    settings = flags.settings(session=session, sessions=sessions, rewrite_questions=rewriting)
    options = flags.options(settings)
    opened = open_qa(settings)
    keeping: dict[str, Any] = {"folder": settings.sessions, "rewrite_questions": settings.rewrite_questions}
    with opened as qa, Conversation.open(qa, settings.session, **keeping) as held:
        if settings.model is None:
            secho(_said_in(held).no_model, err=True, dim=True)
        _Chat(held, options).run(_lines(held))


def _lines(conversation: Conversation) -> Iterator[str]:
    """What the user enters, line by line, until the end."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        while line := sys.stdin.readline(_LONGEST_LINE + 1):
            if len(line) > _LONGEST_LINE:
                raise BadRequest(
                    f"a line of standard input has over {_LONGEST_LINE:,} characters: each line is a question"
                )
            yield line
        return
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import InMemoryHistory

    asked = [turn.question for turn in conversation.turns]
    so_far = _said_in(conversation).so_far.format(name=conversation.path.stem, turns=len(asked))
    secho(so_far, err=True, dim=True)
    prompt: PromptSession[str] = PromptSession("> ", history=InMemoryHistory(asked))
    while True:
        try:
            yield prompt.prompt()
        except KeyboardInterrupt:  # clears the line
            continue
        except EOFError:
            return


@dataclass
class _Chat:
    """A conversation, and the options of its next question."""

    conversation: Conversation
    options: AskOptions
    ended: bool = field(default=False, init=False)
    noted: bool = field(default=False, init=False)  # that no report shows the window to work; once is enough

    def run(self, lines: Iterator[str]) -> None:
        """Answer until the lines end or the user quits. Without a terminal, exit with 3 if a question failed."""
        failed = 0
        for line in lines:
            failed += not self._deal_with(line.strip())
            if self.ended:
                break
        if failed and not sys.stdin.isatty():
            raise typer.Exit(SOME_FAILED)

    def _deal_with(self, line: str) -> bool:
        try:
            if line.startswith("/"):
                name, _, argument = line[1:].partition(" ")
                if name not in _COMMANDS:
                    raise BadRequest(f"there is no command /{name}: use /{', /'.join(_COMMANDS)}")
                _COMMANDS[name](self, argument.strip())
            elif line:
                self._answer(line)
        except Exception as error:
            if "--debug" in sys.argv:
                echo(traceback.format_exc(), err=True)
            echo(f"longctx: {one_line(error)}", err=True)
            return False
        return True

    def _answer(self, question: str) -> None:
        """Print an answer as it is generated. In a terminal Ctrl-C stops it; a turn without an end is not stored."""
        stream, before = None, len(self.conversation.turns)
        try:
            with prefill_progress(quiet=False) as progress:
                stream = self.conversation.stream(question, self.options, progress=progress)
                first = next(stream, "")
            print_pieces(chain((first,), stream))
            echo()
            texts = answer_texts(question, stream.answer.text)
            note_answer(stream.answer)
            note_unsupported(stream.answer, texts)
            if not self.noted:
                self.noted = note_unmeasured(stream.answer, texts)
        except KeyboardInterrupt as interrupt:
            if not sys.stdin.isatty():
                raise
            how_far = f" ({interrupt})" if str(interrupt) else ""
            kept = len(self.conversation.turns) > before  # Ctrl-C came as the answer had ended
            texts = answer_texts(question)
            secho(f"\n{(texts.stopped_kept if kept else texts.stopped).format(how_far)}", err=True, dim=True)
        finally:
            if stream is not None:
                stream.close()


def _texts(chat: _Chat) -> AnswerTexts:
    """What stands around the last answer, in the language of its question."""
    last = chat.conversation.turns[-1]
    return answer_texts(last.question, last.answer.text)


def _said_in(conversation: Conversation) -> AnswerTexts:
    """What is said beside answers, in the language of the last question or of the terminal."""
    last = conversation.turns[-1:]
    return conversation_texts(last[0].question, last[0].answer.text) if last else conversation_texts(None)


def _sources(chat: _Chat, argument: str) -> None:
    """Where the last answer comes from."""
    answer = chat.conversation.last
    if answer is None:
        echo(_said_in(chat.conversation).nothing_asked)
    elif answer.citations or answer.passages:
        print_sources(answer, _texts(chat))
    else:
        echo(_texts(chat).no_document)


def _plan(chat: _Chat, argument: str) -> None:
    """How the last question was answered, and what the window was used for."""
    answer = chat.conversation.last
    if answer is None:
        echo(_said_in(chat.conversation).nothing_asked)
    else:
        print_plan(answer, _texts(chat))


def _route(chat: _Chat, argument: str) -> None:
    """How the next questions are answered: auto, native, extended, retrieval, self or map."""
    routes = get_args(RouteChoice)
    if argument and argument not in routes:
        raise BadRequest(f"there is no route {argument!r}: use {', '.join(routes)}")
    if argument:
        chat.options = chat.options.updated(route=argument)
    echo(_said_in(chat.conversation).route_is.format(chat.options.route))


def _reset(chat: _Chat, argument: str) -> None:
    """Forget this conversation, and begin anew."""
    texts = _said_in(chat.conversation)
    echo(texts.forgotten.format(chat.conversation.reset()))


def _help(chat: _Chat, argument: str) -> None:
    """List the commands."""
    texts = _said_in(chat.conversation)
    for name, command in _COMMANDS.items():
        echo(f"/{name:<9}{texts.commands.get(name, command.__doc__)}")
    echo(texts.keys)


def _quit(chat: _Chat, argument: str) -> None:
    """End; the conversation is kept."""
    chat.ended = True


_COMMANDS: dict[str, Callable[[_Chat, str], None]] = {
    "sources": _sources,
    "plan": _plan,
    "route": _route,
    "reset": _reset,
    "help": _help,
    "quit": _quit,
}
