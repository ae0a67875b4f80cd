"""An index as a llama-index retriever."""

from __future__ import annotations

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from indexes.index import CorpusIndex
from indexes.types import Chunk


class CorpusRetriever(BaseRetriever):
    """Finds the `k` chunks that bear on a query most, for llama-index's query and chat engines.

    Each is a `TextNode` with the chunk's text; `metadata` has its source, title, heading, page and line, and
    `start_char_idx` and `end_char_idx` say where it stands in the document.
    """

    def __init__(self, index: CorpusIndex, k: int = 10, mode: str = "hybrid") -> None:
        self._index, self._k, self._mode = index, k, mode
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = self._index.search(query_bundle.query_str, self._k, self._mode)
        return [NodeWithScore(node=_node(hit.chunk), score=hit.score) for hit in hits]


def _node(chunk: Chunk) -> TextNode:
    where = {
        "source": chunk.source,
        "title": chunk.title,
        "heading": chunk.heading,
        "page": chunk.page,
        "line": chunk.line,
    }
    return TextNode(
        id_=f"{chunk.source}#{chunk.start}-{chunk.end}",
        text=chunk.text,
        metadata=where,
        start_char_idx=chunk.start,
        end_char_idx=chunk.end,
    )
