"""An index as a llama-index retriever."""

from __future__ import annotations

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import MetadataFilters

from indexes.index import CorpusIndex
from indexes.llama_index.embedding import in_thread
from indexes.llama_index.query import retrieve
from indexes.search import SearchRequest


class CorpusRetriever(BaseRetriever):
    """Search an index from llama-index's query and chat engines.

    A chunk of a file becomes a `TextNode`: its `metadata` are the source, title, heading, page and line of the chunk
    and the metadata of its document, and `start_char_idx` and `end_char_idx` are its offsets in the document's text.
    Nodes that were added through llama-index are returned as they were.

    Args:
        index: The index.
        k: The maximum number of nodes.
        mode: "hybrid", "dense" or "lexical", as in `CorpusIndex.search`.
        filters: Which nodes may be found; None for all.
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

    _aretrieve = in_thread(_retrieve)
