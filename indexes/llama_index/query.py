"""llama-index's vector store queries, answered from an index.

- `DEFAULT` takes the query's vector; similarities are cosines.
- `SPARSE` and `TEXT_SEARCH` take its text; similarities are BM25 scores. They give `sparse_top_k` nodes where it is
  given, `similarity_top_k` otherwise.
- `HYBRID` takes both, and gives `hybrid_top_k` nodes where it is given, `similarity_top_k` otherwise. Without `alpha`
  it fuses as `CorpusIndex.search` does; with it, `alpha` is the weight of the vector and 1 - `alpha` that of the words.
  Candidates of the lexical side are `sparse_top_k`, those of the dense side `similarity_top_k` where `hybrid_top_k` is
  given besides, and otherwise as many as `CorpusIndex.search` takes.

`node_ids`, `doc_ids` and `filters` limit what can be found before the search; an empty list limits nothing, since
llama-index gives one when it means none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

from llama_index.core.schema import NodeWithScore
from llama_index.core.vector_stores.types import (
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from indexes.encoders import Reranker
from indexes.errors import CorpusError
from indexes.llama_index.nodes import unit_vector
from indexes.llama_index.selection import NodeSelection, nodes_of
from indexes.search import CANDIDATES, Ranking, Retrieval, SearchRequest, rank_chunks, score_fusion
from indexes.text import serves


def answer(retrieval: Retrieval, query: VectorStoreQuery) -> VectorStoreQueryResult:
    """The result of a query, best node first. Raises CorpusError for a query that lacks what its mode needs."""
    _check(query)
    store = retrieval.store
    selection = NodeSelection(query.node_ids or None, query.doc_ids or None, query.filters)
    narrowed = replace(retrieval, allowed=selection.chunk_ids(store))
    ranking = [] if store.is_empty() or narrowed.allowed == set() else _MODES[query.mode](narrowed, query)
    nodes = nodes_of(store, store.chunks(chunk_id for chunk_id, _ in ranking).values())
    return VectorStoreQueryResult(nodes, [score for _, score in ranking], [node.node_id for node in nodes])


def retrieve(
    retrieval: Retrieval, request: SearchRequest, filters: MetadataFilters | None, reranker: Reranker | None
) -> list[NodeWithScore]:
    """What `CorpusIndex.search` finds, as nodes, among those that pass the filters."""
    allowed = NodeSelection(filters=filters).chunk_ids(retrieval.store)
    hits = [*islice(rank_chunks(replace(retrieval, allowed=allowed), request, reranker), request.k)]
    nodes = nodes_of(retrieval.store, (hit.chunk for hit in hits))
    return [NodeWithScore(node=node, score=hit.score) for node, hit in zip(nodes, hits, strict=True)]


def _check(query: VectorStoreQuery) -> None:
    if query.mode not in _MODES:
        known = ", ".join(mode.name for mode in _MODES)
        raise CorpusError(f"the query mode {VectorStoreQueryMode(query.mode).name} is not supported: use {known}")
    for name in ("similarity_top_k", "sparse_top_k", "hybrid_top_k"):
        limit = getattr(query, name)
        if limit is not None and limit < 1:
            raise CorpusError(f"{name} is {limit}: ask for at least 1 node")
    if query.alpha is not None and not 0 <= query.alpha <= 1:
        raise CorpusError(f"alpha is {query.alpha}: give it from 0 (the words alone) to 1 (the vector alone)")
    if query.mode in _NEED_A_VECTOR and query.query_embedding is None:
        raise CorpusError(
            f"a query of mode {query.mode.name} has no query_embedding: embed it with the index's own encoder "
            "(`embed_model=store.embed_model`), or ask with mode SPARSE"
        )
    if query.mode in _NEED_A_TEXT and not (query.query_str or "").strip():
        raise CorpusError(f"a query of mode {query.mode.name} has no query_str: say what to look for")


def _default(retrieval: Retrieval, query: VectorStoreQuery) -> Ranking:
    return _dense(retrieval, query, query.similarity_top_k)


def _sparse(retrieval: Retrieval, query: VectorStoreQuery) -> Ranking:
    return _lexical(retrieval, query, query.sparse_top_k or query.similarity_top_k)


def _hybrid(retrieval: Retrieval, query: VectorStoreQuery) -> Ranking:
    k = query.hybrid_top_k or query.similarity_top_k
    pool = max(k, CANDIDATES)
    lexical = _lexical(retrieval, query, query.sparse_top_k or pool)
    if query.alpha is None and not serves(
        retrieval.encoder.languages, query.query_str or "", retrieval.lexical.languages
    ):
        return lexical[:k]
    dense = _dense(retrieval, query, query.similarity_top_k if query.hybrid_top_k else pool)
    weights = None if query.alpha is None else (1 - query.alpha, query.alpha)
    return list(score_fusion([lexical, dense], pool, weights).items())[:k]


def _dense(retrieval: Retrieval, query: VectorStoreQuery, k: int) -> Ranking:
    retrieval.check_encoder()
    dimension = retrieval.store.vectors.dimension()
    if dimension is None:
        return []
    vector = unit_vector(query.query_embedding or [], dimension, "the query_embedding")
    return retrieval.dense.search(vector, k, retrieval.allowed)


def _lexical(retrieval: Retrieval, query: VectorStoreQuery, k: int) -> Ranking:
    return retrieval.lexical.search(query.query_str or "", k, retrieval.allowed)


_MODES: dict[VectorStoreQueryMode, Callable[[Retrieval, VectorStoreQuery], Ranking]] = {
    VectorStoreQueryMode.DEFAULT: _default,
    VectorStoreQueryMode.SPARSE: _sparse,
    VectorStoreQueryMode.TEXT_SEARCH: _sparse,
    VectorStoreQueryMode.HYBRID: _hybrid,
}
_NEED_A_VECTOR = (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.HYBRID)
_NEED_A_TEXT = (VectorStoreQueryMode.SPARSE, VectorStoreQueryMode.TEXT_SEARCH, VectorStoreQueryMode.HYBRID)
