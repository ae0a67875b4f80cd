"""An index in llama-index: its retriever, its encoder as an embedding model, and its vector store."""

from __future__ import annotations

import asyncio

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import MetadataFilters

from indexes.index import CorpusIndex
from indexes.llama_index.embedding import CorpusEmbedding
from indexes.llama_index.query import retrieve
from indexes.llama_index.vector_store import CorpusVectorStore
from indexes.search import SearchRequest

__all__ = ["CorpusEmbedding", "CorpusRetriever", "CorpusVectorStore"]


class CorpusRetriever(BaseRetriever):
    """Finds the `k` chunks that bear on a query most, for llama-index's query and chat engines.

    A file's is a `TextNode` with the chunk's text; `metadata` has its source, title, heading, page and line and what
    its document says of itself, and `start_char_idx` and `end_char_idx` say where it stands in the document. What was
    added through llama-index comes as it was. `filters` limits what may be found.
    """

    def __init__(
        self, index: CorpusIndex, k: int = 10, mode: str = "hybrid", *, filters: MetadataFilters | None = None
    ) -> None:
        self._index, self._k, self._mode, self._filters = index, k, mode, filters
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        request = SearchRequest(query_bundle.query_str, self._k, self._mode)
        reranker = self._index.reranker
        return self._index.read(lambda retrieval: retrieve(retrieval, request, self._filters, reranker))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)
