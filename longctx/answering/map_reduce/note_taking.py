"""Asking a model for notes, a prompt at a time; what it has written once is read from the question's note file."""

from __future__ import annotations

import time
from collections.abc import Sequence, Sized
from dataclasses import asdict, replace
from functools import cached_property

from indexes import CorpusIndex
from longctx.answering.backend import Backend
from longctx.answering.context import Prompt
from longctx.answering.generate import TRUNCATED_BELOW
from longctx.answering.map_reduce.note_file import KeptReply, NoteFile, key_of
from longctx.engine import PrefillCallback, PrefillProgress
from longctx.prompts import Framing, PromptInputs, ReadingTask, asking_which
from longctx.types import Citation, Plan, QuestionRequest, ThinkingMode

_NOTES_SHARE, _MOST_NOTES = 8, 1024  # a reply may take this part of the window, and so many tokens at most


class NoteTaker:
    """Gets a model's replies to the prompts of one question.

    Args:
        backend: The model.
        request: The question with its options.
        plan: A plan for route `map`.
        index: The index, which keeps the notes in its folder.
        progress: Called with what is being read.

    Attributes:
        prompt_tokens: Tokens that the model has read for it.
        completion_tokens: Tokens that it has written.
        reused: Replies that were in the file.
        truncated: Prompts of which the model has read only a part.
    """

    def __init__(
        self,
        backend: Backend,
        request: QuestionRequest,
        plan: Plan,
        index: CorpusIndex,
        progress: PrefillCallback | None,
    ) -> None:
        self._backend, self._question = backend, request.query
        self._sampling = replace(request.options.sampling, stop=())  # stop strings are the answer's
        self._kind, self._index = plan.kind, index
        self._thinking_tokens = request.options.thinking_tokens
        self._progress, self._began = progress, time.monotonic()
        self.prompt_tokens = self.completion_tokens = self.reused = self.truncated = 0

    @cached_property
    def file(self) -> NoteFile:
        """The replies so far. Opened when it is needed, since to hash a model's weights takes seconds."""
        question = asking_which(self._question) if self._kind == "count" else self._question
        return NoteFile(self._index.path, self._identity, question, self._kind, within=self._index.held)

    @cached_property
    def _identity(self) -> str:
        return self._backend.identity()

    def frame(self, task: ReadingTask, system: str = "", thinking: ThinkingMode = "off") -> Framing:
        """Write what stands around the passages of a task.

        Args:
            task: What is to be done with them.
            system: A system prompt.
            thinking: Whether the model is to think about it.

        Returns:
            The parts before and after them.
        """
        thinking = thinking if self._backend.thinks("auto") else "auto"
        return self._backend.writer.frame(PromptInputs(self._question, system, task=task, thinking=thinking))

    def thoughts(self, thinking: ThinkingMode = "off") -> int:
        """Count the tokens that the model needs for thoughts.

        Args:
            thinking: Whether it is to think.

        Returns:
            Tokens; 0 if it does not think.
        """
        return self._thinking_tokens if self._backend.thinks(thinking) else 0

    def room(self, frame: Framing, new_tokens: int) -> int:
        """Count what the native window leaves.

        Args:
            frame: What stands around passages or notes.
            new_tokens: The longest reply.

        Returns:
            Tokens for passages or notes; 0 or less if there are none.
        """
        windows = self._backend.windows()
        return windows.holds(windows.native) - len(frame) - new_tokens - self.thoughts()

    @property
    def new_tokens(self) -> int:
        """The longest reply in tokens."""
        windows = self._backend.windows()
        return max(1, min(_MOST_NOTES, windows.holds(windows.native) // _NOTES_SHARE))

    def reply(
        self,
        frame: Framing,
        documents: Sequence[Sized],
        passages: Sequence[Citation],
        at: PrefillProgress | None,
        new_tokens: int | None = None,
        top_logprobs: int = 0,
    ) -> KeptReply:
        """Get the reply to one prompt.

        Args:
            frame: What stands around the documents.
            documents: Passages or notes, as the backend's writer writes them.
            passages: Where they come from.
            at: How far the reading is, for `progress`; `done` are the tokens before this prompt. None for a prompt
                that takes it no further.
            new_tokens: The longest reply; None for `self.new_tokens`.
            top_logprobs: As for `Backend.generate`.

        Returns:
            The reply.

        Raises:
            LongctxError: As `Backend.generate` does.
        """
        new, window = new_tokens or self.new_tokens, self._backend.windows().native
        tokens = len(frame) + sum(map(len, documents))
        written = [_written(part) for part in (frame.head, *documents, frame.tail)]
        likeliest = [top_logprobs] if top_logprobs else []
        key = key_of([self._identity, written, new, asdict(self._sampling), *likeliest])
        reply = self.file.get(key)
        if reply is None:
            self._report(at)
            plan = Plan("map", (), window, prompt_tokens=tokens, max_new_tokens=new, thinking_tokens=self.thoughts())
            prompt = Prompt(frame, list(documents), list(passages))
            with self._backend.generate(prompt, plan, self._sampling, self._inner(at), top_logprobs) as pieces:
                text = pieces.rest()
            counts = pieces.prompt_tokens, pieces.completion_tokens
            reply = KeptReply(text, pieces.finish or "end", *counts, pieces.top_logprobs)
            self.file.add(key, reply)
            self.prompt_tokens += reply.prompt_tokens
            self.completion_tokens += reply.completion_tokens
        else:
            self.reused += 1
        self.truncated += reply.prompt_tokens < TRUNCATED_BELOW * tokens
        return reply

    def _report(self, at: PrefillProgress | None, done: int = 0) -> None:
        if self._progress is not None and at is not None:
            speed = (self.prompt_tokens + done) / max(1e-9, time.monotonic() - self._began)
            self._progress(replace(at, done=min(at.total, at.done + done), tokens_per_second=speed))

    def _inner(self, at: PrefillProgress | None) -> PrefillCallback | None:
        """Adds how much of a prompt has been read to what was read before it."""
        return None if self._progress is None else lambda progress: self._report(at, progress.done)


def _written(part: Sized) -> object:
    """A part of a prompt, as the model reads it: token ids, or the text that a server is sent."""
    return getattr(part, "text", part)
