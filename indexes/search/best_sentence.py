"""The best sentence of a passage: what says in one place all that is asked comes before what has it scattered.

BM25 takes a passage for a bag of words. benchmarks/results/2026-11-29-retrieval.md has what sentences are worth in each
language, on either half of the questions, and with other weights and depths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from indexes.storage import LexicalSearch, StoreReader
from indexes.text import query_language, query_terms, script_language, sentence_spans, surface_terms
from indexes.types import Chunk

_DEPTH = 10  # passages whose sentences are read; 20 and 50 change nothing


def prefer_sentences(
    lexical: LexicalSearch, store: StoreReader, query: str, ranking: Sequence[tuple[int, float]]
) -> list[tuple[int, float]]:
    """Raise the scores of the first passages of a lexical ranking by what their best sentences hold of a query.

    A score of BM25 is multiplied by 1 + s, where s is the largest share of the query's terms, weighted by their inverse
    document frequencies, that a sentence has together with the title and the headings above it. Weights of s from 0.6
    to 1.5 are alike.

    Args:
        lexical: The searcher that made the ranking.
        store: The store.
        query: The query.
        ranking: (chunk id, score), best first.

    Returns:
        The same chunks, best first; only the first ten change places.
    """
    first = ranking[:_DEPTH]
    chunks = store.chunks(chunk_id for chunk_id, _ in first)
    own = query_language(query, lexical.languages) or "en"
    weights: dict[str, dict[str, float]] = {}
    raised = []
    for chunk_id, score in first:
        chunk = chunks[chunk_id]
        language = script_language(chunk.text) or own
        if language not in weights:
            weights[language] = _weights(lexical, query, language)
        raised.append((chunk_id, score * (1 + _best_share(chunk, weights[language], language))))
    return [*sorted(raised, key=lambda hit: (-hit[1], hit[0])), *ranking[_DEPTH:]]


def _weights(lexical: LexicalSearch, query: str, language: str) -> dict[str, float]:
    """The weight of each term of the query that sentences are searched for."""
    asked, quick = query_terms(query, language), surface_terms(query, language)
    idf = lexical.idf(term for term in asked if term in quick)
    return {term: asked[term] * weight for term, weight in idf.items()}


def _best_share(chunk: Chunk, weights: Mapping[str, float], language: str) -> float:
    above = surface_terms(f"{chunk.title}\n{chunk.heading}\n{chunk.table_header}", language)
    best = 0.0
    for start, end in sentence_spans(chunk.text):
        said = surface_terms(chunk.text[start:end], language) | above
        best = max(best, sum(weight for term, weight in weights.items() if term in said))
    return best / (sum(weights.values()) or 1.0)
