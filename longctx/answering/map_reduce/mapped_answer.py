"""Answers to questions that need every document: in one prompt where they fit, otherwise by route `map`."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain

from indexes import CorpusIndex
from longctx.answering.backend import Backend
from longctx.answering.citations import CitedText
from longctx.answering.conclusion import conclude, left_to_say
from longctx.answering.evidence import Evidence
from longctx.answering.generate import NEW_PLANS, AnswerStream, GeneratedAnswer
from longctx.answering.map_reduce.map_reduce import FinalPrompt, ListedAnswer, MapReduce
from longctx.answering.map_reduce.note_taking import NoteTaker
from longctx.answering.source import Source
from longctx.engine import Generation, PrefillCallback
from longctx.errors import ContextTooLong, LongctxError, PromptRefused
from longctx.planning import Policy
from longctx.prompts import nothing_found
from longctx.reasons import Reason
from longctx.types import Answer, Message, Plan, QuestionRequest, Thought, Usage


def answer_with_model(
    index: Source,
    backend: Backend,
    request: QuestionRequest,
    policy: Policy,
    progress: PrefillCallback | None = None,
) -> AnswerStream:
    """Answer a question with a model, by the route that its plan chooses.

    Args:
        index: Where to search.
        backend: The model.
        request: The question with its options.
        policy: How a route is chosen where the request names none.
        progress: Called with how much has been read.

    Returns:
        The pieces of the answer as they come.

    Raises:
        BadRequest: For a question or an option that cannot be served.
        ContextTooLong: If no route fits the model's windows.
        CorpusError: If the index cannot be searched.
    """
    stream = GeneratedAnswer(index, backend, request, policy, progress)
    if stream.plan.kind == "locate" and stream.plan.route != "map":
        return stream
    return EverythingAnswer(stream, index, backend, request, policy, progress)


class _NothingNoted(Exception):
    """Route `map` found nothing to compare or to summarise."""

    def __init__(self, plan: Plan, usage: Usage) -> None:
        super().__init__()
        self.plan, self.usage = plan, usage


class EverythingAnswer(AnswerStream):
    """An answer from all documents: in one prompt, or on route `map` where the plan, or a new one, says so.

    Where nobody asked for route `map`, and the window is too short for its rules or nothing is noted to compare or to
    summarise, passages are asked instead: "Compare the allowances of managers and staff" has its answer in one table.
    """

    def __init__(
        self,
        stream: GeneratedAnswer,
        index: Source,
        backend: Backend,
        request: QuestionRequest,
        policy: Policy,
        progress: PrefillCallback | None,
    ) -> None:
        super().__init__()
        self._index, self._backend, self._request, self._policy = index, backend, request, policy
        self._progress = progress
        self._why_not_mapped: tuple[Reason, ...] = ()
        self._spent = Usage()
        self._closed = False
        self._stream = self._mapped(stream.plan) if stream.plan.route == "map" else stream

    def __next__(self) -> str:
        while True:
            try:
                return next(self._stream)
            except PromptRefused:  # what was to fit a server's window does not
                plan = self._stream.plan if isinstance(self._stream, GeneratedAnswer) else None
                if plan is None or plan.route != "map":
                    raise
                self._stream = self._mapped(plan)
            except _NothingNoted as nothing:
                self._spent = nothing.usage
                self._stream = self._of_passages(nothing.plan, Reason("nothing_noted"))
            except StopIteration:
                if self._answer is None and not self._closed:
                    self._answer = self._explained(self._stream.answer)
                raise

    @property
    def plan(self) -> Plan | None:
        """How the model answers, as far as that is decided."""
        return self._stream.plan

    def close(self) -> None:
        """Stop the answer here."""
        self._closed = True
        self._stream.close()

    def _mapped(self, plan: Plan) -> AnswerStream:
        """The answer on route `map`, or from passages."""
        try:
            return MappedAnswer(self._index, self._backend, self._request, self._policy, plan, self._progress)
        except ContextTooLong as refusal:
            if not _may_choose(self._request, self._policy):
                raise
            return self._of_passages(plan, Reason("told", (str(refusal),)))

    def _of_passages(self, mapped: Plan, why_not: Reason) -> AnswerStream:
        self._why_not_mapped = (*mapped.reasons, why_not)
        request = replace(self._request, options=replace(self._request.options, route="retrieval"))
        return GeneratedAnswer(self._index, self._backend, request, self._policy, self._progress)

    def _explained(self, answer: Answer) -> Answer:
        assert answer.plan is not None
        usage = replace(
            answer.usage,
            prompt_tokens=self._spent.prompt_tokens + answer.usage.prompt_tokens,
            completion_tokens=self._spent.completion_tokens + answer.usage.completion_tokens,
            seconds=self._spent.seconds + answer.usage.seconds,
        )
        plan = replace(answer.plan, reasons=(*self._why_not_mapped, *answer.plan.reasons))
        return replace(answer, plan=plan, usage=usage)


def _may_choose(request: QuestionRequest, policy: Policy) -> bool:
    """Whether nobody asked for a route."""
    return (request.options.route or policy.route) == "auto"


class MappedAnswer(AnswerStream):
    """An answer on route `map`. The parts are read when the first piece is taken."""

    def __init__(
        self,
        index: Source,
        backend: Backend,
        request: QuestionRequest,
        policy: Policy,
        plan: Plan,
        progress: PrefillCallback | None,
    ) -> None:
        super().__init__()
        self._began = time.monotonic()
        self._backend, self._request, self._policy, self._plan = backend, request, policy, plan
        self._progress = progress
        assert isinstance(index, CorpusIndex), "whole documents are read of an index alone"
        with index.snapshot() as snapshot:
            self._chunks = snapshot.chunks(request.options.filters)
            self._question_idf = snapshot.content_idf(request.query)
        self._taker = NoteTaker(backend, request, plan, index, progress)
        self._reading = self._divided(plan)
        self._pieces = self._answered()

    def __next__(self) -> str:
        return next(self._pieces)

    @property
    def plan(self) -> Plan:
        """How the documents are read."""
        return self._plan

    def close(self) -> None:
        """Stop the answer here; the notes so far are kept."""
        self._pieces.close()

    def _answered(self) -> Generator[str, None, None]:
        """Read the parts, then list what they hold, or generate the answer."""
        with self._saying_how_far():
            started = self._started()
            if started is None and self._plan.kind != "count" and _may_choose(self._request, self._policy):
                raise _NothingNoted(self._plan_at_end(), self._usage())
            if started is None:
                text = nothing_found(self._request.question)
                self._answer = Answer(text, (), self._plan_at_end(), self._usage(), refused=True)
                yield text
            elif isinstance(started, ListedAnswer):
                passages = tuple(replace(passage, marked_by="added") for passage in started.passages)
                answer = Answer(started.text, passages, self._plan_at_end(), self._usage(), passages=passages)
                self._answer = replace(answer, search_query=self._request.search_query)
                yield started.text
            else:
                yield from self._generated(*started)

    def _generated(self, final: FinalPrompt, generation: Generation, first: str) -> Iterator[str]:
        # what the notes say, such as which is the largest, is supported as what was said before is
        passages, told = final.prompt.passages, Message("user", final.said)
        evidence = Evidence(self._question_idf, passages, [told])
        cited = CitedText(evidence, self._request.question)
        with generation:
            for piece in chain((first,), generation):
                if isinstance(piece, Thought):
                    yield piece
                elif settled := cited.add(piece):
                    yield settled
        if generation.taken_back:
            cited = CitedText(evidence, self._request.question)
            cited.add(generation.text)
        rest = cited.finish()
        answer, notes = conclude(cited, evidence, self._request.question, generation=generation)
        self._answer = replace(
            answer,
            plan=self._plan_at_end(notes),
            usage=self._usage(generation),
            passages=tuple(passages),
            search_query=self._request.search_query,
        )
        if rest := left_to_say(answer, cited, rest):
            yield rest

    def _started(self) -> tuple[FinalPrompt, Generation, str] | ListedAnswer | None:
        """The last prompt, and the answer to it with its first piece; a shorter one where a server refuses it.

        Returns:
            For a list, the answer itself instead; None if no part holds anything on the question.

        Raises:
            PromptRefused: If the server refuses prompts of any length.
        """
        plans_left = NEW_PLANS
        while True:
            try:
                notes = self._reading.notes()
                if not notes:
                    return None
                if listed := self._reading.listed(notes):
                    return listed
                final = self._reading.final(notes)
                sampling = self._request.options.sampling
                generation = self._backend.generate(final.prompt, final.plan, sampling, self._reading_notes())
                generation.shows_thinking = self._request.options.show_thinking
                return final, generation, next(generation, "")
            except PromptRefused as refusal:
                if not plans_left:
                    raise
                plans_left -= 1
                window = self._backend.windows().native
                reasons = (Reason("told", (str(refusal),)), *self._plan.reasons)
                plan = replace(self._plan, reasons=reasons, window=window)
                self._reading = self._divided(plan)

    def _divided(self, plan: Plan) -> MapReduce:
        return MapReduce(self._backend, self._request, self._policy, plan, self._chunks, self._taker)

    def _reading_notes(self) -> PrefillCallback | None:
        report = self._progress
        return None if report is None else lambda progress: report(replace(progress, doing="reading the notes"))

    def _plan_at_end(self, notes: Iterable[Reason] = ()) -> Plan:
        plan = self._reading.plan
        return replace(plan, reasons=(*plan.reasons, *self._reading.remarks(), *notes))

    def _usage(self, generation: Generation | None = None) -> Usage:
        read, written = self._taker.prompt_tokens, self._taker.completion_tokens
        if generation is not None:
            read, written = read + generation.prompt_tokens, written + generation.completion_tokens
        return Usage(read, written, time.monotonic() - self._began)

    @contextmanager
    def _saying_how_far(self) -> Iterator[None]:
        """Add to an error, and to Ctrl-C, how many parts are done, and that they are not read again."""
        try:
            yield
        except (LongctxError, KeyboardInterrupt) as error:
            raise type(error)("; ".join(filter(None, [str(error), self._how_far()]))) from error

    def _how_far(self) -> str:
        done, count = self._reading.done, self._reading.plan.parts
        if not self._taker.file.keeps:
            return f"{done} of {count} parts were read, but their notes could not be written to the index folder"
        return f"{done} of {count} parts are read and their notes kept: ask the same again to go on from there"
