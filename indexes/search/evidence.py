"""Evidence beside a passage's own score: its best sentence, what else was found under its title, and its neighbours.

BM25 takes a passage for a bag of words, and each by itself. benchmarks/results/2026-11-29-retrieval.md has what either
evidence is worth in each language, on either half of the questions, and with other weights and depths.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from indexes.storage import LexicalSearch, StoreReader
from indexes.text import query_language, query_terms, script_language, sentence_spans, surface_terms
from indexes.types import Chunk

_DEPTH = 10  # passages whose sentences are read; 20 and 50 change nothing
_TITLED = 30  # passages whose titles are compared; 10 and 20 are almost alike
_BESIDE, _NEIGHBOUR_WEIGHT = 5, 0.3  # passages whose neighbours rise; 10 and 30 are alike, and weights from 0.2 to 0.7
_OTHERS, _TITLE_WEIGHT = 3, 0.2  # passages under one title that count, 2 and 5 are alike; weights to 0.3 are, too

Ranking = list[tuple[int, float]]


def by_evidence(
    lexical: LexicalSearch, store: StoreReader, query: str, ranking: Sequence[tuple[int, float]]
) -> Ranking:
    """Raise the scores of the first passages of a lexical ranking by further evidence for them.

    A score of BM25 is multiplied by 1 + s, where s is the largest share of the query's terms, weighted by their inverse
    document frequencies, that a sentence has together with the title and the headings above it; weights of s from 0.6
    to 1.5 are alike. Then it is multiplied by 1 + 0.2 t, where t is the mean score of the three best among the other
    passages under the same title, as a share of the best of all: where much of a document was found, the answer is
    rather there than in a passage that has some of the words by chance.

    Args:
        lexical: The searcher that made the ranking.
        store: The store.
        query: The query.
        ranking: (chunk id, score), best first.

    Returns:
        The same chunks, best first; only the first 30 change places.
    """
    first = ranking[:_TITLED]
    chunks = store.chunks(chunk_id for chunk_id, _ in first[:_DEPTH])
    raised = _by_sentence(lexical, query, first[:_DEPTH], chunks) + list(first[_DEPTH:])
    titles = store.titles(chunk_id for chunk_id, _ in first)
    return _in_order(_by_title(raised, titles)) + list(ranking[_TITLED:])


def by_neighbours(store: StoreReader, ranking: Sequence[tuple[int, float]]) -> Ranking:
    """Raise the scores of passages beside the first ones of a ranking.

    An answer may stand before or behind the words of the question. The score of the passage before or behind one of the
    first five, if it was found at all, rises by 0.3 of what it is lower by, so that those which are first stay first.

    Args:
        store: The store.
        ranking: (chunk id, score), best first.

    Returns:
        The same chunks, best first.
    """
    scores = dict(ranking)
    pairs = [(of, near) for of, _ in ranking[:_BESIDE] for near in (of - 1, of + 1) if near in scores]
    titles = store.titles({chunk_id for pair in pairs for chunk_id in pair}) if pairs else {}
    raised = dict(scores)
    for of, near in pairs:
        if titles[of] == titles[near]:  # one document; the ids of a document's chunks follow each other
            score = scores[near] + _NEIGHBOUR_WEIGHT * (scores[of] - scores[near])
            raised[near] = max(raised[near], score)
    return _in_order([*raised.items()])


def _in_order(ranking: Ranking) -> Ranking:
    return sorted(ranking, key=lambda hit: (-hit[1], hit[0]))


def _by_sentence(
    lexical: LexicalSearch, query: str, ranking: Sequence[tuple[int, float]], chunks: Mapping[int, Chunk]
) -> Ranking:
    own = query_language(query, lexical.languages) or "en"
    weights: dict[str, dict[str, float]] = {}
    raised = []
    for chunk_id, score in ranking:
        chunk = chunks[chunk_id]
        language = script_language(chunk.text) or own
        if language not in weights:
            weights[language] = _weights(lexical, query, language)
        raised.append((chunk_id, score * (1 + _best_share(chunk, weights[language], language))))
    return raised


def _by_title(ranking: Ranking, titles: Mapping[int, tuple[str, str]]) -> Ranking:
    groups: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for chunk_id, score in ranking:
        source, title = titles[chunk_id]
        groups[title or source].append((score, chunk_id))
    best = max((score for _, score in ranking), default=0.0)
    raised = []
    for group in groups.values():
        group.sort(reverse=True)
        for at, (score, chunk_id) in enumerate(group):
            others = sum(each for each, _ in (group[:at] + group[at + 1 :])[:_OTHERS])
            raised.append((chunk_id, score * (1 + _TITLE_WEIGHT * others / (_OTHERS * best)) if best > 0 else score))
    return raised


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
