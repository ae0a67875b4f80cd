"""An encoder as llama-index takes one, for the peers."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding


class SameEncoder(BaseEmbedding):
    """An encoder of ours, or what has its methods, as an embedding; `batch` texts at a time."""

    _encoder: Any

    def __init__(self, encoder: Any, batch: int = 256) -> None:
        super().__init__(model_name=encoder.name, embed_batch_size=batch)
        self._encoder = encoder

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._encoder.encode_passages(texts).tolist()

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._encoder.encode_query(query).tolist()

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)
