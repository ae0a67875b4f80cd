"""What a probe runs on: the model under each scaling, its texts, and perplexity in sliding windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from longctx.engine import Engine, GenerationOptions
from longctx.errors import BadRequest
from longctx.models import UNSCALED, LoadedModel, extended_window, hash_tokenizer, hash_weights, load_model
from longctx.probe.haystack import Source, Text, open_source, read_text
from longctx.probe.options import ProbeOptions
from longctx.probe.prompts import Prompting, TokenIds, prompting
from longctx.probe.report import PERPLEXITY, ModelFacts
from longctx.probe.sample import Scribe
from longctx.probe.task_texts import LANGUAGES
from longctx.probe.tasks import TASKS, Draft
from longctx.version import __version__
from rope_scaling import METHODS, RopeScaling, read_base, scaled_rope
from rope_scaling.checkpoint import carried_scaling

_MULTIPLES = (1, 2, 4, 8)  # of the native window, where no lengths are given


@dataclass(frozen=True, slots=True)
class ProbeSetup:
    """A model, its window, the text in each language, and what is asked for, with nothing left to default.

    `step` is how many tokens of a window perplexity is of.
    """

    engine: Engine
    facts: ModelFacts
    prompting: Prompting
    text: Text
    scribes: Mapping[str, Scribe]
    prose: Source
    options: ProbeOptions
    step: int

    def scaling(self, method: str, length: int) -> RopeScaling | None:
        """The scaling of a method for texts of a length; None where the model is as it is."""
        native, factor = self.facts.native_window, self.options.factor
        if method == UNSCALED:
            return None
        if factor is not None and method in METHODS and not METHODS[method].depends_on_length:
            return RopeScaling(method=method, factor=factor, original_max_position_embeddings=native)
        if length <= native:
            return None
        return RopeScaling.for_window(method, extended_window(native, length), native)

    def effective_method(self, method: str, length: int) -> str:
        """The method that a length is measured under: no method scales what fits the native window."""
        return UNSCALED if self.scaling(method, length) is None else method

    def drafts(self, task: str, language: str, length: int, trial: int) -> list[Draft]:
        """What a task asks in trial number `trial`: the same under every method."""
        wording = self.options.needle or LANGUAGES[language].needle
        draw = Random(f"{self.options.seed} {task} {language} {length} {trial}")
        return TASKS[task](draw, self.options.places, LANGUAGES[language], wording)

    def setting(self) -> dict[str, Any]:
        """What a result depends on beside its key."""
        options = self.options
        return {
            "longctx": __version__,
            "model": self.facts.model_dump(exclude={"name"}),
            "dtype": str(self.engine.loaded.model.dtype),
            "text": self.text.sha256,
            "prompt": self.prompting.style,
            "seed": options.seed,
            "depths": options.depths,
            "factor": options.factor,
            "needle": None if options.needle is None else list(astuple(options.needle)),
        }


def open_setup(model: str | Path | LoadedModel, options: ProbeOptions, native_window: int | None = None) -> ProbeSetup:
    """Load what is needed and check that it can be done. Raises LongctxError and RopeScalingError."""
    loaded = model if isinstance(model, LoadedModel) else load_model(model)
    config = loaded.model.config
    base, carried = read_base(config), carried_scaling(config)
    native = native_window or base.window
    options = replace(
        options,
        lengths=tuple(sorted({native, *(options.lengths or (native * times for times in _MULTIPLES))})),
        methods=options.methods or ((UNSCALED, "yarn") if carried is None else (UNSCALED,)),
    )
    # the engine refuses what is past the window, and that is what is to be measured
    engine = Engine(replace(loaded, native_window=max(*options.lengths, loaded.native_window), scaling=None))
    text, form = read_text(options.text), prompting(loaded.tokenizer, options.style)
    options = replace(options, languages=options.languages or (text.language,))
    step = stride(native)
    needed = options.lengths[-1] + (step * options.windows if PERPLEXITY in options.tasks else 0)
    sources = {
        language: open_source(text, language, form, needed=needed, seed=options.seed)
        for language in {text.language, *options.languages}
    }
    facts = ModelFacts(
        name=loaded.name,
        weights_sha256=hash_weights(loaded.model),
        tokenizer_sha256=hash_tokenizer(loaded.tokenizer),
        native_window=native,
        carried=None if carried is None else repr(carried),
    )
    scribes = {name: Scribe(form, sources[name], LANGUAGES[name], native) for name in options.languages}
    bench = ProbeSetup(engine, facts, form, text, scribes, sources[text.language], options, step)
    _check(bench)
    return bench


def _check(bench: ProbeSetup) -> None:
    """Raise what the work would raise, before it begins: lengths without room, scalings that are none, memory."""
    options, longest = bench.options, bench.options.lengths[-1]
    for task in options.tasks:
        for language in options.languages if task in TASKS else ():
            for draft in bench.drafts(task, language, options.lengths[0], 0):
                _check_room(bench, task, language, draft)
    for method in options.methods:
        for length in options.lengths:
            scaling = bench.scaling(method, length)
            if scaling is not None:
                with scaled_rope(bench.engine.loaded.model, scaling, length):
                    pass
        # nothing is read; asking for an answer of that length checks the window and the memory
        bench.engine.stream((0,), (), bench.scaling(method, longest), GenerationOptions(longest - 1)).close()


def _check_room(bench: ProbeSetup, task: str, language: str, draft: Draft) -> None:
    shortest, native = bench.options.lengths[0], bench.facts.native_window
    try:
        bench.scribes[language].write(draft, shortest, Random(0))
    except BadRequest as error:
        window = f" (the native window is {native})" if shortest == native else ""
        raise BadRequest(f"task {task}{window}: {error}") from error


_STRIDE = 256  # tokens: the YaRN paper's (arXiv 2309.00071, section 4.3.1), after Press et al., arXiv 2108.12409


def stride(native_window: int) -> int:
    """How many tokens of each window are scored, and how far apart windows are.

    A quarter of a window that is not several times 256: or the scored tokens would have next to nothing before them.
    """
    return min(_STRIDE, native_window // 4)


def window_ids(source: Source, bos: int | None, length: int, window: int, step: int) -> TokenIds:
    """The tokens of a window: the last `step` are the same at every length, and it begins as the model's texts do."""
    begin = () if bos is None else (bos,)
    return (*begin, *source.ending(length - len(begin), window * step))


def window_loss(engine: Engine, ids: TokenIds, scored: int, scaling: RopeScaling | None) -> float:
    """The mean loss of the last `scored` tokens, in nats."""
    losses = engine.token_losses(ids, scored, scaling)
    return sum(losses) / len(losses)
