"""`AsyncDocumentQA`: document question answering for asyncio. The work itself is done in threads, by `DocumentQA`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from indexes import IngestReport, SearchHit
from longctx.answering import AnswerStream
from longctx.engine import PrefillCallback, PrefillProgress
from longctx.errors import BadRequest
from longctx.qa import DocumentQA
from longctx.types import Answer, AskOptions, Plan

T = TypeVar("T")

_MOST_SEARCHES = 8  # threads that search at the same time; answers have a thread each


class Stopped(Exception):
    """Raised in the thread that reads a prompt when nobody waits for the answer any more."""


class AsyncAnswerStream(AsyncIterator[str]):
    """The pieces of an answer, for `async for`; `answer` awaits the whole `Answer`.

    Each piece is generated in a thread. A task that is cancelled while it waits stops the model at the next block of
    the prompt, or after the next token.

    Args:
        begin: Begins the answer, and is told which callback to report progress to. It is called in a thread.
        progress: Called, in that thread, with how much of the prompt has been read.
    """

    def __init__(
        self, begin: Callable[[PrefillCallback], AnswerStream], progress: PrefillCallback | None = None
    ) -> None:
        self._begin, self._progress = begin, progress
        self._stream: AnswerStream | None = None
        self._stopped = threading.Event()
        self._limiter = anyio.CapacityLimiter(1)  # its own, so that an answer never waits for another one's thread

    async def __anext__(self) -> str:
        piece = await self._in_thread(self._next)
        if piece is None:
            raise StopAsyncIteration
        return piece

    @property
    def plan(self) -> Plan | None:
        """How the model answers, as far as that is decided; None before the first piece, and without a model."""
        return None if self._stream is None else self._stream.plan

    async def answer(self) -> Answer:
        """The finished answer; pieces that have not been taken yet are taken first.

        Returns:
            The whole answer.

        Raises:
            BadRequest: If the stream was closed before the answer was finished.
        """
        return await self._in_thread(self._finish)

    async def aclose(self) -> None:
        """Stop the answer here, and wait until the model has stopped."""
        self._stopped.set()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close, limiter=self._limiter)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        work = asyncio.ensure_future(anyio.to_thread.run_sync(call, limiter=self._limiter))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._stopped.set()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([work])
            if not work.cancelled():
                work.exception()  # it was stopped: nobody asks why
            raise

    def _report(self, progress: PrefillProgress) -> None:
        if self._stopped.is_set():
            raise Stopped
        if self._progress is not None:
            self._progress(progress)

    def _begun(self) -> AnswerStream:
        if self._stopped.is_set():
            raise BadRequest("the stream was closed before the answer was finished: ask again")
        if self._stream is None:
            self._stream = self._begin(self._report)
        return self._stream

    def _next(self) -> str | None:
        return next(self._begun(), None)

    def _finish(self) -> Answer:
        for _ in self._begun():  # `AnswerStream.answer` would not look whether it has been stopped
            if self._stopped.is_set():
                raise Stopped
        return self._begun().answer

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()


class AsyncDocumentQA:
    """`DocumentQA` for asyncio: the same questions and answers, without blocking the event loop.

    >>> from longctx import AsyncDocumentQA
    >>> async with await AsyncDocumentQA.open("my-index") as qa:
    ...     answer = await qa.ask("How does YaRN scale RoPE?")

    Args:
        qa: What answers. It is closed with this object.
    """

    def __init__(self, qa: DocumentQA) -> None:
        self.qa = qa
        self._searches = anyio.CapacityLimiter(_MOST_SEARCHES)

    @classmethod
    async def open(cls, path: str | Path | None = None, model: Any = None, **options: Any) -> AsyncDocumentQA:
        """Open an index and a model, as `DocumentQA.open` does; for arguments and errors see `DocumentQA.open`."""
        return cls(await _in_thread(lambda: DocumentQA.open(path, model, **options)))

    async def close(self) -> None:
        """Close the index, and what was connected for it."""
        await _in_thread(self.qa.close)

    async def __aenter__(self) -> AsyncDocumentQA:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def ask(self, question: str, options: AskOptions | None = None, **changes: Any) -> Answer:
        """Answer a question; for arguments and errors see `DocumentQA.ask`."""
        return await self.stream(question, options, **changes).answer()

    def stream(
        self,
        question: str,
        options: AskOptions | None = None,
        *,
        progress: PrefillCallback | None = None,
        **changes: Any,
    ) -> AsyncAnswerStream:
        """Answer a question, piece by piece; for arguments and errors see `DocumentQA.ask`.

        Returns:
            The pieces, for `async for`. Nothing is done until the first one is awaited, which also raises what cannot
            be served.
        """
        return AsyncAnswerStream(
            lambda report: self.qa.stream(question, options, progress=report, **changes), progress=progress
        )

    async def search(self, query: str, k: int = 10, mode: str = "hybrid", **options: Any) -> list[SearchHit]:
        """Find the chunks that answer a query best; for arguments and errors see `CorpusIndex.search`."""
        return await self.read(lambda: self.qa.index.search(query, k, mode, **options))

    async def read(self, call: Callable[[], T]) -> T:
        """Call something that reads the index, in one of the threads for searches.

        Args:
            call: What to call.

        Returns:
            What it returns.
        """
        return await anyio.to_thread.run_sync(call, limiter=self._searches)

    async def ingest(self, paths: str | Path | Iterable[str | Path], **options: Any) -> IngestReport:
        """Bring the index up to date with files and folders; for arguments and errors see `CorpusIndex.ingest`."""
        return await _in_thread(lambda: self.qa.ingest(paths, **options))


async def _in_thread(call: Callable[[], T]) -> T:
    """Call something that may take long in a thread of its own."""
    return await anyio.to_thread.run_sync(call, limiter=anyio.CapacityLimiter(1))
