"""Multi-turn question answering, with the turns kept in a session file.

The last turns go into the prompt word for word, and older ones where they are relevant to the question; the planner
decides how many fit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, get_args

from longctx.answering import AnswerStream
from longctx.conversation.folder import ConversationFolder
from longctx.conversation.query_rewriting import (
    REWRITTEN_TOKENS,
    is_usable,
    needs_context,
    rewrite_request,
    rewriting_in,
    with_context_words,
)
from longctx.conversation.session_file import SessionFile, session_path
from longctx.conversation.turn_index import TurnIndex
from longctx.engine import PrefillCallback
from longctx.errors import BadRequest, ContextTooLong
from longctx.qa import DocumentQA
from longctx.types import Answer, AskOptions, Message, Plan, QuestionRequest, Rewriting, Turn, Usage, is_text

REWRITES_BY_DEFAULT = False
"""What `rewrite_questions="auto"` is: no model that was measured with benchmarks/bench_followups.py finds more so."""

DEFAULT_NAME = "default"


class Conversation:
    """A conversation about a corpus, kept in a session file.

    >>> from longctx import Conversation, DocumentQA
    >>> qa = DocumentQA.open("my-index", model="path/to/llama")
    >>> with Conversation.open(qa, "lighthouses") as conversation:
    ...     answer = conversation.ask("When was the lighthouse built?")
    ...     answer = conversation.ask("And by whom?")

    A turn is stored in one transaction when its answer is finished: a process that is killed loses only the answer it
    was generating. Several processes may use one conversation; each sees the turns that the others have finished when
    it asks its next question.
    """

    def __init__(self, qa: DocumentQA, file: SessionFile, turn_index: TurnIndex, *, rewrite: bool) -> None:
        self._qa, self._file, self._turn_index = qa, file, turn_index
        self._rewrite = rewrite
        self._answer: Answer | None = None

    @classmethod
    def open(
        cls,
        qa: DocumentQA,
        name: str = DEFAULT_NAME,
        *,
        folder: str | Path | None = None,
        rewrite_questions: Rewriting = "auto",
    ) -> Conversation:
        """Open a conversation, or begin a new one.

        Args:
            qa: Answers the questions; it stays open when the conversation is closed.
            name: The conversation's name.
            folder: The folder of its file; None is a folder beside the index, named after it: `my-index-sessions`. With
                a retriever, which has no folder, it has to be given.
            rewrite_questions: Whether the model rewrites follow-ups such as "and in 2019?" in full for the search.
                Otherwise, and without a model, words of the last questions are searched for with them.
                `auto` is what was measured to find more: see `REWRITES_BY_DEFAULT`.

        Returns:
            The conversation; close it, or use it in a `with` statement.

        Raises:
            BadRequest: For a name that cannot be a file's, another value of `rewrite_questions`, and no folder where
                there is no index.
            BadSession: For a file that is damaged, of another version, or something else; it is left as it is.
        """
        if rewrite_questions not in get_args(Rewriting):
            raise BadRequest(f"rewrite_questions is {rewrite_questions!r}: use {', '.join(get_args(Rewriting))}")
        rewrite = REWRITES_BY_DEFAULT if rewrite_questions == "auto" else rewrite_questions == "on"
        if folder is None and qa.source.passages_only:
            raise BadRequest("a retriever has no folder for conversations: give one (folder=)")
        beside = ConversationFolder.beside(qa.index.path).path if folder is None else Path(folder).expanduser()
        path = session_path(beside, name)
        file = SessionFile.open(path)
        return cls(qa, file, TurnIndex(path.with_suffix(".index"), qa.source.encoder), rewrite=rewrite)

    def close(self) -> None:
        """Close the conversation; `qa` stays open."""
        self._turn_index.close()
        self._file.close()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
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
        """The last answer, if any: from this object, or the last in the file.

        An answer from the file has its citations and its plan; passages that it does not cite have no text.
        """
        if self._answer is None and (turn := self._file.last()) is not None:
            self._answer = turn.answer
        return self._answer

    def reset(self) -> int:
        """Delete every turn and return how many there were."""
        self._answer = None
        forgotten = self._file.clear()
        self._turn_index.forget()
        return forgotten

    def record(self, question: str, answer: str) -> int:
        """Add a turn from elsewhere.

        Args:
            question: The question.
            answer: The answer's text.

        Returns:
            The turn's number, from 1.

        Raises:
            BadRequest: For an empty question, and one that cannot be encoded in UTF-8.
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
        """Answer a question in the context of the earlier turns, and store both.

        Args:
            question: The question. A follow-up question is completed from earlier turns for the search;
                `Answer.search_query` is then what was searched for.
            options: How to answer; None means the defaults of `AskOptions`.
            progress: Called with how much of the prompt has been read.
            changes: Options by name, in place of those in `options`, as for `DocumentQA.ask`.

        Returns:
            The answer, with its citations.

        Raises:
            LongctxError: As from `DocumentQA.ask`.
            CorpusError: If the index cannot be searched.
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
        """Answer a question, piece by piece; the errors are those of `ask`.

        Args:
            question: The question.
            options: How to answer; None means the defaults of `AskOptions`.
            progress: Called with how much of the prompt has been read.
            changes: Options by name, in place of those in `options`.

        Returns:
            The pieces as they are generated. A turn whose stream is closed before its end is not stored.
        """
        _check(question)
        history = self._file.history()
        query = _search_query(self._qa, question, history, rewrite=self._rewrite)
        recalled = self._turn_index.find(query or question, history) if history and self._qa.has_model else ()
        last = self._file.last() if self._qa.has_model else None
        read = last.answer.plan.chunk_ids if last is not None and last.answer.plan is not None else ()
        request = QuestionRequest(
            question, (options or AskOptions()).updated(**changes), query, history, recalled, read
        )
        return _RecordedAnswer(self._qa.run(request, progress), partial(self._keep, question))

    def _keep(self, question: str, answer: Answer) -> None:
        self._file.add(question, answer)
        self._answer = answer


def request_with_history(
    qa: DocumentQA, question: str, history: tuple[Message, ...], options: AskOptions | None = None
) -> QuestionRequest:
    """A question with what was said before it, for `DocumentQA.run`, where nothing is kept between questions.

    Args:
        qa: Will answer; its model may rewrite the question.
        question: The question.
        history: Questions and answers in turn, oldest first.
        options: How to answer; None means the defaults of `AskOptions`.

    Returns:
        The request, with what to search for where the question needs its context.

    Raises:
        BadRequest: For an empty question.
    """
    _check(question)
    query = _search_query(qa, question, history, rewrite=REWRITES_BY_DEFAULT)
    return QuestionRequest(question, options or AskOptions(), query, history)


def _search_query(qa: DocumentQA, question: str, history: tuple[Message, ...], *, rewrite: bool) -> str | None:
    """What to search for if the question needs its context; None otherwise."""
    if not history or not needs_context(question):
        return None
    rewritten = _rewritten(qa, question, history) if rewrite and qa.has_model else None
    return rewritten or with_context_words([message.content for message in history[::2]], question)


def _rewritten(qa: DocumentQA, question: str, history: tuple[Message, ...]) -> str | None:
    """The question as the model rewrites it; None if the rewriting is not usable."""
    with suppress(ContextTooLong):
        said = qa.reply(*rewrite_request(question, history), REWRITTEN_TOKENS)
        rewritten = rewriting_in(said)
        if is_usable(rewritten, question, history):
            return rewritten
    return None


class _RecordedAnswer(AnswerStream):
    """An answer that is stored as a turn when it is finished."""

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

    @property
    def plan(self) -> Plan | None:
        """How the model answers, as far as that is decided."""
        return self._stream.plan

    def close(self) -> None:
        """Stop the answer here; it is not stored."""
        self._closed = True
        self._stream.close()


def _check(question: str) -> None:
    if not question.strip():
        raise BadRequest("the question is empty: ask something")
    if not is_text(question):
        raise BadRequest("the question cannot be written in UTF-8: check its encoding")
