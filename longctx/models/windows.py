"""The context windows of a model: native, scaled, and as far as they were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from longctx.errors import BadReport, BadRequest
from longctx.models.fingerprint import hash_tokenizer
from longctx.models.loaded_model import LARGEST_FACTOR, ScalableModel, carried, extended_window
from longctx.planning import Windows
from longctx.reasons import Reason
from rope_scaling import RopeScaling, RopeScalingError, carried_scaling

UNSCALED = "none"


@dataclass(frozen=True, slots=True)
class Measured:
    """The effective window of a model under a scaling method.

    Attributes:
        method: The method; 'none' is the model as it is.
        window: The effective window in tokens.
    """

    method: str
    window: int


@dataclass(frozen=True, slots=True)
class Measurements:
    """How far a model was seen to read, by a probe, and which model that was.

    Attributes:
        figures: The effective window of each method that has one.
        model: The name of the model that was measured.
        tokenizer_sha256: The hash of its tokenizer.
        scaling: The scaling that its checkpoint carries, as text; None for none.
    """

    figures: tuple[Measured, ...]
    model: str
    tokenizer_sha256: str
    scaling: str | None


def measured_for(measured: Sequence[Measured] | Measurements, loaded: ScalableModel) -> tuple[Measured, ...]:
    """The figures that hold for a model.

    Weights are not compared, since an adapter or another dtype changes them.

    Args:
        measured: Figures, or a probe's measurements.
        loaded: The model that is to be used.

    Returns:
        The figures.

    Raises:
        BadRequest: For what is neither.
        BadReport: If they are of another model: another tokenizer, or another scaling in the checkpoint.
    """
    if not isinstance(measured, Measurements):
        figures: Any = measured
        if not isinstance(figures, list | tuple) or not all(isinstance(each, Measured) for each in figures):
            raise BadRequest(f"measured is {figures!r}: give load_report(folder).measurements(), or Measured figures")
        return tuple(figures)
    own = carried_scaling(loaded.config)
    here = {"tokenizer": hash_tokenizer(loaded.tokenizer), "scaling": None if own is None else repr(own)}
    there = (measured.tokenizer_sha256, measured.scaling)
    others = [name for (name, value), said in zip(here.items(), there, strict=True) if value != said]
    if others:
        raise BadReport(
            f"the report is of {measured.model}, which has another {' and another '.join(others)} than "
            f"{loaded.name}: run `longctx probe {loaded.name}`"
        )
    return measured.figures


def windows_of(loaded: ScalableModel, measured: Sequence[Measured] = (), memory: int | None = None) -> Windows:
    """The windows of a model.

    They are extended by the scaling that it was loaded with; where it has none, by the method that was measured to
    reach furthest; in native windows times powers of two, and never past what was measured.

    Args:
        loaded: The model.
        measured: Its effective windows.
        memory: The longest sequence in tokens that the memory holds; None for no limit.

    Returns:
        The windows.
    """
    seen = {each.method: each.window for each in measured}
    native = min(loaded.native_window, seen.get(UNSCALED, loaded.native_window))
    method = extending_method(loaded, measured)
    steps = () if method is None else _steps(loaded, seen.get(method))
    windows = Windows(native, tuple(step for step in steps if step > native), memory, measured=method in seen)
    if carried(loaded.config) is not None:
        return replace(windows, only_native=Reason("carried"))
    return replace(windows, only_native=Reason("nothing_beyond")) if seen.keys() - {UNSCALED} else windows


def _steps(loaded: ScalableModel, seen: int | None) -> Sequence[int]:
    # Under a fixed scaling too, though all of them are read alike: passages fill the first that holds the best of them.
    stated = LARGEST_FACTOR * loaded.native_window if loaded.scaling is None else loaded.window
    reach = stated if seen is None else min(stated, seen)
    doubled = (loaded.native_window << i for i in range(1, LARGEST_FACTOR.bit_length()))
    return (*(step for step in doubled if step < reach), reach)


def scaling_for(loaded: ScalableModel, measured: Sequence[Measured], window: int, scaled: bool) -> RopeScaling | None:
    """The RoPE scaling for a prompt.

    Args:
        loaded: The model.
        measured: Its effective windows.
        window: The window in tokens that the prompt was planned for.
        scaled: Whether that window is longer than the native one.

    Returns:
        The scaling; None leaves the model as it was loaded.
    """
    if not scaled:
        if isinstance(loaded.scaling, RopeScaling) and not _carries_scaling(loaded):  # in force at every length
            return RopeScaling(method="default", original_max_position_embeddings=loaded.native_window)
        return None
    method = extending_method(loaded, measured)
    if loaded.scaling is not None or method is None:
        return None
    native = loaded.native_window
    return RopeScaling.for_window(method, extended_window(native, window), native)


def extending_method(loaded: ScalableModel, measured: Sequence[Measured]) -> str | None:
    """The method that takes a model past its native window, if any does."""
    if loaded.scaling is not None:
        return loaded.scaling if isinstance(loaded.scaling, str) else loaded.scaling.method
    furthest = max((m for m in measured if m.method != UNSCALED), key=lambda m: m.window, default=None)
    if furthest is None or furthest.window <= loaded.native_window or _carries_scaling(loaded):
        return None
    return furthest.method


def _carries_scaling(loaded: ScalableModel) -> bool:
    try:
        return carried_scaling(loaded.config) is not None
    except RopeScalingError:
        return True
