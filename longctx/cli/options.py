"""The flags that commands share: each is declared once, and commands that ask take them as one table.

Nothing heavy is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import Enum
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from longctx.cli.progress import waiting_for

if TYPE_CHECKING:
    from indexes import SearchFilter
    from longctx.qa import DocumentQA
    from longctx.settings import Settings
    from longctx.types import AskOptions

FlagsT = TypeVar("FlagsT")


class QuantizationChoice(str, Enum):
    """How weights are kept."""

    four = "4bit"
    eight = "8bit"


class Mode(str, Enum):
    """The ways to search."""

    hybrid = "hybrid"
    dense = "dense"
    lexical = "lexical"


IndexOption = Annotated[
    Path | None,
    typer.Option("--index", metavar="DIR", help="The index's folder (default: .longctx)", show_default=False),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="NAME",
        help="The encoder: 'default', a sentence-transformers folder, or a hub name.",
    ),
]
RerankerOption = Annotated[
    str | None,
    typer.Option(
        "--reranker",
        metavar="PATH_OR_HUB_ID",
        help="A sentence-transformers CrossEncoder that puts the best candidates into its own order.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="PATH_OR_HUB_ID",
        help="A causal language model, or openai:http://host:port/v1#name for one on a server; without one, "
        "sentences are quoted.",
    ),
]
WindowOption = Annotated[
    int | None,
    typer.Option(
        "--window",
        min=1,
        metavar="TOKENS",
        help="The model's native window (default: what the model or server says).",
    ),
]
AdapterOption = Annotated[
    str | None,
    typer.Option("--adapter", metavar="PATH_OR_HUB_ID", help="A LoRA adapter that goes onto the model."),
]
QuantizationOption = Annotated[
    QuantizationChoice | None, typer.Option("--quantization", help="Keep the model's weights in so many bits.")
]
DtypeOption = Annotated[
    str | None,
    typer.Option(
        "--dtype", metavar="DTYPE", help="float32, bfloat16 or float16 (default: auto, the checkpoint's own)."
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, ... (default: auto, a GPU if there is one)."),
]
ScalingOption = Annotated[
    str | None,
    typer.Option(
        "--scaling", metavar="METHOD", help="Take the model past its native window, by 'yarn' or another method."
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="DIR", help="Use no window beyond what 'longctx probe --out DIR' has shown to work."
    ),
]
RouteOption = Annotated[
    str | None,
    typer.Option(
        "--route", metavar="ROUTE", help="auto, native, extended, retrieval or self (default: auto; see the guide)."
    ),
]
TemplateOption = Annotated[
    str | None,
    typer.Option(
        "--template",
        metavar="NAME",
        help="How prompts are written: llama-2, code-llama, elyza, chat, plain (default: what fits the model).",
    ),
]
PassagesOption = Annotated[int | None, typer.Option("-k", min=1, help="How many passages to look for (default: 8)")]
NewTokensOption = Annotated[int | None, typer.Option(min=1, help="The longest answer, in tokens (default: 256)")]
SourceOption = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="PATH", help="Only this file, folder or pattern ('*.pdf'); repeat it for more."),
]
TitleOption = Annotated[
    list[str] | None,
    typer.Option("--title", metavar="TITLE", help="Only documents of this title or pattern; repeat it for more."),
]
MetadataOption = Annotated[
    list[str] | None,
    typer.Option("--metadata", metavar="NAME=VALUE", help="Only documents whose metadata have this; all of them hold."),
]
AfterOption = Annotated[
    str | None, typer.Option("--after", metavar="DATE", help="Only files last written on this day (UTC) or later.")
]
BeforeOption = Annotated[
    str | None, typer.Option("--before", metavar="DATE", help="Only files last written before this day (UTC).")
]
ExpandOption = Annotated[
    int, typer.Option("--expand", min=0, help="Widen each passage by so many neighbours on either side.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait while another process is writing to the index.")]


ModeOption = Annotated[Mode, typer.Option("--mode", help="Search by meaning (dense), by words (lexical), or both.")]


@dataclass(frozen=True)
class FilterFlags:
    """The flags that say which documents may be found."""

    source: SourceOption = None
    title: TitleOption = None
    metadata: MetadataOption = None
    after: AfterOption = None
    before: BeforeOption = None
    expand: ExpandOption = 0
    mode: ModeOption = Mode.hybrid

    def filters(self) -> SearchFilter | None:
        """The filter that the flags ask for; None if they ask for none. Raises BadParameter, CorpusError."""
        from indexes import SearchFilter

        pairs = [entry.partition("=") for entry in self.metadata or []]
        if odd := [name for name, equals, _ in pairs if not (name and equals)]:
            raise typer.BadParameter(f"{odd[0]!r}: write NAME=VALUE", param_hint="--metadata")
        if not (self.source or self.title or pairs or self.after or self.before):
            return None
        named = {name: value for name, _, value in pairs}
        return SearchFilter(tuple(self.source or ()), tuple(self.title or ()), named, self.after, self.before)


@dataclass(frozen=True)
class AskFlags(FilterFlags):
    """The flags of every command that answers questions. None is a flag that was not given."""

    index: IndexOption = None
    model: ModelOption = None
    window: WindowOption = None
    adapter: AdapterOption = None
    quantization: QuantizationOption = None
    dtype: DtypeOption = None
    device: DeviceOption = None
    scaling: ScalingOption = None
    report: ReportOption = None
    route: RouteOption = None
    template: TemplateOption = None
    encoder: EncoderOption = None
    reranker: RerankerOption = None
    k: PassagesOption = None
    max_new_tokens: NewTokensOption = None
    system: Annotated[
        str | None, typer.Option("--system", metavar="TEXT", help="A system prompt, placed before longctx's own rules.")
    ] = None
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", metavar="T", help="Divides the logits (default: 0, greedy decoding)."),
    ] = None
    top_p: Annotated[
        float | None, typer.Option("--top-p", metavar="P", help="Sample from the likeliest tokens of this probability.")
    ] = None
    top_k: Annotated[
        int | None, typer.Option("--top-k", metavar="N", help="Sample from the N likeliest tokens (default: 0, all).")
    ] = None
    repetition_penalty: Annotated[
        float | None,
        typer.Option("--repetition-penalty", metavar="X", help="Above 1, tokens that were there become less likely."),
    ] = None
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="The same seed gives the same sampled answer.")
    ] = None
    stop: Annotated[
        list[str] | None,
        typer.Option("--stop", metavar="TEXT", help="End the answer before this text; repeat it for more."),
    ] = None

    def settings(self, **more: Any) -> Settings:
        """The settings in force: these flags, and `more` of a command's own, before environment and file."""
        from longctx.settings import Settings, load_settings

        given = {each.name: getattr(self, each.name) for each in fields(self) if each.name in Settings.model_fields}
        return load_settings(**given | more)

    def options(self, settings: Settings) -> AskOptions:
        """How questions are to be answered: from the flags, and from the settings where those have a say."""
        from longctx.types import AskOptions

        named = {each.name: getattr(self, each.name) for each in fields(self)}
        named |= {name: getattr(settings, name) for name in named if name in type(settings).model_fields}
        known = {each.name for each in (*fields(AskOptions), *fields(AskOptions().sampling))}
        given = {name: value for name, value in named.items() if name in known and value is not None}
        given |= {"filters": self.filters(), "mode": self.mode.value, "stop": tuple(self.stop or ())}
        return AskOptions().updated(**given)


def with_flags(table: type[FlagsT]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command all flags of a table; it receives them as one value, its argument `flags`.

    Args:
        table: A dataclass whose fields are annotated as typer's options.

    Returns:
        A decorator for the command.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        names = [each.name for each in fields(table)]  # type: ignore[arg-type]
        hints = {**get_type_hints(table, include_extras=True), **get_type_hints(command, include_extras=True)}
        own = [each for each in signature(command).parameters.values() if each.name != "flags"]
        shared = [Parameter(name, Parameter.KEYWORD_ONLY, default=getattr(table, name)) for name in names]

        def run(**given: Any) -> None:
            command(flags=table(**{name: given.pop(name) for name in names}), **given)

        parameters = [
            each.replace(annotation=hints[each.name], kind=Parameter.KEYWORD_ONLY) for each in (*own, *shared)
        ]
        run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


def open_qa(settings: Settings) -> DocumentQA:
    """The index and the model that the settings name. Raises as `DocumentQA.open` does; makes no index."""
    with waiting_for("opening the index" if settings.model is None else "loading the model"):
        from longctx.probe import load_report
        from longctx.qa import DocumentQA

        return DocumentQA.open(
            settings.index,
            settings.model,
            window=settings.window,
            loading=settings.loading,
            scaling=settings.scaling,
            encoder=settings.encoder,
            reranker=settings.reranker,
            template=settings.template,
            measured=() if settings.report is None else load_report(settings.report).measurements(),
            create=False,
        )
