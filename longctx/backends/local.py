"""The backends: a model in this process, run by an engine, and one on a server. Knows prompts; knows no index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, cast

from longctx.answering import Backend, Prompt
from longctx.backends.openai import CountedText, MessageFrame, MessageWriter, ServedModel
from longctx.engine import Engine, Generation, GenerationOptions, PrefillCallback
from longctx.errors import BadRequest
from longctx.models import (
    LoadedModel,
    Measured,
    Measurements,
    is_address,
    load_model,
    measured_for,
    scaling_for,
    windows_of,
)
from longctx.planning import Windows
from longctx.prompts import Frame, PromptTemplate, TokenIds, TokenWriter, choose_template
from longctx.types import Message, Plan, SamplingOptions
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
    model: Engine | ServedModel, template: str | PromptTemplate | None, measured: Sequence[Measured] | Measurements
) -> Backend:
    """The backend that answers with a model.

    Args:
        model: An engine, or a model on a server.
        template: How prompts are written; None is what fits the model.
        measured: How far the model was seen to read.

    Returns:
        The backend.

    Raises:
        BadRequest: For what cannot be had with the model.
        BadReport: If the measurements are of another model.
    """
    if isinstance(model, ServedModel):
        if template is not None:
            raise BadRequest(f"{model.url} writes prompts by a template of its own: leave the template out")
        if measured:
            raise BadRequest(f"what was measured is of a model here, not of {model.url}: give the window (--window)")
        return OpenAIBackend(model)
    loaded = model.loaded
    chosen = choose_template(template, loaded.name, loaded.tokenizer)
    return LocalBackend(model, TokenWriter(loaded.tokenizer, chosen), measured_for(measured, loaded))


@dataclass(frozen=True, slots=True)
class LocalBackend:
    """A model in this process: an engine, the writer of its prompts, and how far it was seen to read."""

    engine: Engine
    writer: TokenWriter
    measured: Sequence[Measured] = ()

    def windows(self) -> Windows:
        """The model's windows, and what free memory allows."""
        return windows_of(self.engine.loaded, self.measured, self.engine.tokens_in_memory())

    def generate(
        self, prompt: Prompt, plan: Plan, sampling: SamplingOptions, progress: PrefillCallback | None
    ) -> Generation:
        """Generate an answer; see `Backend`.

        The keys and values of whole documents are kept: the next question's prompt begins with them. Those of passages
        are not, since which come first changes with every question.
        """
        assert isinstance(prompt.frame, Frame)
        documents = cast("list[TokenIds]", prompt.documents)
        ids = (*prompt.frame.head, *chain.from_iterable(documents), *prompt.frame.tail)
        assert len(ids) == plan.prompt_tokens
        prefix, suffix = ((), ids) if plan.route in ("retrieval", "self") else (ids, ())
        scaling = scaling_for(self.engine.loaded, self.measured, plan.window, plan.scale > 1)
        options = GenerationOptions.of(sampling, plan.max_new_tokens, self.writer.template.stops)
        return self.engine.stream(prefix, suffix, scaling, options, progress)

    def reply(self, system: str, messages: Sequence[Message], max_new_tokens: int) -> Generation:
        """Generate a reply in the native window, without keeping anything."""
        scaling = scaling_for(self.engine.loaded, self.measured, self.engine.loaded.native_window, scaled=False)
        ids = self.writer.conversation(system, messages)
        options = GenerationOptions(max_new_tokens, stop=tuple(self.writer.template.stops))
        return self.engine.stream((), ids, scaling, options)


class OpenAIBackend:
    """A model on a server, which has its own template, its own tokenizer and one window."""

    def __init__(self, model: ServedModel) -> None:
        self.writer = MessageWriter(model.counter)
        self._model = model

    def windows(self) -> Windows:
        """The server's window."""
        model = self._model
        only = f"{model.url} serves a window of {model.window:,} tokens, which only the server can extend"
        return Windows(model.window, only_native=only)

    def generate(
        self, prompt: Prompt, plan: Plan, sampling: SamplingOptions, progress: PrefillCallback | None
    ) -> Generation:
        """Generate an answer; see `Backend`. A server does not tell how much of the prompt it has read."""
        assert isinstance(prompt.frame, MessageFrame)
        documents = cast("list[CountedText]", prompt.documents)
        messages = prompt.frame.filled("".join(part.text for part in documents))
        planned = len(prompt.frame) + sum(map(len, documents))
        return self._model.chat(messages, GenerationOptions.of(sampling, plan.max_new_tokens), planned)

    def reply(self, system: str, messages: Sequence[Message], max_new_tokens: int) -> Generation:
        """Generate a reply to messages, without passages."""
        frame = self.writer.conversation(system, messages)
        return self._model.chat(frame.filled(""), GenerationOptions(max_new_tokens), len(frame))
