"""Plots of RoPE frequencies before and after a scaling. matplotlib is imported only when one is drawn."""

from __future__ import annotations

import math
import uuid
from io import BytesIO
from pathlib import Path

from rope_scaling.errors import PlotUnavailable
from rope_scaling.frequencies import rope_frequencies
from rope_scaling.scaling import RopeScaling
from rope_scaling.transformers_config import RopeBase


def plot_frequencies(before: RopeScaling, after: RopeScaling, base: RopeBase, file: str | Path) -> None:
    """Plot two fixed scalings: the wavelength of each pair of dimensions, and the ratio of their frequencies.

    Args:
        before: The first scaling.
        after: The second scaling.
        base: The model's rotary embedding.
        file: The file to write; its suffix chooses the format (.png, .svg, .pdf).

    Raises:
        PlotUnavailable: If matplotlib is not installed, does not know the format, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure  # the object interface: no display, no global state
    except ImportError as error:
        raise PlotUnavailable(
            'drawing needs matplotlib, from the extra "plot": in a checkout of longctx, '
            'pip install -c constraints.txt ".[plot]"'
        ) from error
    old, new = (rope_frequencies(scaling, base.rotary_dim, base.theta).inv_freq for scaling in (before, after))
    pairs = range(base.rotary_dim // 2)
    figure = Figure(figsize=(9, 4), layout="constrained")
    waves, ratio = figure.subplots(1, 2)
    for label, inv_freq in ((f"before: {before.method}", old), (f"after: {after.method}", new)):
        waves.semilogy(pairs, (2 * math.pi / inv_freq).tolist(), label=label)
    waves.axhline(base.window, color="grey", linestyle=":", label=f"original window, {base.window:,} tokens")
    waves.set(xlabel="pair of dimensions", ylabel="wavelength (tokens)")
    waves.legend()
    ratio.plot(pairs, (new / old).tolist())
    highest = 1.05 * float((new / old).max())
    ratio.set(xlabel="pair of dimensions", ylabel="frequency after / before", ylim=(0, highest))
    path = Path(file) if Path(file).suffix else Path(file).with_suffix(".png")
    drawn = BytesIO()
    try:
        figure.savefig(drawn, format=path.suffix.removeprefix("."))
    except ValueError as error:
        raise PlotUnavailable(f"{path} cannot be drawn: {error}") from error
    _write(path, drawn.getvalue())


def _write(path: Path, data: bytes) -> None:
    """Write a file, all of it or nothing. Raises PlotUnavailable."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise PlotUnavailable(f"{path} cannot be written: {error.strerror or error}") from error
