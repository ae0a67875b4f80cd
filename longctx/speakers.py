"""Models that answer questions. Knows prompts; knows no index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from longctx.engine import Engine
from longctx.generation import Generation
from longctx.material import Prompt
from longctx.planner import Windows
from longctx.probe.evidence import Shown, measured_by
from longctx.prompts import Frame, Ids, PromptWriter
from longctx.requests import ProgressCallback
from longctx.sampling import GenerationOptions
from longctx.speaking import Speaker
from longctx.templates import PromptTemplate, choose_template
from longctx.types import Message, Plan
from longctx.windows import Measured, scaling_for, windows_of


def speaker_of(engine: Engine, template: str | PromptTemplate | None, measured: Shown) -> Speaker[Any]:
    """What answers with a model. Raises BadRequest for a template that is none, and BadReport."""
    loaded = engine.loaded
    chosen = choose_template(template, loaded.name, loaded.tokenizer)
    return EngineSpeaker(engine, PromptWriter(loaded.tokenizer, chosen), measured_by(measured, loaded))


@dataclass(frozen=True, slots=True)
class EngineSpeaker:
    """A model that runs here: an engine, how its prompts are written, and what was measured of it."""

    engine: Engine
    writer: PromptWriter
    measured: Sequence[Measured] = ()

    def windows(self) -> Windows:
        """Those of the model, and what free memory allows."""
        return windows_of(self.engine.loaded, self.measured, self.engine.tokens_in_memory())

    def say(self, prompt: Prompt[Ids], plan: Plan, progress: ProgressCallback | None) -> Generation:
        """Generate; documents that are whole are worth keeping for the next question."""
        assert isinstance(prompt.frame, Frame)
        assert plan.window is not None
        prefix, suffix = (*prompt.frame.head, *chain.from_iterable(prompt.documents)), prompt.frame.tail
        assert len(prefix) + len(suffix) == plan.prompt_tokens
        if plan.route in ("retrieval", "self"):  # which passages come first changes with every question
            prefix, suffix = (), (*prefix, *suffix)
        scaling = scaling_for(self.engine.loaded, self.measured, plan.window, plan.scale > 1)
        assert plan.max_new_tokens is not None
        return self.engine.stream(prefix, suffix, scaling, self._options(plan.max_new_tokens), progress)

    def reply(self, system: str, messages: Sequence[Message], max_new_tokens: int) -> Generation:
        """Generate in the native window, without keeping anything."""
        scaling = scaling_for(self.engine.loaded, self.measured, self.engine.loaded.native_window, scaled=False)
        ids = self.writer.conversation(system, messages)
        return self.engine.stream((), ids, scaling, self._options(max_new_tokens))

    def _options(self, new_tokens: int) -> GenerationOptions:
        return GenerationOptions(new_tokens, stop=tuple(self.writer.template.stops))
