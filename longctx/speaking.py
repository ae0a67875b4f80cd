"""Carrying out a plan: a prompt is written, the model speaks, its marks are checked. Knows no index."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace

from longctx.citing import CitedText
from longctx.engine import Engine
from longctx.language import gives_up
from longctx.material import Material, write
from longctx.prompts import PromptWriter
from longctx.requests import ProgressCallback
from longctx.sampling import GenerationOptions
from longctx.types import Citation, Plan
from longctx.windows import Measured, scaling_for


@dataclass(frozen=True, slots=True)
class Speaker:
    """What speaks: an engine, how its prompts are written, and what was measured of it."""

    engine: Engine
    writer: PromptWriter
    measured: Sequence[Measured] = ()


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
    speaker: Speaker, material: Material, spoken: Spoken, progress: ProgressCallback | None
) -> Generator[str, None, None]:
    """The pieces of an answer. On route self, the first are held back until it is clear that they are one."""
    otherwise, held = spoken.plan.otherwise, ""
    if otherwise is None:
        yield from _carry_out(speaker, material, spoken, progress)
        return
    first = _carry_out(speaker, material, spoken, progress)
    gave_up: bool | None = None
    for piece in first:
        held = piece if gave_up is False else held + piece
        gave_up = gives_up(held) if gave_up is None else gave_up
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
    speaker: Speaker, material: Material, spoken: Spoken, progress: ProgressCallback | None
) -> Generator[str, None, None]:
    plan, engine = spoken.plan, speaker.engine
    assert plan.window is not None
    assert plan.max_new_tokens is not None
    prefix, suffix, spoken.passages = write(material, speaker.writer, plan)
    if plan.route in ("retrieval", "self"):  # which passages come first changes with every question
        prefix, suffix = (), (*prefix, *suffix)
    scaling = scaling_for(engine.loaded, speaker.measured, plan.window, plan.scale > 1)
    options = GenerationOptions(plan.max_new_tokens, stop=tuple(speaker.writer.template.stops))
    cited, before = CitedText(len(spoken.passages)), spoken.completion_tokens
    spoken.prompt_tokens += len(prefix) + len(suffix)
    with engine.stream(prefix, suffix, scaling, options, progress) as stream:
        for piece in stream:
            spoken.completion_tokens = before + stream.completion_tokens
            if settled := cited.add(piece):
                yield settled
    spoken.completion_tokens = before + stream.completion_tokens
    if settled := cited.finish():
        yield settled
    spoken.text = cited.text.strip()
    spoken.cited = tuple(spoken.passages[number - 1] for number in cited.numbers)
