"""`longctx estimate`: what a model and a long prompt take in memory."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from longctx.cli.options import JsonOption, QuantizationOption
from longctx.cli.output import print_json

if TYPE_CHECKING:
    from longctx.models import MemoryEstimate

_GIB = 2**30


class Cache(str, Enum):
    """How keys and values are kept."""

    model = "model"
    int8 = "int8"


def estimate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A checkpoint's folder, a hub name, or a name such as llama-2-70b.")
    ],
    context: Annotated[
        int | None,
        typer.Option("--context", metavar="TOKENS", help="The longest sequence (default: 32 native windows).", min=1),
    ] = None,
    quantization: QuantizationOption = None,
    cache: Annotated[Cache, typer.Option("--cache", help="How keys and values are kept.")] = Cache.model,
    memory: Annotated[
        str | None,
        typer.Option("--memory", metavar="SIZE", help="Such as 80GiB (default: what is free on this machine)."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what a model and prompts of several lengths take in memory, and what fits. No weights are read."""
    from longctx.models import estimate_model, parse_bytes

    available = None if memory is None else parse_bytes(memory)
    sizing = estimate_model(
        model, context, None if quantization is None else quantization.value, cache.value, available
    )
    if json:
        print_json(sizing)
    else:
        _print_table(sizing)


def _print_table(sizing: MemoryEstimate) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("tokens", "weights", "keys and values", "activations", "total", "fits", box=box.SIMPLE)
    for column in table.columns[:-1]:
        column.justify = "right"
    for need in sizing.needs:
        sizes = (need.weights, need.cache, need.activations, need.total)
        table.add_row(f"{need.tokens:,}", *(f"{size / _GIB:.2f} GiB" for size in sizes), "yes" if need.fits else "no")
    typer.echo(f"{sizing.name}: {sizing.parameters:,} parameters, native window {sizing.window:,} tokens")
    typer.echo(f"a token's keys and values take {sizing.token_bytes / 1024:g} KiB")
    Console().print(table)
    fits = f"up to {sizing.longest:,} tokens fit" if sizing.longest else "the weights alone do not fit"
    typer.echo(f"in {sizing.memory / _GIB:.1f} GiB of memory, {fits}")
