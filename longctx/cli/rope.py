"""`longctx rope`: a model's RoPE, and what a scaling would change."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longctx.cli.options import JsonOption, tokens_option
from longctx.cli.output import print_json
from longctx.cli.terminal import cell
from longctx.errors import BadRequest

if TYPE_CHECKING:
    from rope_scaling import RopeBase, RopeScaling

_ROWS = 9  # pairs of dimensions in the table, from the fastest to the slowest

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="A checkpoint's folder, a GGUF file, or a hub name.")
]
FactorOption = Annotated[
    float | None, typer.Option(metavar="S", help="The method's factor (default: what --to asks for).")
]


def rope(
    model: ModelArgument,
    method: Annotated[str | None, typer.Option(metavar="NAME", help="Compare with: yarn, ntk, linear, ...")] = None,
    factor: FactorOption = None,
    to: Annotated[int | None, tokens_option("TOKENS", "The window to reach, such as 16k.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the frequencies into a file.")] = None,
    json: JsonOption = False,
) -> None:
    """Show a model's rotary embedding, and what a scaling would change. No weights are read."""
    from longctx.models import is_address, is_gguf, read_gguf, refuse_gguf_folder
    from rope_scaling import open_checkpoint, plot_frequencies

    if is_address(model):
        raise BadRequest(
            f"{model} is a server, which scales its model itself: give the checkpoint that is served there"
        )
    refuse_gguf_folder(model)
    checkpoint = read_gguf(model).checkpoint() if is_gguf(model) else open_checkpoint(model, config_only=True)
    base, own = checkpoint.base, checkpoint.scaling
    before = own.at_length(own.window or base.window)
    asked = method is not None or factor is not None or to is not None
    after = checkpoint.scaled(method or "yarn", to, factor) if asked else None
    if plot is not None:
        plot_frequencies(before, after or before, base, plot)
    described = [describe(scaling, base) for scaling in (before, after) if scaling is not None]
    if json:
        print_json(dict(zip(("before", "after"), described, strict=False)))
    else:
        _print_tables(described)


def describe(scaling: RopeScaling, base: RopeBase) -> dict[str, Any]:
    """Describe one scaling of a model; θ as NTK raises it, `inv_freq` in radians per token."""
    from rope_scaling import rope_frequencies

    inv_freq, attention_factor = rope_frequencies(scaling, base.rotary_dim, base.theta)
    given = scaling.model_dump(exclude_none=True, exclude={"method", "short_factor", "long_factor"})
    return {
        "method": scaling.method,
        "parameters": given,
        "rope_theta": scaling.to_rope_parameters(base.theta, base.rotary_dim)["rope_theta"],
        "rotary_dim": base.rotary_dim,
        "native_window": base.window,
        "window": scaling.window or round(scaling.factor * base.window),
        "attention_factor": attention_factor,
        "inv_freq": inv_freq.tolist(),
    }


def _print_tables(described: list[dict[str, Any]]) -> None:
    """Print the parameters, and a sample of the frequencies, one column for each scaling."""
    from rich.console import Console
    from rich.table import Table

    names = ("before", "after")[: len(described)]
    facts, waves = Table("", *names), Table("pair", *(f"wavelength {name}, tokens" for name in names))
    for name in ("method", "rope_theta", "rotary_dim", "native_window", "window", "attention_factor"):
        facts.add_row(name, *(_readable(one[name]) for one in described))
    for name in sorted({name for one in described for name in one["parameters"]}):
        facts.add_row(name, *(_readable(one["parameters"].get(name, "")) for one in described))
    if len(described) == 2:
        waves.add_column("frequency after / before")
    for pair in _sample(len(described[0]["inv_freq"])):
        frequencies = [one["inv_freq"][pair] for one in described]
        cells = [f"{2 * math.pi / frequency:,.1f}" for frequency in frequencies]
        ratio = [f"{frequencies[1] / frequencies[0]:.4f}"] if len(described) == 2 else []
        waves.add_row(str(pair), *cells, *ratio)
    Console().print(facts, waves)


def _sample(pairs: int) -> list[int]:
    rows = min(_ROWS, pairs)
    return sorted({round(row * (pairs - 1) / max(rows - 1, 1)) for row in range(rows)})


def _readable(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.6g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else cell(str(value))
