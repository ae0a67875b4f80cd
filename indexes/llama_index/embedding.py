"""An encoder as a llama-index embedding model, so that nodes and queries get the vectors that an index is made of."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr

from indexes.encoders import DEFAULT_ENCODER, load_encoder
from indexes.types import Encoder

_BATCH_SIZE = 512  # texts to one call: enough for the encoder to sort by length


class CorpusEmbedding(BaseEmbedding):
    """An encoder by its name ('default', a sentence-transformers folder, a hub name), or an `Encoder` itself.

    Embeddings have length 1. Passages and queries get the prompts that the encoder's own configuration names for them.
    Raises EncoderUnavailable when it is first used.
    """

    _encoder: Encoder = PrivateAttr()

    def __init__(self, encoder: str | Encoder | None = None, **fields: Any) -> None:
        """`fields` are llama-index's own; `model_name` serves as `encoder` when one is read back from JSON."""
        given = encoder if encoder is not None else fields.get("model_name", DEFAULT_ENCODER)
        loaded = load_encoder(given)
        fields = {"embed_batch_size": _BATCH_SIZE, **fields, "model_name": loaded.name}
        super().__init__(**fields)
        self._encoder = loaded

    @classmethod
    def class_name(cls) -> str:
        """The name that llama-index knows the class by."""
        return "CorpusEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        vector: list[float] = self._encoder.encode_query(query).tolist()
        return vector

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._encoder.encode_passages(texts).tolist()
        return vectors

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)
