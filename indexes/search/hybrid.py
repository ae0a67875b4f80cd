"""Dense, lexical and hybrid search."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from indexes.encoders import Reranker
from indexes.errors import CorpusError
from indexes.search.copies import without_copies
from indexes.search.evidence import Evidence
from indexes.search.expansion import expand_hits
from indexes.search.filters import SearchFilter, allowed_chunks, named_as_allowed
from indexes.search.fusion import score_fusion
from indexes.search.retrieval import Retrieval
from indexes.text import folded, is_unicode, on_one_line, quoted_phrases, serves
from indexes.types import SearchHit

CANDIDATES = 100  # that each retriever gives to the fusion, at least
# The last candidate stands for what has nothing to do with the query, so there are more in a large index: with a 16th
# of 16,442 passages, up to 300, recall@5 is .003 higher than with a hundred, and recall@10 .004.
_CANDIDATES_AMONG, _MOST_CANDIDATES = 16, 300
_WIDER = 8  # times as many candidates are looked at if the encoder does not know all the languages of an index
_RERANKED = 50  # that a reranker reads, at least

Ranking = list[tuple[int, float]]


_MOST_HITS = 1_000_000  # for so many, tantivy takes memory at once


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """The arguments of `CorpusIndex.search`.

    Attributes:
        query: The query, in words.
        k: The maximum number of hits.
        mode: "hybrid", "dense" or "lexical".
        filters: Which documents may be found; None for all.
        expand: How many neighbouring chunks to widen each hit by, on either side.
    """

    query: str
    k: int = 10
    mode: str = "hybrid"
    filters: SearchFilter | None = None
    expand: int = 0

    def check(self) -> None:
        """Check that the request can be answered.

        Raises:
            CorpusError: If the query is empty or no text, `k` is out of range, `expand` is too small, or there is no
                such mode.
        """
        if not self.query.strip():
            raise CorpusError("the query is empty: say what to look for")
        if not is_unicode(self.query):
            raise CorpusError("the query cannot be written in UTF-8: check its encoding")
        if not 1 <= self.k <= _MOST_HITS:
            raise CorpusError(f"k is {self.k}: ask for at least 1 hit, and at most {_MOST_HITS:,}")
        if self.expand < 0:
            raise CorpusError(f"expand is {self.expand}: ask for 0 or more neighbours")
        if self.mode not in _RANKINGS:
            near = difflib.get_close_matches(self.mode, _RANKINGS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise CorpusError(f"there is no search mode {self.mode!r}: use {', '.join(_RANKINGS)}{hint}")


def search(retrieval: Retrieval, request: SearchRequest, reranker: Reranker | None = None) -> list[SearchHit]:
    """Search, and widen the hits as the request says.

    Args:
        retrieval: The index to search.
        request: The request.
        reranker: The model that reorders the candidates; None for none.

    Returns:
        Up to `k` hits, best first, whose texts do not overlap, and of documents with the same text one's.

    Raises:
        CorpusError: If the request cannot be answered.
    """
    ranked = without_copies(retrieval.store, rank_chunks(retrieval, request, reranker))
    hits = [*islice(expand_hits(retrieval.store, ranked, request.expand), request.k)]
    chunks = named_as_allowed((hit.chunk for hit in hits), request.filters)
    return [replace(hit, chunk=chunk) for hit, chunk in zip(hits, chunks, strict=True)]


def rank_chunks(retrieval: Retrieval, request: SearchRequest, reranker: Reranker | None = None) -> Iterator[SearchHit]:
    """Rank chunks by how well they answer a query.

    Args:
        retrieval: The index to search.
        request: The request; `expand` has no effect.
        reranker: The model that reorders the candidates; None for none.

    Returns:
        The chunks, best first: at least `k`, if that many are found. They are read as they are asked for.

    Raises:
        CorpusError: If the request cannot be answered.
    """
    request.check()
    if request.filters is not None:
        retrieval = replace(retrieval, allowed=allowed_chunks(retrieval.store, request.filters))
    retrieval = _with_phrases(retrieval, request.query)
    if retrieval.allowed is not None and not retrieval.allowed:
        return iter(())
    depth = max(request.k, _RERANKED)
    ranking = _RANKINGS[request.mode](retrieval, request.query, depth)[:depth]
    hits = _read(retrieval, ranking, request.k)
    return hits if reranker is None else iter(_reranked(reranker, request.query, [*hits]))


def _with_phrases(retrieval: Retrieval, query: str) -> Retrieval:
    """Only the chunks that hold every phrase in quotation marks; all of them if none does."""
    holding: set[int] | None = None
    for phrase in quoted_phrases(query):
        wanted = _one_spaced(phrase)
        chunks = retrieval.store.chunks(sorted(retrieval.lexical.may_hold(phrase)))
        found = {
            i for i, chunk in chunks.items() if wanted in _one_spaced(f"{chunk.title} {chunk.heading} {chunk.text}")
        }
        holding = found if holding is None else holding & found
    if holding and retrieval.allowed is not None:
        holding &= retrieval.allowed
    return replace(retrieval, allowed=holding) if holding else retrieval


def _one_spaced(text: str) -> str:
    return on_one_line(folded(text))


def _read(retrieval: Retrieval, ranking: Ranking, at_once: int) -> Iterator[SearchHit]:
    """The hits of a ranking, read as they are asked for."""
    for first in range(0, len(ranking), at_once):
        some = ranking[first : first + at_once]
        chunks = retrieval.chunks(chunk_id for chunk_id, _ in some)
        yield from (SearchHit(chunks[chunk_id], score) for chunk_id, score in some)


def _reranked(reranker: Reranker, query: str, hits: Sequence[SearchHit]) -> list[SearchHit]:
    texts = [f"{hit.chunk.heading or hit.chunk.title}\n{hit.chunk.text_with_header}" for hit in hits]
    scores = reranker.scores(query, texts)
    scored = [SearchHit(hit.chunk, score) for hit, score in zip(hits, scores, strict=True)]
    return sorted(scored, key=lambda hit: -hit.score)


def _dense_ranking(retrieval: Retrieval, query: str, k: int) -> Ranking:
    if retrieval.store.is_empty():
        return []
    retrieval.check_encoder()
    vector = retrieval.encoder.encode_query(query)
    return retrieval.dense.search(vector, k, retrieval.allowed)


def _lexical_ranking(retrieval: Retrieval, query: str, k: int) -> Ranking:
    return retrieval.lexical.search(query, k, retrieval.allowed)


def _hybrid_ranking(retrieval: Retrieval, query: str, k: int) -> Ranking:
    depth = max(k, _candidates(retrieval))
    evidence = Evidence(retrieval, query)
    lexical = evidence.by_title(evidence.by_sentence(_lexical_ranking(retrieval, query, depth)))
    if not serves(retrieval.encoder.languages, query, retrieval.lexical.languages):
        return evidence.beside(lexical)
    fused = score_fusion([lexical, _known_dense_ranking(retrieval, query, depth)], depth)
    return _within_one(evidence.beside(evidence.by_sentence([*fused.items()], fused=True)))


def _within_one(ranking: Ranking) -> Ranking:
    """Scores of a fused ranking, of which evidence has raised some above 1."""
    best = max([1.0, *(score for _, score in ranking[:1])])
    return [(chunk_id, score / best) for chunk_id, score in ranking]


def _candidates(retrieval: Retrieval) -> int:
    """How many passages each retriever gives to the fusion."""
    allowed, languages = retrieval.allowed, retrieval.lexical.languages
    among = sum(languages.values()) if allowed is None else len(allowed)
    return min(max(CANDIDATES, among // _CANDIDATES_AMONG), _MOST_CANDIDATES)


def _known_dense_ranking(retrieval: Retrieval, query: str, k: int) -> Ranking:
    """The dense ranking without passages in languages that the encoder was not trained for."""
    # Their inner products say nothing, but are above those of most passages that do not answer: of the first hundred
    # for a question of XQuAD English in one index with JSQuAD, 66 are Japanese; scores are scaled by the last one.
    languages, known = retrieval.lexical.languages, retrieval.encoder.languages
    unknown = set() if known is None else languages.keys() - known
    if not unknown:
        return _dense_ranking(retrieval, query, k)
    ranking = _dense_ranking(retrieval, query, min(_WIDER * k, k + sum(languages[each] for each in unknown)))
    unread = retrieval.lexical.in_languages(unknown, {chunk_id for chunk_id, _ in ranking})
    return [hit for hit in ranking if hit[0] not in unread][:k]


_RANKINGS: dict[str, Callable[[Retrieval, str, int], Ranking]] = {
    "hybrid": _hybrid_ranking,
    "dense": _dense_ranking,
    "lexical": _lexical_ranking,
}
