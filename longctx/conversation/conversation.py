"""`Conversation`: questions that know what was said before, kept in a session file.

The last turns go into the prompt word for word, and older ones where they bear on the question; the planner decides how
many there is room for.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from longctx.answering import AnswerStream
from longctx.conversation.query_rewriting import (
    REWRITTEN_TOKENS,
    is_usable,
    needs_context,
    rewrite_request,
    with_context_words,
)
from longctx.conversation.session_file import SessionFile, session_path
from longctx.conversation.turn_index import TurnIndex
from longctx.engine import PrefillCallback
from longctx.errors import BadRequest, ContextTooLong
from longctx.qa import DocumentQA
from longctx.types import Answer, AskOptions, Message, QuestionRequest, Turn, Usage

DEFAULT_NAME = "default"


class Conversation:
    """A conversation about a corpus, which goes on where it stopped.

    >>> from longctx import Conversation, DocumentQA
    >>> qa = DocumentQA.open("my-index", model="path/to/llama")
    >>> with Conversation.open(qa, "lighthouses") as conversation:
    ...     answer = conversation.ask("When was the lighthouse built?")
    ...     answer = conversation.ask("And by whom?")

    A turn is kept when its answer is finished, in one transaction: a process that is killed loses no more than the
    answer it was at. Several processes may hold one conversation; each sees at its next question what the others
    have finished.
    """

    def __init__(self, qa: DocumentQA, file: SessionFile, turn_index: TurnIndex, *, rewrite: bool = True) -> None:
        self._qa, self._file, self._turn_index = qa, file, turn_index
        self._rewrite = rewrite
        self._answer: Answer | None = None

    @classmethod
    def open(
        cls, qa: DocumentQA, name: str = DEFAULT_NAME, *, folder: str | Path | None = None, rewrite: bool = True
    ) -> Conversation:
        """Open the conversation `name`, or begin it.

        Args:
            qa: The corpus that is asked; it stays open when the conversation is closed.
            name: The conversation's name.
            folder: Where its file is; None is a folder beside the index, named after it: `my-index-sessions`.
            rewrite: Whether the model rewrites follow-up questions in full ("and in 2019?") before anything is searched
                for. Otherwise, and without a model, words of the last questions are searched for with them.

        Returns:
            The conversation; close it, or use it in a `with` statement.

        Raises:
            BadRequest: For a name that cannot be a file's.
            BadSession: For a file that is damaged, of another version, or something else; it is left as it is.
        """
        beside = qa.index.path.with_name(f"{qa.index.path.name}-sessions")
        path = session_path(beside if folder is None else Path(folder).expanduser(), name)
        file = SessionFile.open(path)
        return cls(qa, file, TurnIndex(path.with_suffix(".index"), qa.index.encoder), rewrite=rewrite)

    def close(self) -> None:
        """Close the conversation; `qa` stays open."""
        self._turn_index.close()
        self._file.close()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The conversation's file."""
        return self._file.path

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Every turn, oldest first."""
        return self._file.turns()

    @property
    def last(self) -> Answer | None:
        """The last answer, if there is one: this object's own, or the last in the file.

        One that comes from the file has its citations and its plan. Passages that it does not name have no text.
        """
        if self._answer is None and (turn := self._file.last()) is not None:
            self._answer = turn.answer
        return self._answer

    def reset(self) -> int:
        """Forget every turn; returns how many there were."""
        self._answer = None
        forgotten = self._file.clear()
        self._turn_index.forget()
        return forgotten

    def record(self, question: str, answer: str) -> int:
        """Add a turn that was had elsewhere.

        Args:
            question: What was asked.
            answer: What was answered.

        Returns:
            The turn's number.
        """
        _check(question)
        return self._file.add(question, Answer(answer, (), None, Usage()))

    def ask(
        self,
        question: str,
        options: AskOptions | None = None,
        *,
        progress: PrefillCallback | None = None,
        **changes: Any,
    ) -> Answer:
        """Answer a question, knowing what was said before, and keep both.

        Arguments and errors are those of `DocumentQA.ask`. Where a question needs the last ones to be understood,
        `Answer.search_query` is what was searched for.

        Returns:
            The answer, with its citations.
        """
        return self.stream(question, options, progress=progress, **changes).answer

    def stream(
        self,
        question: str,
        options: AskOptions | None = None,
        *,
        progress: PrefillCallback | None = None,
        **changes: Any,
    ) -> AnswerStream:
        """Answer a question, piece by piece: arguments and errors are those of `ask`.

        Returns:
            The pieces as they come. A turn whose stream is closed before its end is not kept.
        """
        _check(question)
        history = self._file.history()
        query = self._in_full(question, history)
        recalled = self._turn_index.find(query or question, history) if history and self._qa.has_model else ()
        request = QuestionRequest(question, (options or AskOptions()).updated(**changes), query, history, recalled)
        return _RecordedAnswer(self._qa.run(request, progress), partial(self._keep, question))

    def _in_full(self, question: str, history: tuple[Message, ...]) -> str | None:
        """What to search for, where the question leans on what was said before."""
        if not history or not needs_context(question):
            return None
        rewritten = self._rewritten(question, history) if self._rewrite and self._qa.has_model else None
        return rewritten or with_context_words([message.content for message in history[::2]], question)

    def _rewritten(self, question: str, history: tuple[Message, ...]) -> str | None:
        """The question as the model puts it in full; None if it gives nothing of use."""
        with suppress(ContextTooLong):
            said = self._qa.reply(*rewrite_request(question, history), REWRITTEN_TOKENS)
            rewritten = said.strip().split("\n")[0].strip()
            if is_usable(rewritten, question, history):
                return rewritten
        return None

    def _keep(self, question: str, answer: Answer) -> None:
        self._file.add(question, answer)
        self._answer = answer


class _RecordedAnswer(AnswerStream):
    """An answer that is kept as a turn when it is finished."""

    def __init__(self, stream: AnswerStream, keep: Callable[[Answer], None]) -> None:
        super().__init__()
        self._stream, self._keep = stream, keep
        self._closed = False

    def __next__(self) -> str:
        for piece in self._stream:
            return piece
        if self._answer is None and not self._closed:
            answer = self._stream.answer
            self._keep(answer)
            self._answer = answer
        raise StopIteration

    def close(self) -> None:
        """Stop the answer here; it is not kept."""
        self._closed = True
        self._stream.close()


def _check(question: str) -> None:
    if not question.strip():
        raise BadRequest("the question is empty: ask something")
    try:
        question.encode()
    except UnicodeEncodeError as error:
        raise BadRequest(f"the question cannot be written in UTF-8 ({error.reason}): check the terminal's") from error
