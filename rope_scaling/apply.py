"""Applying a scaling to a loaded model, within a block or for good.

The model's rotary module is replaced by one that holds fixed frequencies and keeps no state from call to call.
"""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from rope_scaling.checkpoint import carried_scaling, check_not_blended, windows_under
from rope_scaling.dual_chunk import NAME, Chunks, check_dual_chunk, chunk_sizes
from rope_scaling.errors import AlreadyScaled, UnsupportedModel
from rope_scaling.frequencies import RopeFrequencies, rope_frequencies
from rope_scaling.scaling import RopeScaling
from rope_scaling.transformers_config import RopeBase, read_base, rope_parameters, text_config

_SWAP = threading.Lock()  # held while modules are inspected and replaced, never while a model runs


class ScaledRotaryEmbedding(nn.Module):
    """A rotary embedding with fixed frequencies, called as the model's own is.

    The frequencies are neither a parameter nor a buffer, so that `model.half()` or `model.to(torch.bfloat16)` leaves
    them in float32; a copy is kept for each device. Angles are float32, and are not rounded to the dtype of `x` before
    cos and sin.

    Attributes:
        scaling: The fixed scaling.
        inv_freq: Its frequencies, (rotary_dim / 2,) float32, in radians per token.
        attention_scaling: The factor of cos and sin.
    """

    def __init__(self, frequencies: RopeFrequencies, scaling: RopeScaling) -> None:
        super().__init__()
        self.scaling = scaling
        self.inv_freq = frequencies.inv_freq
        self.attention_scaling = frequencies.attention_factor
        self.chunk_step = chunk_sizes(scaling)[0] if scaling.method == "dca" else 0
        self._copies: dict[torch.device, torch.Tensor] = {}

    @torch.no_grad()
    def forward(self, x: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute cos and sin of the angles at each position.

        Args:
            x: A tensor whose dtype and device the results get; its values are not read.
            position_ids: Positions, (batch, tokens).

        Returns:
            cos and sin, each (batch, tokens, rotary_dim).
        """
        if self.chunk_step:
            position_ids = position_ids % self.chunk_step
        inv_freq = self._copies.get(x.device)
        if inv_freq is None:
            inv_freq = self._copies[x.device] = self.inv_freq.to(x.device)
        # (batch, tokens, rotary_dim / 2); integers times float32 are float32, under autocast too
        angles = position_ids.unsqueeze(-1) * inv_freq
        cos, sin = angles.cos(), angles.sin()
        if self.attention_scaling != 1.0:
            cos, sin = cos * self.attention_scaling, sin * self.attention_scaling
        cos, sin = cos.to(x.dtype), sin.to(x.dtype)
        return torch.cat((cos, cos), dim=-1), torch.cat((sin, sin), dim=-1)

    def extra_repr(self) -> str:
        """The scaling, which `print(model)` shows."""
        return repr(self.scaling)


@contextmanager
def scaled_rope(model: nn.Module, scaling: RopeScaling, seq_len: int | None = None) -> Iterator[RopeScaling]:
    """Scale a model's RoPE within a block, and restore its module and configuration afterwards.

    Args:
        model: A model that transformers loaded.
        scaling: The scaling.
        seq_len: The length of the coming sequence in tokens, prompt and answer together; the longest of a batch. A
            method that depends on the length is fixed at it once, so that cached keys and new ones agree.

    Yields:
        The fixed scaling.

    Raises:
        LengthNeeded: If the method depends on the length, and neither `seq_len` nor the scaling states it.
        AlreadyScaled: If the model is inside another block, was scaled for good, or carries another scaling.
        UnsupportedModel: If the rotary embedding cannot be replaced faithfully.
        UnsupportedConfig: If the model's RoPE parameters are not understood.
    """
    fixed = scaling if seq_len is None else scaling.at_length(seq_len)
    undo = _swap_in(model, fixed)
    try:
        yield fixed
    finally:
        with _SWAP:
            undo.close()


def apply_rope_scaling(model: nn.Module, scaling: RopeScaling, seq_len: int | None = None) -> RopeScaling:
    """Scale a model's RoPE for good, and rewrite its configuration to state the scaling.

    Args:
        model: A model that transformers loaded. Its configuration gets new `rope_parameters`,
            `max_position_embeddings` and `original_max_position_embeddings`.
        scaling: The scaling.
        seq_len: The length in tokens that a method which depends on it is fixed at, for every later sequence.

    Returns:
        The fixed scaling.

    Raises:
        RopeScalingError: See `scaled_rope`.
    """
    fixed = scaling if seq_len is None else scaling.at_length(seq_len)
    _swap_in(model, fixed)
    return fixed


def _swap_in(model: nn.Module, fixed: RopeScaling) -> ExitStack:
    """Replace the rotary modules and rewrite the configuration; closing the result undoes both."""
    with _SWAP, ExitStack() as undo:
        places = _rotary_places(model)
        config = text_config(model.config)
        base, carried = read_base(config), carried_scaling(config)
        check_not_blended(carried, fixed, base)
        for _, _, module in places:
            _check_understood(module, config, base)
        frequencies = rope_frequencies(fixed, base.rotary_dim, base.theta)
        parameters = fixed.to_rope_parameters(base.theta, base.rotary_dim, base.partial_rotary_factor)
        scales = _softmax_scales(model, rope_parameters(config), parameters)
        for name, value in {"rope_parameters": parameters, **windows_under(fixed, base, carried)}.items():
            if hasattr(config, name):
                undo.callback(setattr, config, name, getattr(config, name))
            else:
                undo.callback(delattr, config, name)
            setattr(config, name, value)
        if fixed.method == "dca":
            _put_in_dual_chunks(model, Chunks.of(fixed, frequencies.inv_freq), undo)
        for module, scale in scales:
            undo.callback(setattr, module, "scaling", module.scaling)
            setattr(module, "scaling", scale)  # noqa: B010  # which torch's types take for a tensor
        for parent, name, module in places:
            undo.callback(setattr, parent, name, module)
            setattr(parent, name, ScaledRotaryEmbedding(frequencies, fixed).train(module.training))
        return undo.pop_all()


def _put_in_dual_chunks(model: nn.Module, chunks: Chunks, undo: ExitStack) -> None:
    """Switch a model to dual chunk attention; `undo` switches it back."""
    check_dual_chunk(model)
    config: Any = model.config
    for each in {id(one): one for one in (config, text_config(config))}.values():
        undo.callback(setattr, each, "_attn_implementation", each._attn_implementation)
        each._attn_implementation = NAME
    for module in model.modules():
        if hasattr(module, "is_causal"):
            undo.callback(delattr, module, "dual_chunks")
            module.dual_chunks = chunks  # type: ignore[assignment]


def _softmax_scales(model: nn.Module, before: dict[str, Any], after: dict[str, Any]) -> list[tuple[nn.Module, float]]:
    """Each attention layer whose softmax scale depends on the RoPE parameters, and its scale under the new ones."""
    # With `mscale_all_dim`, models with multi-head latent attention (MLA) multiply it by YaRN's magnitude squared.
    if not (before.get("mscale_all_dim") or after.get("mscale_all_dim")):
        return []
    scales = []
    for module in model.modules():
        # transformers' own function, which each of these models brings
        apply_mscale = getattr(sys.modules[type(module).__module__], "yarn_apply_mscale", None)
        own = getattr(module, "scaling", None)
        if apply_mscale is not None and isinstance(own, float):
            scales.append((module, own / apply_mscale(before, 1.0) * apply_mscale(after, 1.0)))
    return scales


def _rotary_places(model: nn.Module) -> list[tuple[nn.Module, str, nn.Module]]:
    """Every rotary module, after its parent and its name there. Raises for none, for ours, and for unsupported ones."""
    places = []
    for path, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, ScaledRotaryEmbedding):
            raise AlreadyScaled(
                f"the model is scaled already, by {module.scaling!r}: leave the other scaled_rope block "
                "first, or load the model anew where it was scaled for good"
            )
        buffers = {name for name, _ in module.named_buffers(recurse=False)} - {"original_inv_freq"}
        if any(name.endswith("_inv_freq") for name in buffers):
            raise UnsupportedModel(
                f"{path} holds frequencies for each type of layer: {type(module).__name__} is not supported"
            )
        if hasattr(module, "inv_freq") and hasattr(module, "attention_scaling"):
            parent, _, name = path.rpartition(".")
            if isinstance(model.get_submodule(parent), nn.ModuleList):
                kind = type(module).__name__
                raise UnsupportedModel(
                    f"{path} is one of several rotary embeddings, of different θ: {kind} is not supported"
                )
            places.append((model.get_submodule(parent), name, module))
    if not places or not hasattr(model, "config"):
        raise UnsupportedModel(
            f"{type(model).__name__} has no rotary embedding (RoPE) of transformers' making: "
            "there is nothing to scale; load a model with RoPE"
        )
    return places


def _check_understood(module: nn.Module, config: Any, base: RopeBase) -> None:
    """Raise UnsupportedModel for a module whose cos and sin differ from those that its configuration leads to."""
    own = RopeScaling.from_config(config).at_length(4)
    ours = ScaledRotaryEmbedding(rope_frequencies(own, base.rotary_dim, base.theta), own)
    stock: Any = copy.deepcopy(module)  # a forward pass may change a stock module's state
    x = torch.zeros(1, device=stock.inv_freq.device)
    positions = torch.arange(4, device=x.device)[None]
    # a model in half precision has rounded its own frequencies
    tolerance = 1e-4 if stock.inv_freq.dtype == torch.float32 else 0.05
    try:
        pairs = list(zip(stock(x, positions), ours(x, positions), strict=True))
    except (TypeError, ValueError) as error:
        raise UnsupportedModel(f"{type(module).__name__} is called in a way that is not supported: {error}") from error
    if not all(a.shape == b.shape and torch.allclose(a, b, atol=tolerance) for a, b in pairs):
        raise UnsupportedModel(
            f"{type(module).__name__} rotates otherwise than its configuration says "
            f"(θ {base.theta:g}, {base.rotary_dim} dimensions, {own.method}): it cannot be replaced "
            "faithfully; load the model anew, or use another"
        )
