"""Memory that a model needs: weights, KV cache and activations at several context lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longctx.errors import BadRequest, ModelUnavailable
from longctx.models import memory
from longctx.models.cache_shape import CacheShape
from longctx.models.device import device_named
from longctx.models.gguf_file import read_gguf
from longctx.models.gguf_header import is_gguf, refuse_gguf_folder
from longctx.models.known_shapes import known_shape
from longctx.models.loaded_model import LARGEST_FACTOR
from longctx.models.loading import checkpoint_window
from longctx.models.memory import CacheDtype
from longctx.models.naming import is_address
from longctx.models.quantization import Quantization, QuantizationChoice, auto_quantization, check_scheme, matrix_bytes
from longctx.models.reading_rate import kept_speed
from rope_scaling import stated_window


@dataclass(frozen=True, slots=True)
class LengthEstimate:
    """What a sequence of one length takes.

    Attributes:
        tokens: The length in tokens.
        weights: Bytes of the weights.
        cache: Bytes of the KV cache.
        activations: Bytes of the activations of one block of the prefill.
        fits: Whether all of it fits the memory.
        seconds: Seconds until the model has read a prompt of this length on this machine; None if its reading rate has
            not been measured here.
    """

    tokens: int
    weights: int
    cache: int
    activations: int
    fits: bool
    seconds: float | None = None

    @property
    def total(self) -> int:
        """All bytes."""
        return self.weights + self.cache + self.activations


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """The memory that a model needs at several context lengths.

    Attributes:
        name: The model's name.
        parameters: How many parameters it has.
        window: The context length in tokens that its configuration states.
        token_bytes: Bytes of one token's keys and values.
        memory: The memory that it was sized for, in bytes.
        longest: The longest sequence in tokens that fits.
        needs: What each length takes, rising.
        tokens_per_second: The reading rate that was measured on this machine, for a prompt of 128 tokens; None if none
            is kept.
    """

    name: str
    parameters: int
    window: int
    token_bytes: int
    memory: int
    longest: int
    needs: tuple[LengthEstimate, ...]
    tokens_per_second: float | None = None


def estimate_model(
    name: str | Path,
    context: int | None = None,
    quantization: QuantizationChoice | None = None,
    cache: CacheDtype = "model",
    available: int | None = None,
) -> MemoryEstimate:
    """Estimate the memory that a model needs, and the time to read prompts, without loading it.

    Args:
        name: The folder of a checkpoint, a GGUF file, a name of the LLaMA, Llama 2 and Code Llama families such as
            "llama-2-70b", or one on the hub, of which only the configuration is fetched.
        context: The longest sequence in tokens; None is 32 native windows.
        quantization: How the weights would be quantized; "none" and None are as the checkpoint has them, "auto" is as
            the commands load it here.
        cache: How keys and values would be stored.
        available: Memory in bytes; None is what is free on this machine.

    Returns:
        The estimate, at the native window times powers of two and at `context`.

    Raises:
        BadRequest: For a server's address, a context below 1 token, or a GGUF file that is to be quantized.
        ModelUnavailable: If there is no such model, or none that generates text.
    """
    check_scheme(quantization)
    scheme = None if quantization == "none" else quantization
    if is_gguf(name):
        return _estimate_gguf(name, context, None if scheme == "auto" else scheme, cache, available)
    model, folder = _empty_model(name)
    if scheme == "auto":
        scheme = None if folder is None else auto_quantization(folder, device_named("auto"))
    stated = (stated_window(model.config) if folder is None else checkpoint_window(folder, model.config)) or 2048
    if stated < 1:
        raise ModelUnavailable(f"the configuration of {name} states a window of {stated} tokens: state its own")
    context = LARGEST_FACTOR * stated if context is None else context
    if context < 1:
        raise BadRequest(f"context is {context}: give 1 token or more")
    weights, each = _weights(model, scheme), CacheShape.of(model).token_bytes(cache)
    free = _free() if available is None else available
    fixed = memory.Need(1, 0, memory.block_bytes(model, 1, masked=False)).least
    longest = max(0, (free - weights - fixed) // each)
    speed = kept_speed(model.config, scheme)

    def need(tokens: int) -> LengthEstimate:
        one = memory.Need(tokens, tokens * each, memory.block_bytes(model, tokens, masked=False))
        block = min(tokens, memory.block_tokens(one, free - weights, device_named("auto")))
        seconds = None if speed is None else speed.seconds(tokens)
        return LengthEstimate(tokens, weights, one.cache_bytes, block * one.block_bytes, tokens <= longest, seconds)

    parameters = sum(p.numel() for p in model.parameters())
    needs = tuple(map(need, _lengths(stated, context)))
    rate = None if speed is None else speed.rate
    return MemoryEstimate(str(name), parameters, stated, each, free, longest, needs, rate)


def _estimate_gguf(
    name: str | Path, context: int | None, quantization: Quantization | None, cache: CacheDtype, available: int | None
) -> MemoryEstimate:
    """The estimate for a GGUF file, as llama.cpp runs it. Raises as `estimate_model` does."""
    if quantization is not None:
        raise BadRequest(f"quantization is {quantization!r}, and {name} is run as it is: leave it out")
    file = read_gguf(name)
    context = LARGEST_FACTOR * file.window if context is None else context
    if context < 1:
        raise BadRequest(f"context is {context}: give 1 token or more")
    free = _free() if available is None else available
    weights, activations, each = file.nbytes, file.activation_bytes, file.token_bytes(cache)
    longest = max(0, (free - weights - activations) // each)
    speed = file.reading_speed(cache)

    def need(tokens: int) -> LengthEstimate:
        seconds = None if speed is None else speed.seconds(tokens)
        return LengthEstimate(tokens, weights, tokens * each, activations, tokens <= longest, seconds)

    needs, rate = tuple(map(need, _lengths(file.window, context))), None if speed is None else speed.rate
    return MemoryEstimate(str(name), file.parameters, file.window, each, free, longest, needs, rate)


def _empty_model(name: str | Path) -> tuple[Any, Path | None]:
    """The model without its weights, on torch's meta device, and its folder if it has one."""
    import torch
    from transformers import AutoModelForCausalLM

    if is_address(name):
        raise BadRequest(f"{name} takes memory on its server, not here: give the checkpoint that is served there")
    refuse_gguf_folder(name)
    config, folder = None if Path(name).expanduser().is_dir() else known_shape(str(name)), None
    if config is None:
        folder, config = _config(str(name))
    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, dtype=config.dtype or torch.bfloat16), folder
    except Exception as error:  # every family raises its own errors
        reason = str(error).strip().split("\n")[0]
        raise ModelUnavailable(f"{name} is no causal language model that can be sized: {reason}") from error


def _config(name: str) -> tuple[Path, Any]:
    """A checkpoint's folder and its configuration, whatever RoPE it states: memory does not depend on that."""
    from rope_scaling import CheckpointError, find_checkpoint, load_config

    try:
        folder = find_checkpoint(name, "config")
        if not (folder / "config.json").is_file():
            raise CheckpointError(f"{folder} has no config.json: give the folder of a transformers checkpoint")
        return folder, load_config(folder)
    except CheckpointError as error:
        raise ModelUnavailable(
            f"{error}; known without a configuration are LLaMA, Llama 2 and Code Llama by their names, such as "
            "llama-2-70b"
        ) from error


def _weights(model: Any, quantization: Quantization | None) -> int:
    """Bytes of the weights. Quantised are the matrices of the layers; embeddings and the head stay as they are."""
    import torch

    whole = int(sum(parameter.nbytes for parameter in model.parameters()))
    nbytes = matrix_bytes(model.config, quantization)
    if nbytes is None:
        return whole
    head = model.get_output_embeddings()
    matrices = [m.weight for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]
    return int(whole + sum(nbytes(matrix) - matrix.nbytes for matrix in matrices))


def _lengths(window: int, context: int) -> Sequence[int]:
    """The native window times powers of two, and the length that was asked for."""
    lengths = {context}
    while window < context:
        lengths.add(window)
        window *= 2
    return sorted(lengths)


def _free() -> int:
    return memory.available_bytes(device_named("auto"))
