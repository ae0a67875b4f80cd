"""Models that answer questions: here, by an engine, and on a server. Knows prompts; knows no index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from longctx.answering import Backend, Prompt
from longctx.backends.openai import CountedText, MessageFrame, MessageWriter, ServedModel
from longctx.engine import Engine, Generation, GenerationOptions, PrefillCallback
from longctx.errors import BadRequest
from longctx.models import LoadedModel, Measured, is_address, load_model, scaling_for, windows_of
from longctx.planning import Windows
from longctx.probe import Measurements, measured_by
from longctx.prompts import Frame, PromptTemplate, TokenIds, TokenWriter, choose_template
from longctx.types import Message, Plan
from rope_scaling import RopeScaling


def open_model(
    model: str | Path | LoadedModel | ServedModel | None,
    scaling: str | RopeScaling | None,
    window: int | None,
    loading: Mapping[str, Any],
    owned: ExitStack,
) -> Engine | ServedModel | None:
    """Load a model, or connect one, which is closed with `owned`. Raises as `load_model` and `ServedModel` do."""
    if isinstance(model, str) and is_address(model):
        if scaling is not None:
            raise BadRequest(f"scaling is {scaling!r}, and {model} has the window that it serves: leave --scaling out")
        if loading:
            raise BadRequest(f"{model} is loaded where it is served: leave {' and '.join(loading)} out")
        return owned.enter_context(ServedModel.connect(model, window=window))
    if isinstance(model, str | Path):
        model = load_model(model, scaling=scaling, native_window=window, **loading)
    return Engine(model) if isinstance(model, LoadedModel) else model


def backend_for(
    model: Engine | ServedModel, template: str | PromptTemplate | None, measured: Measurements
) -> Backend[Any]:
    """What answers with a model. Raises BadRequest for what cannot be had with it, and BadReport."""
    if isinstance(model, ServedModel):
        if template is not None:
            raise BadRequest(f"{model.url} writes prompts by a template of its own: leave the template out")
        if measured:
            raise BadRequest(f"what was measured is of a model here, not of {model.url}: give the window (--window)")
        return OpenAIBackend(model)
    loaded = model.loaded
    chosen = choose_template(template, loaded.name, loaded.tokenizer)
    return LocalBackend(model, TokenWriter(loaded.tokenizer, chosen), measured_by(measured, loaded))


@dataclass(frozen=True, slots=True)
class LocalBackend:
    """A model that runs here: an engine, how its prompts are written, and what was measured of it."""

    engine: Engine
    writer: TokenWriter
    measured: Sequence[Measured] = ()

    def windows(self) -> Windows:
        """Those of the model, and what free memory allows."""
        return windows_of(self.engine.loaded, self.measured, self.engine.tokens_in_memory())

    def say(self, prompt: Prompt[TokenIds], plan: Plan, progress: PrefillCallback | None) -> Generation:
        """Generate. A prompt with whole documents is kept: the next question's begins with them and what was said."""
        assert isinstance(prompt.frame, Frame)
        assert plan.window is not None
        ids = (*prompt.frame.head, *chain.from_iterable(prompt.documents), *prompt.frame.tail)
        assert len(ids) == plan.prompt_tokens
        # otherwise, which passages come first changes with every question
        prefix, suffix = ((), ids) if plan.route in ("retrieval", "self") else (ids, ())
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


class OpenAIBackend:
    """A model on a server, which has its template, its tokenizer and the only window that there is."""

    def __init__(self, model: ServedModel) -> None:
        self.writer = MessageWriter(model.counter)
        self._model = model

    def windows(self) -> Windows:
        """The server's."""
        model = self._model
        only = f"{model.url} serves a window of {model.window:,} tokens, which only the server can extend"
        return Windows(model.window, only_native=only)

    def say(self, prompt: Prompt[CountedText], plan: Plan, progress: PrefillCallback | None) -> Generation:
        """Ask the server, which does not tell how much it has read."""
        assert isinstance(prompt.frame, MessageFrame)
        messages = prompt.frame.filled("".join(part.text for part in prompt.documents))
        planned = len(prompt.frame) + sum(map(len, prompt.documents))
        assert plan.max_new_tokens is not None
        return self._model.chat(messages, GenerationOptions(plan.max_new_tokens), planned)

    def reply(self, system: str, messages: Sequence[Message], max_new_tokens: int) -> Generation:
        """Ask the server."""
        frame = self.writer.conversation(system, messages)
        return self._model.chat(frame.filled(""), GenerationOptions(max_new_tokens), len(frame))
