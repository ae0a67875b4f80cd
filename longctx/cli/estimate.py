"""`longctx estimate`: what a model and a long prompt take in memory and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from longctx.cli.options import Cache, JsonOption, QuantizationOption, size_option, tokens_option
from longctx.cli.output import duration, print_json
from longctx.cli.progress import waiting_for
from longctx.cli.terminal import echo

if TYPE_CHECKING:
    from longctx.models import MemoryEstimate, QuantizationChoice

_GIB = 2**30
_NOT_MEASURED = "-: its reading rate has not been measured on this machine; --measure loads the model and measures it"


def estimate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A checkpoint's folder, a GGUF file, a hub name, or a name such as llama-2-70b."
        ),
    ],
    context: Annotated[
        int | None,
        tokens_option("TOKENS", "The longest sequence, such as 128k (default: 32 native windows).", "--context"),
    ] = None,
    quantization: QuantizationOption = None,
    cache: Annotated[Cache, typer.Option("--cache", help="How keys and values are kept.")] = Cache.model,
    memory: Annotated[
        int | None, size_option("Such as 80GiB (default: what is free on this machine).", "--memory", least=2**20)
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Load the model, and measure how fast it reads on this machine.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show what a model and prompts of several lengths take in memory, what fits, and the time to the first token.

    No weights are read, except with --measure. The measured rate is kept for later runs.
    """
    from longctx.models import estimate_model

    scheme: QuantizationChoice = "auto" if quantization is None else quantization.value
    if measure:
        with waiting_for("measuring how fast the model reads"):
            _measure(model, scheme)
    sizing = estimate_model(model, context, scheme, cache.value, memory)
    if json:
        print_json(sizing)
    else:
        _print_table(sizing)


def _measure(model: str, quantization: QuantizationChoice) -> None:
    from longctx.engine import Engine
    from longctx.gguf import GgufEngine
    from longctx.models import is_gguf, load_model

    if is_gguf(model):
        with GgufEngine.open(model) as engine:
            engine.reading_speed()
        return
    Engine(load_model(model, quantization=quantization, packed=True)).reading_speed()


def _print_table(sizing: MemoryEstimate) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "tokens", "weights", "keys and\nvalues", "activations", "total", "fits", "first\ntoken", box=box.SIMPLE
    )
    for column in table.columns:
        column.justify = "right"
        column.no_wrap = True
    for need in sizing.needs:
        sizes = (need.weights, need.cache, need.activations, need.total)
        wait = "-" if need.seconds is None else duration(need.seconds)
        shown = [f"{size / _GIB:.2f} GiB" for size in sizes]
        table.add_row(f"{need.tokens:,}", *shown, "yes" if need.fits else "no", wait)
    echo(f"{sizing.name}: {sizing.parameters:,} parameters, native window {sizing.window:,} tokens")
    echo(f"a token's keys and values take {sizing.token_bytes / 1024:g} KiB")
    Console().print(table)
    fits = f"up to {sizing.longest:,} tokens fit" if sizing.longest else "the weights alone do not fit"
    echo(f"in {sizing.memory / _GIB:.1f} GiB of memory, {fits}")
    rate = sizing.tokens_per_second
    echo(_NOT_MEASURED if rate is None else f"it was measured to read {rate:,.0f} tokens a second here")
