"""The flags that commands share, and the tables of flags of commands that search and ask. No heavy imports."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, fields
from enum import Enum
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from longctx.cli.opening import check_trusted
from longctx.quantities import parse_size, parse_tokens
from longctx.types import AskOptions, SearchMode

if TYPE_CHECKING:
    from indexes import SearchFilter
    from longctx.settings import Settings

FlagsT = TypeVar("FlagsT")
_DEFAULTS = AskOptions()


class QuantizationChoice(str, Enum):
    """How weights are kept."""

    four = "4bit"
    eight = "8bit"
    int8 = "int8"
    auto = "auto"
    none = "none"


class OnOff(str, Enum):
    """A switch that may be left to what was measured, or to the model."""

    auto = "auto"
    on = "on"
    off = "off"


class Cache(str, Enum):
    """How keys and values are kept."""

    model = "model"
    int8 = "int8"


class Mode(str, Enum):
    """The ways to search."""

    hybrid = "hybrid"
    dense = "dense"
    lexical = "lexical"


IndexOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="The index's folder, or postgresql://USER@HOST/DATABASE (default: .longctx)",
        show_default=False,
    ),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The encoder: 'default', a sentence-transformers folder, or a hub name."),
]
RerankerOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH_OR_HUB_ID",
        help="A sentence-transformers CrossEncoder that puts the best candidates into its own order.",
    ),
]
QuantizationOption = Annotated[
    QuantizationChoice | None,
    typer.Option(help="How the model's weights are kept (default: auto, int8 where that is faster)."),
]
DtypeOption = Annotated[
    str | None, typer.Option(metavar="DTYPE", help="float32, bfloat16 or float16 (default: auto, what is fast here).")
]
DeviceOption = Annotated[
    str | None, typer.Option(metavar="DEVICE", help="cpu, cuda, cuda:1, ... (default: auto, a GPU if there is one).")
]
DeviceMapOption = Annotated[
    str | None,
    typer.Option(metavar="MAP", help="'auto' spreads the layers over all GPUs, and over memory if they are full."),
]
CacheOption = Annotated[
    Cache | None, typer.Option(help="How keys and values are kept: in the model's dtype, or in 8 bits.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
TrustOption = Annotated[
    bool,
    typer.Option("--trust", help="Use what this folder's longctx.toml names on servers or the hub; it is remembered."),
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait while another process is writing to the index.")]


def _option(metavar: str, text: str, least: int | None = None) -> Any:
    """An option that is named after its field."""
    return typer.Option(metavar=metavar, help=text, min=least)


def tokens_option(metavar: str, text: str, *names: str, least: int = 1, panel: str | None = None) -> Any:
    """An option for a number of tokens: 32768, 32k."""
    return typer.Option(
        *names,
        metavar=metavar,
        help=text,
        parser=_at_least(least, parse_tokens, f"give {least} or more"),
        rich_help_panel=panel,
    )


def size_option(text: str, *names: str, least: int = 0) -> Any:
    """An option for an amount of memory or the size of a file: 80GiB, 200MB."""
    parse = _at_least(least, parse_size, "so few bytes? Write the unit, such as 80GiB")
    return typer.Option(*names, metavar="SIZE", help=text, parser=parse)


def _at_least(least: int, parse: Callable[[Any], int], too_small: str) -> Callable[[Any], int]:
    """What parses the values of an option, and refuses smaller ones."""

    def parsed(value: Any) -> int:
        try:
            number = parse(value)
        except ValueError as error:
            raise typer.BadParameter(f"{value!r}: {error}") from None
        if number < least:
            raise typer.BadParameter(f"{value!r}: {too_small}")
        return number

    return parsed


TemplateOption = Annotated[
    str | None,
    _option("NAME", "How prompts are written: llama-2, code-llama, elyza, chat, plain (default: what fits the model)."),
]


@dataclass(frozen=True)
class FilterFlags:
    """The flags that say which documents may be found."""

    source: Annotated[
        list[str] | None, _option("PATH", "Only this file, folder or pattern ('*.pdf'); repeat it for more.")
    ] = None
    title: Annotated[
        list[str] | None, _option("TITLE", "Only documents of this title or pattern; repeat it for more.")
    ] = None
    metadata: Annotated[
        list[str] | None, _option("NAME=VALUE", "Only documents whose metadata have this; all of them hold.")
    ] = None
    after: Annotated[str | None, _option("DATE", "Only files last written on this day (UTC) or later.")] = None
    before: Annotated[str | None, _option("DATE", "Only files last written before this day (UTC).")] = None
    expand: Annotated[
        int | None, typer.Option(min=0, help="Widen each passage by so many neighbours on either side (default: 0)")
    ] = None
    mode: Annotated[
        Mode | None, typer.Option(help="Search by meaning (dense), by words (lexical), or both (default: hybrid)")
    ] = None

    @property
    def search_mode(self) -> SearchMode:
        """How to search."""
        return self.mode.value if self.mode else _DEFAULTS.mode

    def filters(self) -> SearchFilter | None:
        """Return the filter of the flags, or None without any. Raises BadParameter and CorpusError."""
        pairs = [entry.partition("=") for entry in self.metadata or []]
        if odd := [name for name, equals, _ in pairs if not (name and equals)]:
            raise typer.BadParameter(f"{odd[0]!r}: write NAME=VALUE", param_hint="--metadata")
        if not (self.source or self.title or pairs or self.after or self.before):
            return None
        from indexes import SearchFilter

        named = {name: value for name, _, value in pairs}
        return SearchFilter(tuple(self.source or ()), tuple(self.title or ()), named, self.after, self.before)


@dataclass(frozen=True)
class AskFlags(FilterFlags):
    """The flags of every command that answers questions. None is a flag that was not given."""

    index: IndexOption = None
    model: Annotated[
        str | None,
        _option(
            "PATH_OR_HUB_ID",
            "A causal language model, a GGUF file, or a server: ollama:NAME, lmstudio:NAME, http://host:port/v1#NAME; "
            "without one, sentences are quoted.",
        ),
    ] = None
    window: Annotated[
        int | None, tokens_option("TOKENS", "The model's native window (default: what the model or server says).")
    ] = None
    adapter: Annotated[str | None, _option("PATH_OR_HUB_ID", "A LoRA adapter that goes onto the model.")] = None
    quantization: QuantizationOption = None
    dtype: DtypeOption = None
    device: DeviceOption = None
    device_map: DeviceMapOption = None
    cache: CacheOption = None
    scaling: Annotated[
        str | None, _option("METHOD", "Take the model past its native window, by 'yarn' or another method.")
    ] = None
    report: Annotated[
        Path | None, _option("DIR", "Use no window beyond what 'longctx probe --out DIR' has shown to work.")
    ] = None
    route: Annotated[
        str | None, _option("ROUTE", "auto, native, extended, retrieval, self or map (default: auto; see the guide).")
    ] = None
    kind: Annotated[
        str | None,
        _option("KIND", "What is asked for: locate, compare, count or summarise (default: what its words say)."),
    ] = None
    template: TemplateOption = None
    kv_cache_size: Annotated[
        str | None,
        _option("SIZE", "The most that documents read whole may take beside the index (default: 4GB; 0 keeps none)."),
    ] = None
    encoder: EncoderOption = None
    reranker: RerankerOption = None
    k: Annotated[int | None, typer.Option("-k", min=1, help="How many passages to look for (default: 8)")] = None
    score_cutoff: Annotated[
        float | None,
        _option("X", "Leave out passages below this share of the best score (default: 0.4, for one fact; 0: none)."),
    ] = None
    max_new_tokens: Annotated[int | None, tokens_option("N", "The longest answer, in tokens (default: 256)")] = None
    prompt_tokens: Annotated[
        int | None,
        tokens_option("N", "The longest prompt, in tokens (default: what is read in 20 s; a GPU's window)."),
    ] = None
    budget: Annotated[
        str | None,
        _option("TIME", "The longest prompt as the time to the first token: 60s, 2m (default: 20s on a CPU)."),
    ] = None
    system: Annotated[str | None, _option("TEXT", "A system prompt, placed before longctx's own rules.")] = None
    temperature: Annotated[float | None, _option("T", "Divides the logits (default: 0, greedy decoding).")] = None
    top_p: Annotated[float | None, _option("P", "Sample from the likeliest tokens of this probability.")] = None
    top_k: Annotated[int | None, _option("N", "Sample from the N likeliest tokens (default: 0, all).")] = None
    repetition_penalty: Annotated[float | None, _option("X", "Above 1, tokens that were there become less likely.")] = (
        None
    )
    seed: Annotated[int | None, _option("N", "The same seed gives the same sampled answer.")] = None
    prompt_lookup: Annotated[
        bool | None,
        typer.Option(
            "--prompt-lookup/--no-prompt-lookup",
            help="Guess the next tokens from the prompt, and check several at once (default: where it pays).",
        ),
    ] = None
    thinking: Annotated[
        OnOff | None, typer.Option(help="Have a thinking model think before it answers (default: auto, as it likes).")
    ] = None
    thinking_tokens: Annotated[
        int | None, tokens_option("N", "The most tokens of thoughts, beside the answer (default: 1024).")
    ] = None
    show_thinking: Annotated[bool, typer.Option("--show-thinking", help="Show what the model thinks, dimmed.")] = False
    stop: Annotated[list[str] | None, _option("TEXT", "End the answer before this text; repeat it for more.")] = None
    trust: TrustOption = False
    allow_insecure: Annotated[
        bool, typer.Option("--allow-insecure", help="Send a key to a server also without encryption (http).")
    ] = False

    def settings(self, **more: Any) -> Settings:
        """Return the settings in force: these flags, and `more` of a command's own, override environment and file."""
        from longctx.settings import Settings, load_settings

        given = {each.name: getattr(self, each.name) for each in fields(self) if each.name in Settings.model_fields}
        given |= {name: value.value for name, value in given.items() if isinstance(value, OnOff)}
        given["allow_insecure"] = self.allow_insecure or None
        settings = load_settings(**given | more)
        check_trusted(settings, agreed=self.trust)
        return settings

    def options(self, settings: Settings) -> AskOptions:
        """Return the options of questions, from the flags, and from the settings for what those include."""
        return AskOptions().updated(**self._options(settings, type(settings).model_fields.keys()))

    def given_options(self, settings: Settings) -> dict[str, Any]:
        """Return those options only that a flag, the environment or a file of settings gives, by name."""
        return self._options(settings, settings.model_fields_set)

    def _options(self, settings: Settings, of_settings: Set[str]) -> dict[str, Any]:
        """The options of the flags, and of those settings; the flags that are settings are in these."""
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        in_settings = type(settings).model_fields.keys() & named.keys()
        named |= {name: getattr(settings, name) if name in of_settings else None for name in in_settings}
        known = {each.name for each in (*fields(AskOptions), *fields(AskOptions().sampling))}
        named |= {"filters": self.filters(), "mode": self.mode and self.mode.value}
        named |= {"stop": tuple(self.stop) if self.stop else None}
        return {name: value for name, value in named.items() if name in known and value is not None}


def with_flags(table: type[FlagsT]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command all flags of a table; it receives them as one value, its argument `flags`.

    Args:
        table: A dataclass whose fields are annotated as typer's options.

    Returns:
        A decorator for the command.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = {name: each.default for name, each in signature(command).parameters.items() if name != "flags"}
        shared = {each.name: each.default for each in fields(table)}  # type: ignore[arg-type]
        hints = get_type_hints(table, include_extras=True) | get_type_hints(command, include_extras=True)

        def run(**given: Any) -> None:
            command(flags=table(**{name: given.pop(name) for name in shared}), **given)

        run.__annotations__ = {name: hints[name] for name in own | shared}
        run.__signature__ = Signature(  # type: ignore[attr-defined]
            [
                Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=hints[name])
                for name, default in (own | shared).items()
            ]
        )
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


def split_names(values: list[str] | None) -> tuple[str, ...]:
    """The names in an option that was given several times, or once with commas."""
    return tuple(name.strip() for value in values or () for name in value.split(",") if name.strip())
