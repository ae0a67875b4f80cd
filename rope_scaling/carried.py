"""The scaling that a checkpoint came with, and the rule that two scalings never blend."""

from __future__ import annotations

from typing import Any

import torch

from rope_scaling.errors import AlreadyScaled
from rope_scaling.frequencies import rope_frequencies
from rope_scaling.hf_config import WINDOW, RopeBase, raised_window
from rope_scaling.scaling import RopeScaling


def carried_scaling(config: Any) -> RopeScaling | None:
    """Return the scaling of a configuration, object or mapping; None for a model with its native window."""
    own = RopeScaling.from_config(config)
    return own if own.method != "default" or raised_window(config) else None


def windows_under(fixed: RopeScaling, base: RopeBase, carried: RopeScaling | None) -> dict[str, int]:
    """Return the two windows that a configuration must state under `fixed`; nothing where they stay as they are.

    They stay where nothing is scaled, and for a checkpoint's own scaling that does not tell its original window.
    """
    original = fixed.original_max_position_embeddings or (base.window if carried is None else None)
    if fixed.method == "default" or original is None:
        return {}
    return {"max_position_embeddings": fixed.window or round(fixed.factor * original), WINDOW: original}


def check_not_blended(carried: RopeScaling | None, wanted: RopeScaling, base: RopeBase) -> None:
    """Raise AlreadyScaled unless the checkpoint is unscaled, or the fixed `wanted` is its own scaling."""
    if carried is None:
        return
    mine = rope_frequencies(wanted, base.rotary_dim, base.theta)
    theirs = rope_frequencies(carried.at_length(wanted.length or 1), base.rotary_dim, base.theta)
    if not (torch.equal(mine.inv_freq, theirs.inv_freq) and mine.attention_factor == theirs.attention_factor):
        had = "a raised rope_theta" if carried.method == "default" else repr(carried)
        raise AlreadyScaled(
            f"the checkpoint is scaled already, by {had}, and {wanted!r} is another scaling: use the "
            "checkpoint's own, RopeScaling.from_config(model.config), or start from an unscaled checkpoint"
        )
