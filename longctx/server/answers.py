"""From a question to the events of its answer: the queue, the plan, the pieces, the whole. Every protocol uses it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import anyio
import anyio.to_thread

from longctx.answering import AnswerStream
from longctx.async_qa import AsyncAnswerStream
from longctx.conversation import Conversation, request_with_history
from longctx.engine import Generation, PrefillCallback, PrefillProgress
from longctx.server.library import Corpus, Library
from longctx.server.metrics import Metrics
from longctx.server.tracing import span
from longctx.server.turns import QueueTurn, ServerEnds
from longctx.types import Answer, AskOptions, Message, Usage

_BETWEEN = 0.2  # seconds between two reports of how much of a prompt has been read
_LOOK = 1.0  # seconds after which a position in the queue is looked at again

DEFAULTS = AskOptions()
EventName = Literal["queued", "progress", "plan", "piece", "answer"]
_OF_ANSWER = ("piece", "answer")


@dataclass(frozen=True, slots=True)
class ChatQuestion:
    """A question as any protocol passes it on.

    Attributes:
        text: The question.
        options: How to answer it.
        history: Questions and answers before it; None for none.
        conversation: The conversation that it is a turn of; None for none.
        alone: Whether the model replies by itself, without documents.
    """

    text: str
    options: AskOptions = DEFAULTS
    history: tuple[Message, ...] | None = None
    conversation: str | None = None
    alone: bool = False


class ModelReply(AnswerStream):
    """A model's reply without documents, as an answer."""

    def __init__(self, generation: Generation) -> None:
        super().__init__()
        self._generation, self._text, self._began = generation, "", time.monotonic()

    def __next__(self) -> str:
        piece = next(self._generation, None)
        if piece is None:
            if self._answer is None:
                made, seconds = self._generation, time.monotonic() - self._began
                self._answer = Answer(self._text, (), None, Usage(made.prompt_tokens, made.completion_tokens, seconds))
            raise StopIteration
        self._text += piece
        return piece

    def close(self) -> None:
        """Stop the reply here."""
        self._generation.close()


class Answering:
    """A question that is being answered: `events` are for the client, `answer` is the whole answer.

    Args:
        library: Whose model answers.
        corpus: The index to ask.
        question: The question.
        client: Who asks; clients take turns. Raises TooBusy if too many wait.
        metrics: What is counted.
        raw: Whether sources stay paths, for a client of the same user on this machine.
    """

    def __init__(
        self,
        library: Library,
        corpus: Corpus,
        question: ChatQuestion,
        client: str,
        metrics: Metrics,
        *,
        raw: bool = False,
    ) -> None:
        self._corpus, self._question, self._metrics, self._raw = corpus, question, metrics, raw
        self._turn: QueueTurn = library.turns.enter(client)
        self._unfinished = library.unfinished
        self._unfinished.add(self._break_off)
        self._owned = ExitStack()
        self._stream = AsyncAnswerStream(self._begin, self._progress)
        self._queue: asyncio.Queue[tuple[EventName, Any] | Exception | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._reported = 0.0
        self._producer: asyncio.Task[None] | None = None

    async def events(self) -> AsyncGenerator[tuple[EventName, Any], None]:
        """Answer. Closing it early stops the model and gives the turn back.

        Yields:
            The events: `queued` with a position, `progress`, `plan`, `piece` with text, `answer` at the end.
        """
        try:
            while not self._turn.granted.done() and self._queue.empty():  # it is broken off where there is something
                yield "queued", self._turn.position
                await asyncio.wait([self._turn.granted], timeout=_LOOK)
            if self._queue.empty():
                await self._turn.wait()
                self._producer = asyncio.ensure_future(self._produce())
            while (item := await self._queue.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            await self.aclose()

    async def answer(self) -> Answer:
        """Answer, and return the whole answer."""
        async for _, value in self.events():
            last = value
        answer: Answer = last  # if it did not end with an error
        return answer

    async def begun(self) -> AsyncGenerator[tuple[EventName, Any], None]:
        """Wait until the answer begins; raises what cannot be served.

        Returns:
            The events of the answer itself: `piece` with text, and `answer` at the end.
        """
        events = self.events()
        async for first in events:
            if first[0] in _OF_ANSWER:
                break

        async def of_answer() -> AsyncGenerator[tuple[EventName, Any], None]:
            yield first
            async for event in events:
                if event[0] in _OF_ANSWER:
                    yield event

        return of_answer()

    async def aclose(self) -> None:
        """Stop the model and give the turn back. Whoever creates an `Answering` has to call it."""
        with anyio.CancelScope(shield=True):
            await self._end()

    async def _produce(self) -> None:
        with span("longctx.ask", {"longctx.index": self._corpus.name}) as traced:
            await self._put_events(traced)

    async def _put_events(self, traced: Any) -> None:
        began = time.monotonic()
        try:
            first = True
            async for piece in self._stream:
                if first:
                    self._metrics.first_token.observe(time.monotonic() - began)
                    await self._tell_plan()
                    first = False
                self._queue.put_nowait(("piece", piece))
            answer = await self._stream.answer()
            self._metrics.answered(answer)
            if traced is not None:
                traced.set_attributes(_figures(answer))
            if not self._raw:
                answer = await self._corpus.qa.read(partial(self._corpus.names.answer, answer))
            self._queue.put_nowait(("answer", answer))
        except Exception as error:
            self._queue.put_nowait(error)
        finally:
            self._queue.put_nowait(None)

    async def _tell_plan(self) -> None:
        plan = self._stream.plan
        if plan is not None and not self._raw:
            plan = await self._corpus.qa.read(partial(self._corpus.names.plan, plan))
        if plan is not None:
            self._queue.put_nowait(("plan", plan))

    async def _end(self) -> None:
        try:
            if self._producer is not None and not self._producer.done():
                self._producer.cancel()
                await asyncio.wait([self._producer])
            await self._stream.aclose()
            await anyio.to_thread.run_sync(self._owned.close)
        finally:
            self._unfinished.discard(self._break_off)
            self._turn.end()

    def _break_off(self) -> None:
        self._queue.put_nowait(ServerEnds("the server is ending before this answer is finished: ask again later"))

    def _begin(self, report: PrefillCallback) -> AnswerStream:
        asked, qa = self._question, self._corpus.qa.qa
        if asked.alone:
            messages = (*(asked.history or ()), Message("user", asked.text))
            return ModelReply(qa.stream_reply(asked.options.system, messages, asked.options, report))
        if asked.conversation is not None:
            folder = self._corpus.conversations.path
            conversation = self._owned.enter_context(Conversation.open(qa, asked.conversation, folder=folder))
            return conversation.stream(asked.text, asked.options, progress=report)
        if asked.history:
            return qa.run(request_with_history(qa, asked.text, asked.history, asked.options), report)
        return qa.stream(asked.text, asked.options, progress=report)

    def _progress(self, progress: PrefillProgress) -> None:
        """Called in the thread that answers."""
        now = time.monotonic()
        if now - self._reported >= _BETWEEN or progress.done >= progress.total:
            self._reported = now
            self._loop.call_soon_threadsafe(self._queue.put_nowait, ("progress", progress))


def _figures(answer: Answer) -> dict[str, str | int]:
    """The attributes of an answer in a trace."""
    return {
        "longctx.route": "quoted" if answer.plan is None else answer.plan.route,
        "gen_ai.usage.input_tokens": answer.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": answer.usage.completion_tokens,
    }
