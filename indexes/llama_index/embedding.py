"""An encoder as a llama-index embedding model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, TypeVar

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr

from indexes.encoders import DEFAULT_ENCODER, load_encoder
from indexes.llama_index.long_texts import embed_whole
from indexes.types import Encoder

_BATCH_SIZE = 512  # texts to one call: enough for the encoder to sort by length


R = TypeVar("R")


def in_thread(method: Callable[..., R]) -> Callable[..., Coroutine[Any, Any, R]]:
    """Make the async variant of a method, which runs in a thread.

    Args:
        method: The method.

    Returns:
        The variant.
    """

    @wraps(method)
    async def run(*args: Any, **kwargs: Any) -> R:
        return await asyncio.to_thread(method, *args, **kwargs)

    return run


class CorpusEmbedding(BaseEmbedding):
    """An index's encoder as a llama-index embedding model.

    Embeddings have length 1. Passages and queries get the prompts in the encoder's own configuration. A text that is
    longer than the encoder reads is embedded in parts, and its embedding is their mean.

    Args:
        encoder: "default", the folder or the hub name of a sentence-transformers model, or an `Encoder`; None for
            `model_name`, by which llama-index restores the model from JSON.
        fields: llama-index's own fields.

    Raises:
        EncoderUnavailable: If the encoder cannot be loaded, when it is first used.
    """

    _encoder: Encoder = PrivateAttr()

    def __init__(self, encoder: str | Encoder | None = None, **fields: Any) -> None:
        loaded = load_encoder(fields.get("model_name", DEFAULT_ENCODER) if encoder is None else encoder)
        super().__init__(**{"embed_batch_size": _BATCH_SIZE, **fields, "model_name": loaded.name})
        self._encoder = loaded

    @classmethod
    def class_name(cls) -> str:
        """The name of the class in llama-index's serialized objects."""
        return "CorpusEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        vector: list[float] = self._encoder.encode_query(query).tolist()
        return vector

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = embed_whole(self._encoder, texts).tolist()
        return vectors

    _aget_query_embedding = in_thread(_get_query_embedding)
    _aget_text_embedding = in_thread(_get_text_embedding)
    _aget_text_embeddings = in_thread(_get_text_embeddings)
