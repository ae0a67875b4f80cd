"""Carrying out a plan: a prompt is written, the model speaks, its marks are checked. Knows no index."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from longctx.answering.citations import CitedText
from longctx.answering.context import CandidateContext, Prompt, render
from longctx.engine import Generation, PrefillCallback
from longctx.errors import PromptRefused
from longctx.planning import Windows
from longctx.prompts import PartT, PromptWriter, is_unanswerable
from longctx.types import Citation, Message, Plan

_CUT_SHORT = 0.5  # of a prompt: if so little was read, some of it was left out
_NEW_PLANS = 2  # for one question, where a model refuses what it was said to take

Prepared = tuple[CandidateContext[PartT], Plan]


class Backend(Protocol[PartT]):
    """A model that answers, here or elsewhere: it has windows, prompts that are written for it, and it speaks."""

    @property
    def writer(self) -> PromptWriter[PartT]:
        """What writes its prompts and counts their tokens."""

    def windows(self) -> Windows:
        """How long its prompts can be, as far as is known now."""

    def say(self, prompt: Prompt[PartT], plan: Plan, progress: PrefillCallback | None) -> Generation:
        """An answer as it comes.

        Raises PromptRefused, then or before the first piece, if the prompt is longer than the model takes after all,
        and `windows` says so from then on.
        """

    def reply(self, system: str, messages: Sequence[Message], max_new_tokens: int) -> Generation:
        """What is said to messages, without passages."""


@dataclass(slots=True)
class Spoken:
    """What has been said so far, by which plan, and the tokens that it took."""

    plan: Plan
    text: str = ""
    passages: list[Citation] = field(default_factory=list)
    cited: tuple[Citation, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0


def speak(
    speaker: Backend[PartT], prepare: Callable[[], Prepared[PartT]], progress: PrefillCallback | None
) -> tuple[Spoken, Generator[str, None, None]]:
    """What will have been said, and the pieces of it as they come.

    A question is prepared at once; and again, which its plan says, if the model refuses the length of the prompt.
    """
    material, plan = prepare()
    spoken = Spoken(plan)

    def pieces() -> Generator[str, None, None]:
        nonlocal material
        for left in reversed(range(_NEW_PLANS + 1)):
            try:
                yield from _follow(speaker, material, spoken, progress)
                return
            except PromptRefused as refusal:
                if not left:
                    raise
                material, plan = prepare()
                spoken.plan = replace(plan, reason=f"{refusal}; {plan.reason}")

    return spoken, pieces()


def _follow(
    speaker: Backend[PartT], material: CandidateContext[PartT], spoken: Spoken, progress: PrefillCallback | None
) -> Generator[str, None, None]:
    """Carry out a plan. On route self, the first pieces are held back until it is clear that they are an answer."""
    otherwise, held = spoken.plan.otherwise, ""
    if otherwise is None:
        yield from _carry_out(speaker, material, spoken, progress)
        return
    first = _carry_out(speaker, material, spoken, progress)
    gave_up: bool | None = None
    for piece in first:
        held = piece if gave_up is False else held + piece
        gave_up = is_unanswerable(held) if gave_up is None else gave_up
        if gave_up:
            first.close()
            break
        if gave_up is False:
            yield held
    if gave_up is False:
        spoken.plan = replace(spoken.plan, reason=f"the passages held the answer; {spoken.plan.reason}", otherwise=None)
        return
    reason = f"the model said that the passages do not hold the answer; {otherwise.reason}"
    spoken.plan = replace(otherwise, reason=reason)
    yield from _carry_out(speaker, material, spoken, progress)


def _carry_out(
    speaker: Backend[PartT], material: CandidateContext[PartT], spoken: Spoken, progress: PrefillCallback | None
) -> Generator[str, None, None]:
    prompt = render(material, speaker.writer, spoken.plan)
    spoken.passages = prompt.passages
    cited, read, said = CitedText(len(prompt.passages)), spoken.prompt_tokens, spoken.completion_tokens
    with speaker.say(prompt, spoken.plan, progress) as stream:
        for piece in stream:
            spoken.prompt_tokens = read + stream.prompt_tokens
            spoken.completion_tokens = said + stream.completion_tokens
            if settled := cited.add(piece):
                yield settled
    # a server says how many there were when it is done
    spoken.prompt_tokens, spoken.completion_tokens = read + stream.prompt_tokens, said + stream.completion_tokens
    if stream.prompt_tokens < _CUT_SHORT * (spoken.plan.prompt_tokens or 0):
        cut = f"the model read only {stream.prompt_tokens:,} tokens of this, and may have cut the rest: give its window"
        spoken.plan = replace(spoken.plan, reason=f"{spoken.plan.reason}; {cut} (--window)")
    if settled := cited.finish():
        yield settled
    spoken.text = cited.text.strip()
    spoken.cited = tuple(spoken.passages[number - 1] for number in cited.numbers)
