"""`Conversation`: questions that know what was said before, kept in a file. Ties `DocumentQA`, the file and the recall.

The last turns go into the prompt word for word, and older ones where they bear on the question; the planner decides how
many there is room for. Knows no command line.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from indexes import SearchFilter
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
from longctx.qa import AnswerStream, DocumentQA
from longctx.types import Answer, Message, Plan, RouteChoice, Turn, Usage

DEFAULT_NAME = "default"
_RECORDED = "this turn was recorded, not asked here"


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

    def __init__(self, qa: DocumentQA, store: SessionFile, recall: TurnIndex, *, rewrite: bool = True) -> None:
        self._qa, self._store, self._recall = qa, store, recall
        self._rewrite = rewrite
        self._answer: Answer | None = None

    @classmethod
    def open(
        cls, qa: DocumentQA, name: str = DEFAULT_NAME, *, folder: str | Path | None = None, rewrite: bool = True
    ) -> Conversation:
        """Open the conversation `name`, or begin it.

        It is a file in `folder`; None is a folder beside the index, named after it: `my-index-sessions`. With
        `rewrite`, a question that leans on the last ones is put in full by the model before anything is searched for
        ("and in 2019?"); otherwise, and without a model, words of the last questions are searched for with it. Raises
        BadRequest for a name that cannot be a file's, and BadSession for a file that is damaged, of another version, or
        something else; it is left as it is.
        """
        beside = qa.index.path.with_name(f"{qa.index.path.name}-sessions")
        path = session_path(beside if folder is None else Path(folder).expanduser(), name)
        store = SessionFile.open(path)
        return cls(qa, store, TurnIndex(path.with_suffix(".index"), qa.index.encoder), rewrite=rewrite)

    def close(self) -> None:
        """Close the conversation; `qa` stays open."""
        self._recall.close()
        self._store.close()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The conversation's file."""
        return self._store.path

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Every turn, oldest first."""
        return self._store.turns()

    @property
    def last(self) -> Answer | None:
        """The last answer, if there is one: this object's own, or the last in the file.

        One that comes from the file has its citations and its plan. Passages that it does not name have no text.
        """
        if self._answer is None and (turn := self._store.last()) is not None:
            self._answer = turn.answer
        return self._answer

    def reset(self) -> int:
        """Forget every turn; returns how many there were."""
        self._answer = None
        forgotten = self._store.clear()
        self._recall.forget()
        return forgotten

    def record(self, question: str, answer: str) -> int:
        """Put a turn at the end that was had elsewhere; returns its number."""
        _check(question)
        return self._store.add(question, Answer(answer, (), Plan("retrieval", _RECORDED), Usage()))

    def ask(
        self,
        question: str,
        *,
        route: RouteChoice | None = None,
        k: int = 8,
        max_new_tokens: int = 256,
        system: str = "",
        filters: SearchFilter | None = None,
        expand: int = 0,
        progress: PrefillCallback | None = None,
    ) -> Answer:
        """Answer a question, knowing what was said before, and keep both. Options and errors are `DocumentQA.ask`'s.

        Where a question leans on the last ones, `Answer.plan.searched` says what was searched for.
        """
        return self.stream(
            question,
            route=route,
            k=k,
            max_new_tokens=max_new_tokens,
            system=system,
            filters=filters,
            expand=expand,
            progress=progress,
        ).answer

    def stream(
        self,
        question: str,
        *,
        route: RouteChoice | None = None,
        k: int = 8,
        max_new_tokens: int = 256,
        system: str = "",
        filters: SearchFilter | None = None,
        expand: int = 0,
        progress: PrefillCallback | None = None,
    ) -> AnswerStream:
        """As `ask`, in pieces of text as they come. A turn whose stream is closed before its end is not kept."""
        _check(question)
        history = self._store.history()
        search_for = self._in_full(question, history)
        recalled = self._recall.find(search_for or question, history) if history and self._qa.has_model else ()
        stream = self._qa.stream(
            question,
            route=route,
            k=k,
            max_new_tokens=max_new_tokens,
            system=system,
            history=history,
            recalled=recalled,
            search_for=search_for,
            filters=filters,
            expand=expand,
            progress=progress,
        )
        return AnswerStream(self._kept(question, stream))

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

    def _kept(self, question: str, stream: AnswerStream) -> Generator[str, None, Answer]:
        try:
            yield from stream
        finally:
            stream.close()
        self._store.add(question, stream.answer)
        self._answer = stream.answer
        return stream.answer


def _check(question: str) -> None:
    if not question.strip():
        raise BadRequest("the question is empty: ask something")
    try:
        question.encode()
    except UnicodeEncodeError as error:
        raise BadRequest(f"the question cannot be written in UTF-8 ({error.reason}): check the terminal's") from error
