"""The backends of an answer: a model that an engine runs here, transformers' or llama.cpp's, and one on a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, cast

from longctx.answering import GREEDY, Backend, Prompt
from longctx.backends.openai import CountedText, MessageFrame, MessageWriter, ServedModel
from longctx.engine import Engine, Generation, GenerationOptions, PrefillCallback, PrefixStore, Thinking
from longctx.errors import BadRequest
from longctx.gguf import GgufEngine, choose_gguf_template
from longctx.models import (
    FASTEST,
    LoadedModel,
    Measured,
    Measurements,
    is_address,
    is_gguf,
    load_model,
    measured_for,
    scaling_for,
    windows_of,
)
from longctx.planning import DEFAULT_SECONDS, ReadingSpeed, Windows
from longctx.prompts import Frame, PromptTemplate, TokenIds, TokenWriter, choose_template
from longctx.reasons import Reason
from longctx.types import Message, Plan, SamplingOptions, ThinkingMode
from rope_scaling import RopeScaling

_REPLY_THOUGHTS = 256  # tokens that a short reply may be thought about, by a model that cannot do without
_GGUF_OPTIONS = {"cache_dtype", "device"}  # of `GgufEngine.open`, beside scaling and window
_SERVER_OPTIONS = {"api_key", "timeout", "retries", "allow_insecure"}  # of `ServedModel.connect`, beside window


def check_loading(
    model: object, scaling: str | RopeScaling | None, window: int | None, loading: Mapping[str, Any]
) -> None:
    """Check that options for loading a model come with one to load; for the arguments see `open_model`.

    Raises:
        BadRequest: For an option without a model, or with one that is open already.
    """
    if not (model is None or isinstance(model, str | Path | LoadedModel | Engine | GgufEngine | ServedModel)):
        raise BadRequest(f"model is {model!r}: give a folder, a hub name, a server's address or an open model")
    if not isinstance(loading, Mapping):
        raise BadRequest(f"loading is {loading!r}: give a mapping, such as {{'dtype': 'float32'}}")
    given = {name: v for name, v in {"scaling": scaling, "window": window, **loading}.items() if v is not None}
    if given and not isinstance(model, str | Path):
        name, value = next(iter(given.items()))
        remedy = "give a model too" if model is None else "give it where the model is loaded"
        raise BadRequest(f"{name} is {value!r}, and there is no model to load: {remedy}")


def open_model(
    model: str | Path | LoadedModel | GgufEngine | ServedModel | None,
    scaling: str | RopeScaling | None,
    window: int | None,
    loading: Mapping[str, Any],
    owned: ExitStack,
    store: PrefixStore | None = None,
) -> Engine | GgufEngine | ServedModel | None:
    """Load a model, or connect to one.

    Args:
        model: A folder or hub name to load, a GGUF file, or the address of a server; a model that is open already is
            used as it is; None is no model.
        scaling: For a model to load; see `load_model`.
        window: Overrides the context length that the model's configuration or its server states, in tokens.
        loading: Further options of `load_model`, and `cache_dtype` of the engine; for a server, those of
            `ServedModel.connect`.
        owned: Closes the connection that this makes, and llama.cpp.
        store: Where an engine that this makes keeps the keys and values of documents.

    Returns:
        An engine, or a model on a server; None for no model. Raises as `load_model`, `GgufEngine.open` and
        `ServedModel.connect` do.

    Raises:
        BadRequest: For options of `load_model` with the address of a server, for those that a GGUF file does not have,
            and for an empty name.
    """
    if isinstance(model, str) and not model.strip():
        raise BadRequest("the model's name is empty: give a folder, a hub name or a server's, or no model")
    if isinstance(model, str) and is_address(model):
        if scaling is not None:
            raise BadRequest(f"scaling is {scaling!r}, and {model} has the window that it serves: leave --scaling out")
        if of_weights := [name for name in loading if name not in _SERVER_OPTIONS]:
            raise BadRequest(f"{model} is loaded where it is served: leave {' and '.join(of_weights)} out")
        return owned.enter_context(ServedModel.connect(model, window=window, **loading))
    if isinstance(model, str | Path) and is_gguf(model):
        if odd := loading.keys() - _GGUF_OPTIONS:
            name = min(odd)
            raise BadRequest(f"{name} is {loading[name]!r}, and {model} is run as it is by llama.cpp: leave {name} out")
        return owned.enter_context(GgufEngine.open(model, scaling=scaling, window=window, store=store, **loading))
    if isinstance(model, str | Path):
        options = dict(loading)
        cache_dtype = options.pop("cache_dtype", "model")
        loaded = load_model(model, scaling=scaling, native_window=window, **FASTEST | options)
        return Engine(loaded, cache_dtype=cache_dtype, store=store)
    return Engine(model, store=store) if isinstance(model, LoadedModel) else model


def backend_for(
    model: Engine | GgufEngine | ServedModel,
    template: str | PromptTemplate | None,
    measured: Sequence[Measured] | Measurements,
) -> Backend:
    """The backend that answers with a model.

    Args:
        model: An engine, or a model on a server.
        template: The chat template or its name; None is what fits the model.
        measured: How far the model reads, by the report of a probe.

    Returns:
        The backend.

    Raises:
        BadRequest: For a template or measurements with a model on a server.
        BadReport: If the measurements are of another model.
    """
    if isinstance(model, ServedModel):
        if template is not None:
            raise BadRequest(f"{model.url} writes prompts by a template of its own: leave the template out")
        if measured:
            raise BadRequest(f"what was measured is of a model here, not of {model.url}: give the window (--window)")
        return OpenAIBackend(model)
    loaded = model.loaded
    choose = choose_gguf_template if isinstance(model, GgufEngine) else choose_template
    chosen = choose(template, loaded.name, loaded.tokenizer)
    return LocalBackend(model, TokenWriter(loaded.tokenizer, chosen), measured_for(measured, loaded))


@dataclass(frozen=True, slots=True)
class LocalBackend:
    """A model on this machine.

    Attributes:
        engine: Runs the model.
        writer: Writes its prompts.
        measured: How far the model reads, by the report of a probe.
    """

    engine: Engine | GgufEngine
    writer: TokenWriter
    measured: Sequence[Measured] = ()

    def identity(self) -> str:
        """Hashes of the model; see `Backend.identity`."""
        return self.engine.identity()

    def windows(self) -> Windows:
        """The model's windows, and what fits into memory."""
        return windows_of(self.engine.loaded, self.measured, self.engine.tokens_in_memory())

    @property
    def default_seconds(self) -> float | None:
        """20 s on a processor, no limit on a GPU; see `Backend.default_seconds`."""
        return DEFAULT_SECONDS if self.engine.loaded.device_type == "cpu" else None

    def reading_speed(self, *, measure: bool) -> ReadingSpeed | None:
        """How fast the model reads on this machine; see `Backend.reading_speed`."""
        return self.engine.reading_speed(measure=measure)

    def cached_tokens(self, prompt: Prompt, new_tokens: int) -> int | None:
        """What memory and disk have of it; see `Backend.cached_tokens`."""
        loaded = self.engine.loaded
        scaling = scaling_for(loaded, self.measured, loaded.native_window, False)
        return self.engine.cached_tokens(_ids(prompt), scaling, room=new_tokens)

    def thinks(self, thinking: ThinkingMode) -> bool:
        """Whether the model may think before it answers; see `Backend.thinks`."""
        return self.writer.thinks(thinking)

    def generate(
        self,
        prompt: Prompt,
        plan: Plan,
        sampling: SamplingOptions,
        progress: PrefillCallback | None,
        top_logprobs: int = 0,
    ) -> Generation:
        """Generate an answer; see `Backend.generate`."""
        assert isinstance(prompt.frame, Frame)
        ids = _ids(prompt)
        assert len(ids) == plan.prompt_tokens
        # The next question's prompt begins with the same documents, or passages; parts of route map are not met again.
        prefix, suffix = ((), ids) if plan.route == "map" else (ids, ())
        # Only whole documents are worth the disk, without the question: passages are others in another conversation.
        stored = len(ids) - len(prompt.frame.tail) if plan.route in ("native", "extended") else 0
        scaling = scaling_for(self.engine.loaded, self.measured, plan.window, plan.scale > 1)
        thinking = Thinking(plan.thinking_tokens, prompt.frame.opened)  # its template need not say that a model thinks
        stops = self.writer.template.stops
        options = GenerationOptions.of(sampling, plan.max_new_tokens, stops, thinking, top_logprobs)
        return self.engine.stream(prefix, suffix, scaling, options, progress, stored=stored)

    def reply(
        self,
        system: str,
        messages: Sequence[Message],
        max_new_tokens: int,
        sampling: SamplingOptions = GREEDY,
        progress: PrefillCallback | None = None,
    ) -> Generation:
        """Generate a reply in the native window, and cache nothing; see `Backend.reply`."""
        scaling = scaling_for(self.engine.loaded, self.measured, self.engine.loaded.native_window, scaled=False)
        ids = self.writer.conversation(system, messages, "off")
        thinking = Thinking(_REPLY_THOUGHTS if self.thinks("off") else 0)
        options = GenerationOptions.of(sampling, max_new_tokens, self.writer.template.stops, thinking)
        return self.engine.stream((), ids, scaling, options, progress)


def _ids(prompt: Prompt) -> tuple[int, ...]:
    assert isinstance(prompt.frame, Frame)
    documents = cast("list[TokenIds]", prompt.documents)
    return (*prompt.frame.head, *chain.from_iterable(documents), *prompt.frame.tail)


class OpenAIBackend:
    """A model on a server, which has its own chat template, its own tokenizer and one window."""

    default_seconds = DEFAULT_SECONDS  # see `Backend.default_seconds`

    def __init__(self, model: ServedModel) -> None:
        self.writer = MessageWriter(model.counter)
        self._model = model

    def identity(self) -> str:
        """The address and the name of the model; see `Backend.identity`."""
        return f"{self._model.url}#{self._model.name}"

    def windows(self) -> Windows:
        """The server's window."""
        window = self._model.window
        return Windows(window, only_native=Reason("served_window", (self._model.url, window)))

    def reading_speed(self, *, measure: bool) -> ReadingSpeed | None:
        """How fast the server reads; see `Backend.reading_speed`."""
        return self._model.reading_speed(measure=measure)

    def cached_tokens(self, prompt: Prompt, new_tokens: int) -> int | None:
        """None: servers do not say before they are asked; see `Backend.cached_tokens`."""
        return None

    def thinks(self, thinking: ThinkingMode) -> bool:
        """Whether the model may think, as far as its answers have shown; see `Backend.thinks`."""
        return self._model.thinks and thinking != "off"

    def generate(
        self,
        prompt: Prompt,
        plan: Plan,
        sampling: SamplingOptions,
        progress: PrefillCallback | None,
        top_logprobs: int = 0,
    ) -> Generation:
        """Generate an answer; see `Backend.generate`. `progress` is not called: servers do not state any."""
        assert isinstance(prompt.frame, MessageFrame)
        documents = cast("list[CountedText]", prompt.documents)
        messages = prompt.frame.filled("".join(part.text for part in documents))
        planned = len(prompt.frame) + sum(map(len, documents))
        thinking = Thinking(plan.thinking_tokens) if plan.thinking_tokens else None
        options = GenerationOptions.of(sampling, plan.max_new_tokens, thinking=thinking, top_logprobs=top_logprobs)
        return self._model.chat(messages, options, planned, prompt.frame.thinking)

    def reply(
        self,
        system: str,
        messages: Sequence[Message],
        max_new_tokens: int,
        sampling: SamplingOptions = GREEDY,
        progress: PrefillCallback | None = None,
    ) -> Generation:
        """Generate a reply; see `Backend.reply`."""
        frame = self.writer.conversation(system, messages)
        thinks = self._model.thinks
        thinking = Thinking(_REPLY_THOUGHTS) if thinks else None
        options = GenerationOptions.of(sampling, max_new_tokens, thinking=thinking)
        return self._model.chat(frame.filled(""), options, len(frame), "off" if thinks else "auto")
