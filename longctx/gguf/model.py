"""`GgufModel`: a GGUF file as the engine and the planner see a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from longctx.gguf.tokenizer import GgufTokenizer
from longctx.models import CacheDtype, GgufFile, config_object, scaled_window
from rope_scaling import Checkpoint, RopeScaling


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
        return self.file.precision(self.cache_dtype)

    @property
    def device_type(self) -> str:
        """Where it runs, as far as is known: llama.cpp decides."""
        return "cpu"

    @property
    def token_bytes(self) -> int:
        """Bytes of one token's keys and values."""
        return self.file.token_bytes(self.cache_dtype)
