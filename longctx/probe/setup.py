"""What a probe runs on: the engine, the scaling of each method and length, the haystack and the prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from longctx.engine import Engine, GenerationOptions, PrefixStore
from longctx.errors import BadRequest
from longctx.gguf import GgufEngine, choose_gguf_template
from longctx.models import (
    FASTEST,
    UNSCALED,
    CacheDtype,
    LoadedModel,
    extended_window,
    hash_tokenizer,
    is_gguf,
    load_model,
)
from longctx.probe.haystack import Haystack, read_haystack
from longctx.probe.options import ProbeOptions
from longctx.probe.report import PERPLEXITY, ModelFacts
from longctx.probe.sample import PromptBuilder
from longctx.probe.task_texts import LANGUAGES
from longctx.probe.tasks import READING, TASKS, Draft, together
from longctx.prompts import TokenIds, choose_template
from longctx.version import __version__
from rope_scaling import METHODS, RopeScaling, read_base
from rope_scaling.checkpoint import carried_scaling

_MULTIPLES = (1, 2, 4, 8)  # of the native window, where no lengths are given
_STRIDE = 256  # tokens: the YaRN paper's (arXiv 2309.00071, section 4.3.1), after Press et al., arXiv 2108.12409


@dataclass(frozen=True, slots=True)
class ProbeSetup:
    """A model, what it is measured on, and the options with nothing left to default.

    `prose` are the tokens that perplexity is measured on, `stride` how many of a window are scored, and how far apart
    windows are.
    """

    engine: Engine | GgufEngine
    facts: ModelFacts
    builder: PromptBuilder
    haystack: Haystack
    prose: TokenIds
    options: ProbeOptions
    stride: int

    def scaling(self, method: str, length: int) -> RopeScaling | None:
        """The scaling of a method for prompts of a length; None where the model is as it is."""
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

    def languages(self, task: str) -> tuple[str, ...]:
        """The languages that a task is measured in."""
        is_of_text = task == PERPLEXITY or (task == READING and self.haystack.name is not None)
        return (self.haystack.language,) if is_of_text else self.options.languages

    def groups(self) -> list[tuple[tuple[str, ...], str]]:
        """Tasks that are asked about the same texts: each alone, unless texts are shared.

        Only tasks that have one text for all depths and no filler of their own share it.

        Returns:
            The tasks of each group, and its language.
        """
        alone, shared = list[tuple[tuple[str, ...], str]](), dict[str, tuple[str, ...]]()
        for task in self.options.tasks:
            for language in self.languages(task):
                drafts = self.drafts(task, language, 0)
                if self.options.shared_text and len(drafts) == 1 and drafts[0].filler is None:
                    shared[language] = (*shared.get(language, ()), task)
                else:
                    alone.append(((task,), language))
        return [*alone, *((tasks, language) for language, tasks in shared.items())]

    def drafts(self, task: str, language: str, trial: int) -> list[Draft]:
        """The drafts of a trial of a task, the same at every length and under every method; perplexity has none."""
        if task == PERPLEXITY:
            return []
        texts = LANGUAGES[language]
        draw = Random(f"{self.options.seed} {task} {language} {trial}")
        texts = replace(texts, needle=self.options.needle or texts.needle)
        return TASKS[task](draw, self.options.places, texts, self.haystack)

    def needed(self, tasks: Sequence[str], language: str) -> int:
        """The fewest tokens that have room for every trial of tasks that are asked about the same texts."""
        if tuple(tasks) == (PERPLEXITY,):
            return self.stride + 2  # a token before those that are scored, and the BOS
        trials = (
            together([self.drafts(task, language, trial) for task in tasks]) for trial in range(self.options.trials)
        )
        return max(self.builder.needed(draft) for drafts in trials for draft in drafts)

    def window_ids(self, length: int, window: int) -> TokenIds:
        """The tokens of a window of perplexity: the last `stride` are the same at every length."""
        bos = self.engine.loaded.tokenizer.bos_token_id
        begin = () if bos is None else (bos,)
        end = len(self.prose) - window * self.stride
        return (*begin, *self.prose[end - length + len(begin) : end])

    def fingerprint(self) -> dict[str, Any]:
        """What a result depends on beside its key."""
        options = self.options
        return {
            "longctx": __version__,
            "model": self.facts.model_dump(exclude={"name"}),
            "dtype": self.engine.loaded.precision,
            "text": self.haystack.sha256,
            "template": self.builder.template.name,
            "seed": options.seed,
            "depths": options.depths,
            "factor": options.factor,
            "needle": None if options.needle is None else list(astuple(options.needle)),
            **({"shared_text": list(options.tasks)} if options.shared_text else {}),
            **({"cache": options.cache_dtype} if options.cache_dtype != "model" else {}),
        }


def open_setup(
    model: str | Path | LoadedModel | GgufEngine,
    options: ProbeOptions,
    native_window: int | None = None,
    store: PrefixStore | None = None,
) -> ProbeSetup:
    """Load what is needed, and raise what the work would raise. Raises LongctxError and RopeScalingError.

    Args:
        model: As for `run_probe`.
        options: What to measure.
        native_window: As for `run_probe`.
        store: Where the keys and values of long texts are kept while they are asked about.

    Returns:
        What the work needs.
    """
    opened = _opened(model, options.cache_dtype)
    loaded = opened.loaded if isinstance(opened, GgufEngine) else opened
    carried = carried_scaling(loaded.config)
    native = native_window or read_base(loaded.config).window
    haystack = read_haystack(options.text)
    options = replace(
        options,
        lengths=tuple(sorted(set(options.lengths or (native * times for times in _MULTIPLES)))),
        methods=options.methods or ((UNSCALED, "yarn") if carried is None else (UNSCALED,)),
        languages=options.languages or (haystack.language,),
    )
    # a quarter of a window that is not several strides: or the scored tokens would have next to nothing before them
    stride = min(_STRIDE, native // 4)
    choose = choose_gguf_template if isinstance(opened, GgufEngine) else choose_template
    template = choose(options.template, loaded.name, loaded.tokenizer)
    engine = _unlimited(opened, options, store)
    setup = ProbeSetup(
        engine=engine,
        facts=ModelFacts(
            name=loaded.name,
            weights_sha256=engine.weights_hash,
            tokenizer_sha256=hash_tokenizer(loaded.tokenizer),
            native_window=native,
            carried=None if carried is None else repr(carried),
        ),
        builder=PromptBuilder(loaded.tokenizer, template, native),
        haystack=haystack,
        prose=(),
        options=options,
        stride=stride,
    )
    _check(setup)
    tokens = options.lengths[-1] + (stride * options.windows if PERPLEXITY in options.tasks else 0)
    return replace(setup, prose=haystack.token_ids(loaded.tokenizer, tokens, options.seed))


def _opened(model: str | Path | LoadedModel | GgufEngine, cache_dtype: CacheDtype) -> LoadedModel | GgufEngine:
    if isinstance(model, GgufEngine) and cache_dtype not in ("model", model.loaded.cache_dtype):
        raise BadRequest(f"cache_dtype is {cache_dtype!r}, and the model is open already: give it to GgufEngine.open")
    if isinstance(model, LoadedModel | GgufEngine):
        return model
    return GgufEngine.open(model, cache_dtype=cache_dtype) if is_gguf(model) else load_model(model, **FASTEST)


def _unlimited(
    model: LoadedModel | GgufEngine, options: ProbeOptions, store: PrefixStore | None
) -> Engine | GgufEngine:
    """An engine that does not refuse what is past the window: that is what is to be measured."""
    loaded = model.loaded if isinstance(model, GgufEngine) else model
    window = max(*options.lengths, loaded.native_window)
    if isinstance(model, GgufEngine):
        return model.with_window(window)
    return Engine(replace(model, native_window=window, scaling=None), cache_dtype=options.cache_dtype, store=store)


def _check(setup: ProbeSetup) -> None:
    """Raise what the work would raise, before it begins: scalings that are none, memory."""
    options, longest = setup.options, setup.options.lengths[-1]
    for method in options.methods:
        for length in options.lengths:
            scaling = setup.scaling(method, length)
            if scaling is not None:
                setup.engine.check_scaling(scaling, length)
        # nothing is read; asking for an answer of that length checks the window and the memory
        setup.engine.stream((0,), (), setup.scaling(method, longest), GenerationOptions(longest - 1)).close()
