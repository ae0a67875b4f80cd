"""Putting a scaling into a loaded model's attention, and taking it out again.

Knows modules and configurations; it does no arithmetic on frequencies and reads no files. What is swapped is
the model's rotary module, for one that holds fixed frequencies and remembers nothing from call to call.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from rope_scaling.checkpoint import carried_scaling, check_not_blended, windows_under
from rope_scaling.errors import AlreadyScaled, LengthNeeded, UnsupportedModel
from rope_scaling.frequencies import RopeFrequencies, rope_frequencies
from rope_scaling.scaling import RopeScaling
from rope_scaling.transformers_config import RopeBase, read_base, text_config

_SWAP = threading.Lock()  # held while modules are looked at and swapped, never while a model runs
_MISSING = object()


class ScaledRotaryEmbedding(nn.Module):
    """A rotary embedding with fixed frequencies, called as the model's own is.

    The frequencies are no parameter and no buffer, so that `model.half()` or `model.to(torch.bfloat16)`
    leaves them in float32; a copy is kept for each device that asks. Angles are float32, and are not rounded
    to the dtype of `x` before cos and sin.
    """

    def __init__(self, frequencies: RopeFrequencies, scaling: RopeScaling) -> None:
        super().__init__()
        self.scaling = scaling
        self.inv_freq = frequencies.inv_freq
        self.attention_scaling = frequencies.attention_factor
        self._copies: dict[torch.device, torch.Tensor] = {}

    @torch.no_grad()
    def forward(self, x: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return cos and sin of the positions (batch, tokens), each (batch, tokens, rotary_dim).

        They come in the dtype and on the device of `x`, whose values are not read.
        """
        inv_freq = self._copies.get(x.device)
        if inv_freq is None:
            inv_freq = self._copies[x.device] = self.inv_freq.to(x.device)
        # whole numbers times float32 are float32, under autocast too: (batch, tokens, rotary_dim / 2)
        angles = position_ids.unsqueeze(-1) * inv_freq
        cos, sin = angles.cos(), angles.sin()
        if self.attention_scaling != 1.0:
            cos, sin = cos * self.attention_scaling, sin * self.attention_scaling
        cos, sin = cos.to(x.dtype), sin.to(x.dtype)
        return torch.cat((cos, cos), dim=-1), torch.cat((sin, sin), dim=-1)

    def extra_repr(self) -> str:
        """Say what `print(model)` shows."""
        return repr(self.scaling)


@contextmanager
def scaled_rope(model: nn.Module, scaling: RopeScaling, seq_len: int | None = None) -> Iterator[RopeScaling]:
    """Scale a model's RoPE within the block; after it, the module and the configuration are what they were.

    `seq_len`, in tokens, is the length of the sequence to come, prompt and answer together: a method that
    depends on length is fixed at it, once, so that keys in a cache and keys to come agree. The rows of a
    batch share it. Yields the fixed scaling. Raises LengthNeeded where such a method gets no `seq_len`;
    AlreadyScaled where the model is inside another block, scaled for good, or loaded from a checkpoint with a
    different scaling; UnsupportedModel and UnsupportedConfig where the rotary embedding cannot be replaced
    faithfully.
    """
    fixed = _fix(scaling, seq_len)
    restore = _swap_in(model, fixed)
    try:
        yield fixed
    finally:
        with _SWAP:
            restore()


def apply_rope_scaling(model: nn.Module, scaling: RopeScaling, seq_len: int | None = None) -> RopeScaling:
    """Scale a model's RoPE for good; `model.config` tells the truth afterwards. Returns the fixed scaling.

    `rope_parameters`, `max_position_embeddings` and `original_max_position_embeddings` are rewritten.
    `seq_len`, in tokens, fixes a method that depends on length, and every later sequence then runs with those
    frequencies. Raises as `scaled_rope` does.
    """
    fixed = _fix(scaling, seq_len)
    _swap_in(model, fixed)
    return fixed


def _fix(scaling: RopeScaling, seq_len: int | None) -> RopeScaling:
    if seq_len is not None:
        return scaling.at_length(seq_len)
    if not scaling.is_fixed:
        raise LengthNeeded(
            f"{scaling.method}: the frequencies depend on the sequence's length; give seq_len, the tokens of "
            "prompt and answer together, or a scaling fixed by at_length(n)"
        )
    return scaling


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a model keeps a rotary module: `getattr(parent, name) is module`."""

    parent: nn.Module
    name: str
    module: nn.Module


def _swap_in(model: nn.Module, fixed: RopeScaling) -> Callable[[], None]:
    """Swap the rotary modules and rewrite the configuration; returns what undoes both."""
    with _SWAP:
        places = _rotary_places(model)
        config = text_config(model.config)
        base, carried = read_base(config), carried_scaling(config)
        check_not_blended(carried, fixed, base)
        for place in places:
            _check_understood(place.module, config, base)
        frequencies = rope_frequencies(fixed, base.rotary_dim, base.theta)
        parameters = fixed.to_rope_parameters(base.theta, base.rotary_dim, base.partial_rotary_factor)
        truth = {"rope_parameters": parameters, **windows_under(fixed, base, carried)}
        before = {name: getattr(config, name, _MISSING) for name in truth}

        def restore() -> None:
            for place in places:
                setattr(place.parent, place.name, place.module)
            _set_all(config, before)

        try:
            _set_all(config, truth)
            for place in places:
                ours = ScaledRotaryEmbedding(frequencies, fixed).train(place.module.training)
                setattr(place.parent, place.name, ours)
        except BaseException:
            restore()
            raise
    return restore


def _rotary_places(model: nn.Module) -> list[_Place]:
    """Find every rotary module. Raises for none, for ours, and for one that cannot be swapped."""
    places = []
    for path, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, ScaledRotaryEmbedding):
            raise AlreadyScaled(
                f"the model is scaled already, by {module.scaling!r}: leave the other scaled_rope block "
                "first, or load the model anew where it was scaled for good"
            )
        if any(
            name.endswith("_inv_freq") and name != "original_inv_freq"
            for name, _ in module.named_buffers(recurse=False)
        ):
            raise UnsupportedModel(
                f"{path} holds frequencies for each type of layer: {type(module).__name__} is not supported"
            )
        if hasattr(module, "inv_freq") and hasattr(module, "attention_scaling"):
            parent, _, name = path.rpartition(".")
            places.append(_Place(model.get_submodule(parent), name, module))
    if not places or not hasattr(model, "config"):
        raise UnsupportedModel(
            f"{type(model).__name__} has no rotary embedding (RoPE) of transformers' making: "
            "there is nothing to scale; load a model with RoPE"
        )
    return places


def _check_understood(module: nn.Module, config: Any, base: RopeBase) -> None:
    """Refuse a module whose cos and sin are not what its configuration says, laid out as ours are."""
    own = RopeScaling.from_config(config).at_length(4)
    ours = ScaledRotaryEmbedding(rope_frequencies(own, base.rotary_dim, base.theta), own)
    stock: Any = copy.deepcopy(module)  # a forward pass may change a stock module's state
    x = torch.zeros(1, device=stock.inv_freq.device)
    positions = torch.arange(4, device=x.device)[None]
    # a model cast to half precision has lost digits of its own frequencies, but not what is looked for here
    tolerance = 1e-4 if stock.inv_freq.dtype == torch.float32 else 0.05
    try:
        pairs = list(zip(stock(x, positions), ours(x, positions), strict=True))
    except (TypeError, ValueError) as error:
        raise UnsupportedModel(f"{type(module).__name__} is called in a way that is not supported: {error}") from error
    if not all(a.shape == b.shape and torch.allclose(a, b, atol=tolerance) for a, b in pairs):
        raise UnsupportedModel(
            f"{type(module).__name__} turns its dimensions otherwise than its configuration says "
            f"(θ {base.theta:g}, {base.rotary_dim} dimensions, {own.method}): it cannot be replaced "
            "faithfully; load the model anew, or use another"
        )


def _set_all(config: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if value is not _MISSING:
            setattr(config, name, value)
        elif hasattr(config, name):
            delattr(config, name)
