"""One search: a query to hits, through the dense index, the lexical one, or both. Writes nothing."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from indexes.dense import DenseIndex
from indexes.errors import CorpusError
from indexes.fusion import score_fusion, serves
from indexes.lexical import LexicalIndex
from indexes.store import Store
from indexes.types import Encoder, SearchHit

_POOL = 50  # candidates that each retriever gives to the fusion

Ranking = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a search reads. `check_encoder` raises if the encoder's weights are not those that made the index."""

    store: Store
    dense: DenseIndex
    lexical: LexicalIndex
    encoder: Encoder
    check_encoder: Callable[[], None]


def search(retrieval: Retrieval, query: str, k: int, mode: str) -> list[SearchHit]:
    """The k chunks that answer `query` best, best first: see `CorpusIndex.search`."""
    if not query.strip():
        raise CorpusError("the query is empty: say what to look for")
    if k < 1:
        raise CorpusError(f"k is {k}: ask for at least 1 hit")
    if mode not in _RANKINGS:
        near = difflib.get_close_matches(mode, _RANKINGS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise CorpusError(f"there is no search mode {mode!r}: use {', '.join(_RANKINGS)}{hint}")
    ranking = _RANKINGS[mode](retrieval, query, k)
    chunks = retrieval.store.chunks(chunk_id for chunk_id, _ in ranking)
    return [SearchHit(chunks[i], score) for i, score in ranking if i in chunks][:k]


def _dense_ranking(retrieval: Retrieval, query: str, k: int) -> Ranking:
    if retrieval.store.is_empty():
        return []
    retrieval.check_encoder()
    return retrieval.dense.search(retrieval.encoder.encode_query(query), k, retrieval.store.segments())


def _lexical_ranking(retrieval: Retrieval, query: str, k: int) -> Ranking:
    return retrieval.lexical.search(query, k)


def _hybrid_ranking(retrieval: Retrieval, query: str, k: int) -> Ranking:
    depth = max(k, _POOL)
    lexical = _lexical_ranking(retrieval, query, depth)
    if not serves(retrieval.encoder.languages, query):
        return lexical
    return list(score_fusion([lexical, _dense_ranking(retrieval, query, depth)], depth).items())


_RANKINGS: dict[str, Callable[[Retrieval, str, int], Ranking]] = {
    "hybrid": _hybrid_ranking,
    "dense": _dense_ranking,
    "lexical": _lexical_ranking,
}
