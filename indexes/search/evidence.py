"""Evidence beside a passage's own score: its best sentence, what else was found under its title, and its neighbours.

BM25 takes a passage for a bag of words, embeddings take it for one point, and both take each by itself.
benchmarks/results/2026-11-29-retrieval.md has what the evidence is worth in each language, on either half of the
questions, and with other weights and depths.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from indexes.search.fusion import in_order
from indexes.search.retrieval import Retrieval
from indexes.storage import LexicalSearch
from indexes.text import query_language, query_terms, script_language, sentence_spans, surface_terms
from indexes.types import Chunk

_DEPTH = 10  # passages whose sentences are read; 20 and 50 change nothing, nor do weights from 0.6 to 1.5
_FUSED_DEPTH, _FUSED_WEIGHT = 3, 0.5  # with more of them, recall@1 is the same and recall@5 falls
_TITLED = 30  # passages whose titles are compared; 10 and 20 are almost alike
_BESIDE, _NEIGHBOUR_WEIGHT = 5, 0.3  # passages whose neighbours rise; 10 and 30 are alike, and weights from 0.2 to 0.7
_OTHERS, _TITLE_WEIGHT = 3, 0.2  # passages under one title that count, 2 and 5 are alike; weights to 0.3 are, too

Ranking = list[tuple[int, float]]


class Evidence:
    """Evidence for passages of rankings for one query; what it has read of a passage it keeps.

    Args:
        retrieval: The index; its lexical search has the inverse document frequencies of terms.
        query: The query.
    """

    def __init__(self, retrieval: Retrieval, query: str) -> None:
        self._retrieval, self._query = retrieval, query
        self._own = query_language(query, retrieval.lexical.languages) or "en"
        self._weights: dict[str, dict[str, float]] = {}
        self._shares: dict[int, float] = {}
        self._titles: dict[int, tuple[str, str]] = {}

    def by_sentence(self, ranking: Sequence[tuple[int, float]], *, fused: bool = False) -> Ranking:
        """Raise the scores of the first passages of a ranking by their best sentences.

        A score is multiplied by 1 + w s, where s is the largest share of the query's terms, weighted by their inverse
        document frequencies, that a sentence has together with the title and the headings above it.

        Args:
            ranking: (chunk id, score), best first.
            fused: Whether the scores are fused ones, in which sentences were counted already: then w is 0.5, for the
                first three passages. It is 1 for the first ten of a lexical ranking.

        Returns:
            The same chunks, best first.
        """
        depth, weight = (_FUSED_DEPTH, _FUSED_WEIGHT) if fused else (_DEPTH, 1.0)
        shares = self._best_shares([chunk_id for chunk_id, _ in ranking[:depth]])
        raised = [(chunk_id, score * (1 + weight * shares[chunk_id])) for chunk_id, score in ranking[:depth]]
        return in_order(raised) + list(ranking[depth:])

    def by_title(self, ranking: Sequence[tuple[int, float]]) -> Ranking:
        """Raise the scores of the first passages of a ranking by what else was found under their titles.

        A score is multiplied by 1 + 0.2 t, where t is the mean score of the three best among the other passages under
        the same title, as a share of the best of all: where much of a document was found, the answer is rather there
        than in a passage that has some of the words by chance.

        Args:
            ranking: (chunk id, score), best first.

        Returns:
            The same chunks, best first; only the first 30 change places.
        """
        first = ranking[:_TITLED]
        titles = self._titles_of([chunk_id for chunk_id, _ in first])
        groups: dict[str, list[tuple[float, int]]] = defaultdict(list)
        for chunk_id, score in first:
            source, title = titles[chunk_id]
            groups[title or source].append((score, chunk_id))
        best = max((score for _, score in first), default=0.0)
        raised = []
        for group in groups.values():
            group.sort(reverse=True)
            for at, (score, chunk_id) in enumerate(group):
                others = sum(each for each, _ in (group[:at] + group[at + 1 :])[:_OTHERS])
                share = others / (_OTHERS * best) if best > 0 else 0.0
                raised.append((chunk_id, score * (1 + _TITLE_WEIGHT * share)))
        return in_order(raised) + list(ranking[_TITLED:])

    def beside(self, ranking: Sequence[tuple[int, float]]) -> Ranking:
        """Raise the scores of passages beside the first ones of a ranking.

        An answer may stand before or behind the words of the question. The score of the passage before or behind one of
        the first five, if it was found at all, rises by 0.3 of what it is lower by, so that those which are first stay
        first.

        Args:
            ranking: (chunk id, score), best first.

        Returns:
            The same chunks, best first.
        """
        scores = dict(ranking)
        pairs = [(of, near) for of, _ in ranking[:_BESIDE] for near in (of - 1, of + 1) if near in scores]
        titles = self._titles_of([chunk_id for pair in pairs for chunk_id in pair])
        raised = dict(scores)
        for of, near in pairs:
            if titles[of] == titles[near]:  # one document; the ids of a document's chunks follow each other
                score = scores[near] + _NEIGHBOUR_WEIGHT * (scores[of] - scores[near])
                raised[near] = max(raised[near], score)
        return in_order([*raised.items()])

    def _titles_of(self, chunk_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
        if new := {*chunk_ids} - self._titles.keys():
            self._titles |= self._retrieval.store.titles(new)
        return self._titles

    def _best_shares(self, chunk_ids: Sequence[int]) -> dict[int, float]:
        new = [chunk_id for chunk_id in chunk_ids if chunk_id not in self._shares]
        for chunk_id, chunk in self._retrieval.chunks(new).items():
            language = script_language(chunk.text) or self._own
            if language not in self._weights:
                self._weights[language] = _term_weights(self._retrieval.lexical, self._query, language)
            self._shares[chunk_id] = _best_share(chunk, self._weights[language], language)
        return {chunk_id: self._shares[chunk_id] for chunk_id in chunk_ids}


def _term_weights(lexical: LexicalSearch, query: str, language: str) -> dict[str, float]:
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
