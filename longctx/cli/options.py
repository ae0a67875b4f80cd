"""The options that commands share, and what they mean together. Nothing heavy is imported."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longctx.cli.progress import waiting_for

if TYPE_CHECKING:
    from indexes import SearchFilter
    from longctx.qa import DocumentQA
    from longctx.settings import Settings


class QuantizationChoice(str, Enum):
    """How weights are kept."""

    four = "4bit"
    eight = "8bit"


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


def search_filter(
    source: list[str] | None,
    title: list[str] | None,
    metadata: list[str] | None,
    after: str | None,
    before: str | None,
) -> SearchFilter | None:
    """The filter that the flags ask for; None if they ask for none. Raises BadParameter, CorpusError."""
    from indexes import SearchFilter

    pairs = [entry.partition("=") for entry in metadata or []]
    if odd := [name for name, equals, _ in pairs if not (name and equals)]:
        raise typer.BadParameter(f"{odd[0]!r}: write NAME=VALUE", param_hint="--metadata")
    if not (source or title or pairs or after or before):
        return None
    return SearchFilter(
        tuple(source or ()), tuple(title or ()), {name: value for name, _, value in pairs}, after, before
    )


def open_qa(settings: Settings) -> DocumentQA:
    """The index and the model that the settings name. Raises as `DocumentQA.open` does; makes no index."""
    with waiting_for("opening the index" if settings.model is None else "loading the model"):
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
            measured=settings.report or (),
            create=False,
        )
