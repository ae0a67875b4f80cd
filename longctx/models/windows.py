"""How long a prompt a model takes: natively, scaled, and in the memory that there is. Knows models; runs none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from longctx.models.loading import LARGEST_FACTOR, LoadedModel, extended_window
from longctx.planning import Windows
from rope_scaling import RopeScaling, RopeScalingError

UNSCALED = "none"
_NOTHING_BEYOND = "nothing was measured to carry the model beyond its native window"


@dataclass(frozen=True, slots=True)
class Measured:
    """How many tokens of a prompt a model was seen to use under a scaling `method`; 'none' is the model as it is."""

    method: str
    window: int


def windows_of(loaded: LoadedModel, measured: Sequence[Measured] = (), memory: int | None = None) -> Windows:
    """The windows of a model.

    They are extended by the scaling that it was loaded with; where it has none, by the method that was measured to
    reach furthest; in native windows times powers of two, and never past what was measured.
    """
    seen = {each.method: each.window for each in measured}
    native = min(loaded.native_window, seen.get(UNSCALED, loaded.native_window))
    method = extending_method(loaded, measured)
    steps = () if method is None else _steps(loaded, seen.get(method))
    windows = Windows(native, tuple(step for step in steps if step > native), memory, shown=method in seen)
    return replace(windows, only_native=_NOTHING_BEYOND) if seen.keys() - {UNSCALED} else windows


def _steps(loaded: LoadedModel, seen: int | None) -> Sequence[int]:
    """Windows that a scaling leads to, rising, up to the one that was seen to work.

    Under a fixed scaling too, though all of them are read alike: passages fill the first that holds the best of them.
    """
    stated = _stated(loaded)
    reach = stated if seen is None else min(stated, seen)
    doubled = (loaded.native_window << i for i in range(1, LARGEST_FACTOR.bit_length()))
    return (*(step for step in doubled if step < reach), reach)


def scaling_for(loaded: LoadedModel, measured: Sequence[Measured], window: int, scaled: bool) -> RopeScaling | None:
    """What a prompt in a window is read under; None leaves it to the model as it was loaded."""
    if not scaled:
        if isinstance(loaded.scaling, RopeScaling) and not _carries_scaling(loaded):  # in force at every length
            return RopeScaling(method="default", original_max_position_embeddings=loaded.native_window)
        return None
    method = extending_method(loaded, measured)
    if loaded.scaling is not None or method is None:
        return None
    native = loaded.native_window
    return RopeScaling.for_window(method, extended_window(native, window), native)


def extending_method(loaded: LoadedModel, measured: Sequence[Measured]) -> str | None:
    """The method that takes a model past its native window, if any does."""
    if loaded.scaling is not None:
        return loaded.scaling if isinstance(loaded.scaling, str) else loaded.scaling.method
    furthest = max((m for m in measured if m.method != UNSCALED), key=lambda m: m.window, default=None)
    if furthest is None or furthest.window <= loaded.native_window or _carries_scaling(loaded):
        return None
    return furthest.method


def _stated(loaded: LoadedModel) -> int:
    return LARGEST_FACTOR * loaded.native_window if loaded.scaling is None else loaded.window


def _carries_scaling(loaded: LoadedModel) -> bool:
    try:
        return RopeScaling.from_config(loaded.model.config).method != "default"
    except RopeScalingError:
        return True
