"""Answering a question with a model: search, gather, plan, render, generate, check the marks.

Each stage is one call that takes values and returns values. Within `index.snapshot()` everything is read that an answer
can need, so that one answer never mixes two generations of an index.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from longctx.answering.backend import Backend
from longctx.answering.budget import prompt_budget
from longctx.answering.citations import CitedText
from longctx.answering.conclusion import conclude, left_to_say
from longctx.answering.context import CandidateContext, gather, plan_prompt, render, with_cached
from longctx.answering.evidence import Evidence
from longctx.answering.source import Source, check_found
from longctx.engine import Generation, PrefillCallback
from longctx.errors import BadRequest, ContextTooLong, PromptRefused
from longctx.planning import Policy, question_kind
from longctx.prompts import is_unanswerable
from longctx.reasons import Reason, in_english
from longctx.types import Answer, Plan, QuestionRequest, Thought, Usage

TRUNCATED_BELOW = 0.5  # of a prompt: a server that has read so little of it has cut some of it off
NEW_PLANS = 2  # for one question, where a server refuses a length that it was said to take


class AnswerStream(Iterator[str]):
    """The pieces of an answer as they come; `answer` is the whole `Answer`. Closing it early stops the work."""

    def __init__(self) -> None:
        self._answer: Answer | None = None

    @property
    def answer(self) -> Answer:
        """The finished answer; pieces that have not been taken yet are taken first.

        Raises:
            BadRequest: If the stream was closed before the answer was finished.
        """
        for _ in self:
            pass
        if self._answer is None:
            raise BadRequest("the stream was closed before the answer was finished: ask again")
        return self._answer

    @property
    def plan(self) -> Plan | None:
        """How the model answers, as far as that is decided; None without a model."""
        return None if self._answer is None else self._answer.plan

    def close(self) -> None:
        """Stop the answer here."""


class FinishedAnswer(AnswerStream):
    """An answer that is there already, as a stream of one piece."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._finished: Answer | None = answer

    def __next__(self) -> str:
        if self._finished is None:
            raise StopIteration
        self._answer, self._finished = self._finished, None
        return self._answer.text

    def close(self) -> None:
        """Forget the answer, unless it has been taken."""
        self._finished = None


def prepare(index: Source, backend: Backend, request: QuestionRequest, policy: Policy) -> tuple[CandidateContext, Plan]:
    """Search, gather candidates for the prompt, and plan; the index is read in one snapshot.

    Args:
        index: Where to search.
        backend: The model that will answer.
        request: The question and its options.
        policy: How a route is chosen where the request names none.

    Returns:
        The candidates with their token counts, and the plan.

    Raises:
        BadRequest: For a question or an option that cannot be served.
        ContextTooLong: If no route fits the model's windows.
        CorpusError: If the index cannot be searched.
    """
    options, windows = request.options, backend.windows()
    policy = replace(policy, route=options.route or policy.route, expand=max(options.expand, policy.expand))
    thoughts = options.thinking_tokens if backend.thinks(options.thinking) else 0
    kind = options.kind or question_kind(request.question, of_everything=policy.route == "map")
    last = request.last if policy.keep_order else None
    request = replace(request, options=replace(options, kind=kind, expand=policy.expand), last=last)
    with index.snapshot() as snapshot:
        hits = snapshot.search(request.query, options.k, options.mode, filters=options.filters)
        check_found(snapshot, hits, options.filters)
        candidates = gather(snapshot, hits, request, backend.writer, windows.largest, thoughts)
    candidates = with_cached(candidates, backend.writer, backend.cached_tokens)
    policy = replace(policy, budget=prompt_budget(backend, candidates.costs, windows, policy, options))
    plan = plan_prompt(candidates, backend.writer, windows, policy)
    return candidates, _with_room_for_thoughts(plan, thoughts) if thoughts else plan


def _with_room_for_thoughts(plan: Plan, tokens: int) -> Plan:
    """A plan whose room for the answer is that of the thoughts, too, with the two told apart."""
    fallback = None if plan.fallback is None else _with_room_for_thoughts(plan.fallback, tokens)
    answer = plan.max_new_tokens - tokens
    return replace(plan, max_new_tokens=answer, thinking_tokens=tokens, fallback=fallback)


def _after(reason: Reason, plan: Plan) -> Plan:
    """A plan with a reason before its own."""
    return replace(plan, reasons=(reason, *plan.reasons))


class GeneratedAnswer(AnswerStream):
    """An answer that a model generates. What can be refused is refused at once; the model starts at the first piece."""

    def __init__(
        self,
        index: Source,
        backend: Backend,
        request: QuestionRequest,
        policy: Policy,
        progress: PrefillCallback | None = None,
    ) -> None:
        super().__init__()
        self._began = time.monotonic()
        self._index, self._backend, self._request, self._policy = index, backend, request, policy
        self._progress = progress
        self._candidates, self._plan = prepare(index, backend, request, policy)
        self._taken_back = False
        self._note = ""
        self._new_plans_left = NEW_PLANS
        self._generation: Generation | None = None
        self._held = ""  # text of route self, until it is clear whether it is an answer
        self._read = self._reused = self._written = 0  # tokens of generations before this one
        self._first_token_seconds = 0.0
        self._closed = False

    @property
    def plan(self) -> Plan:
        """The plan; on route `map`, which reads more than one prompt, `EverythingAnswer` has to take it."""
        return self._plan

    def __next__(self) -> str:
        while not self._closed:
            piece = self._next_piece()
            self._first_token_seconds = self._first_token_seconds or time.monotonic() - self._began
            if piece is None:
                rest = self._finish()
                self.close()
                if not rest:
                    break
                return rest
            if isinstance(piece, Thought):
                return piece
            self._take_back()
            settled = self._cited.add(piece)
            if settled and not self._doubtful:
                return settled
        raise StopIteration

    def close(self) -> None:
        """Stop the answer here."""
        self._closed = True
        if self._generation is not None:
            self._generation.close()

    def _next_piece(self) -> str | None:
        """The model's next piece of text; None at the end."""
        while True:
            try:
                generation = self._generation or self._start()
                piece = next(generation, None)
            except PromptRefused as refusal:
                self._plan_again(refusal, Reason("told", (str(refusal),)))
                continue
            if piece is None and self._needs_room(generation):
                why = Reason("asked_again")
                self._plan_again(PromptRefused(in_english([why])), why)
                continue
            if isinstance(piece, Thought):
                return piece
            if self._plan.fallback is None:
                return piece
            self._held += piece or ""
            unanswerable = is_unanswerable(self._held)
            if unanswerable or piece is None:
                self._fall_back(self._plan.fallback)
            elif unanswerable is False:
                self._plan = replace(_after(Reason("passages_held"), self._plan), fallback=None)
                return self._held

    def _needs_room(self, generation: Generation) -> bool:
        """Whether an answer ended in thoughts that nobody knew of, and that no room had been kept for."""
        knows = self._backend.thinks(self._request.options.thinking) and not self._plan.thinking_tokens
        if knows and generation.inside_thoughts and self._new_plans_left:
            self._read += generation.prompt_tokens
            self._reused += generation.reused_tokens
            self._written += generation.completion_tokens
            return True
        return False

    def _take_back(self) -> None:
        """Begin the answer anew where its beginning has turned out to be thoughts."""
        assert self._generation is not None
        if self._generation.taken_back and not self._taken_back:
            self._taken_back = True
            self._cited = CitedText(self._evidence, self._request.question)

    def _start(self) -> Generation:
        """Render the plan's prompt and let the model read it."""
        self._prompt = render(self._candidates, self._backend.writer, self._plan)
        self._evidence = Evidence(self._candidates.question_idf, self._prompt.passages, self._request.history or ())
        self._cited = CitedText(self._evidence, self._request.question)
        is_fact = self._request.history is None and self._plan.kind == "locate"
        self._doubtful = is_fact and self._evidence.is_doubtful(self._request.query)
        sampling = self._request.options.sampling
        self._generation = self._backend.generate(self._prompt, self._plan, sampling, self._progress)
        self._generation.shows_thinking = self._request.options.show_thinking
        self._taken_back = False
        return self._generation

    def _plan_again(self, refusal: PromptRefused, why: Reason) -> None:
        """A new plan, for the window that is known since a server refused a prompt."""
        if not self._new_plans_left:
            raise refusal
        self._new_plans_left -= 1
        self._generation = None
        try:
            self._candidates, plan = prepare(self._index, self._backend, self._request, self._policy)
        except ContextTooLong as error:
            raise ContextTooLong(f"{refusal}; {error}") from error
        self._note = str(refusal)
        self._plan = _after(why, plan)
        if plan.route == "map":
            raise refusal

    def _fall_back(self, fallback: Plan) -> None:
        """Take the second plan of route self."""
        assert self._generation is not None
        self._generation.close()
        self._read += self._generation.prompt_tokens
        self._reused += self._generation.reused_tokens
        self._written += self._generation.completion_tokens
        self._generation, self._held = None, ""
        self._plan = _after(Reason("passages_did_not"), fallback)

    def _finish(self) -> str:
        """Conclude the answer; returns the text that was not returned yet."""
        assert self._generation is not None
        self._take_back()
        rest = self._cited.finish()
        query = self._request.query if self._doubtful else ""
        answer, notes = conclude(self._cited, self._evidence, self._request.question, query, self._generation)
        read = self._generation.prompt_tokens
        if read < TRUNCATED_BELOW * self._plan.prompt_tokens:
            notes = [Reason("read_little", (read,))]
        self._answer = replace(
            answer,
            plan=replace(self._plan, reasons=(*self._plan.reasons, *notes)),
            usage=Usage(
                prompt_tokens=self._read + read,
                completion_tokens=self._written + self._generation.completion_tokens,
                seconds=time.monotonic() - self._began,
                first_token_seconds=self._first_token_seconds,
                reused_tokens=self._reused + self._generation.reused_tokens,
            ),
            passages=tuple(self._prompt.passages),
            search_query=self._request.search_query,
            note="; ".join(filter(None, [self._note, answer.note])),
        )
        return answer.text if self._doubtful else left_to_say(answer, self._cited, rest)
