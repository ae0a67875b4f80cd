"""`GgufModel`: a GGUF file as the engine and the planner see a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from longctx.gguf.tokenizer import GgufTokenizer
from longctx.models import CacheDtype, GgufFile, config_object, scaled_window
from rope_scaling import Checkpoint, RopeScaling

_UBATCH = 512  # tokens that llama.cpp computes at a time
_ALL_FLOAT32 = "0"  # llama.cpp's number for a file whose weights are all so
_F32, _F16, _Q8_0 = 0, 1, 8  # ggml_type
_BYTES = {_F32: 4.0, _F16: 2.0, _Q8_0: 34 / 32}  # of a number; in q8_0, 32 of them share a scale of 16 bits


@dataclass(frozen=True, slots=True)
class GgufModel:
    """A model in a GGUF file.

    Attributes:
        name: The path, as it was given.
        file: The file's header.
        checkpoint: Its RoPE, and the scaling that it carries.
        tokenizer: Its tokenizer.
        native_window: The context length in tokens that it was trained for.
        scaling: As in `LoadedModel`.
        cache_dtype: How keys and values are kept: in 16 bits (in 32 where the weights are), or in int8 (llama.cpp's
            q8_0).
    """

    name: str
    file: GgufFile
    checkpoint: Checkpoint
    tokenizer: GgufTokenizer
    native_window: int
    scaling: str | RopeScaling | None = None
    cache_dtype: CacheDtype = "model"

    @property
    def window(self) -> int:
        """The longest sequence in tokens, prompt and answer together."""
        return scaled_window(self.native_window, self.scaling)

    @property
    def config(self) -> dict[str, Any]:
        """The header under the names of transformers' configurations."""
        return self.file.config

    @property
    def text_config(self) -> Any:
        """The same as an object."""
        return config_object(self.config)

    @property
    def vocabulary_size(self) -> int:
        """How many tokens it knows."""
        return len(self.tokenizer)

    @property
    def parameters(self) -> int:
        """How many parameters it has."""
        return self.file.parameters

    @property
    def precision(self) -> str:
        """How its numbers are kept, for telling one model from others."""
        return f"gguf {self.file.file_type} {self.cache_dtype}"

    @property
    def device_type(self) -> str:
        """Where it runs, as far as is known: llama.cpp decides."""
        return "cpu"

    @property
    def token_bytes(self) -> int:
        """Bytes of one token's keys and values."""
        return token_bytes(self.file, self.cache_dtype)


def cache_type(file: GgufFile, dtype: CacheDtype) -> int:
    """The type that llama.cpp keeps keys and values in.

    Args:
        file: The model's file.
        dtype: How they are to be kept.

    Returns:
        Its number (ggml_type).
    """
    if dtype == "int8":
        return _Q8_0
    return _F32 if file.file_type == _ALL_FLOAT32 else _F16


def token_bytes(file: GgufFile, dtype: CacheDtype) -> int:
    """Bytes of one token's keys and values.

    Args:
        file: The model's file.
        dtype: How they are kept.

    Returns:
        Bytes, over all layers.
    """
    return round(file.token_shape[0] * _BYTES[cache_type(file, dtype)])


def activation_bytes(file: GgufFile) -> int:
    """Bytes of llama.cpp's buffers beside weights and cache: float32, the widest of which are the logits.

    Args:
        file: The model's file.

    Returns:
        Bytes.
    """
    config = file.config
    vocabulary = len(file.metadata.get("tokenizer.ggml.tokens", []))
    width = max(vocabulary, 8 * config["hidden_size"] + 3 * config["intermediate_size"])
    return int(4 * _UBATCH * width)
