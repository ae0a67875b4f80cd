"""BM25 in PostgreSQL, over the postings of an index, as tantivy computes it in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Set
from functools import cached_property

import numpy as np
import numpy.typing as npt

from indexes.storage.bm25 import idf, saturated
from indexes.storage.lexical import MOST_WITH_PHRASE, idf_of
from indexes.storage.lexical_query import LARGE, PATTERN_WEIGHT, UNKNOWN, TermGroup, misspelt, telling, term_groups
from indexes.storage.postgres.postings import POSTING, PostingArray, Postings, language_code
from indexes.text import LANGUAGES, phrase_terms, query_patterns

Scored = list[tuple[int, float]]
Numbers = npt.NDArray[np.float64]


class PostgresLexical:
    """BM25 search in the lexical index of a snapshot."""

    def __init__(self, postings: Postings) -> None:
        self._postings = postings

    @cached_property
    def languages(self) -> dict[str, int]:
        """How many chunks there are in each language, ISO 639-1, where it could be told."""
        found = self._statistics
        return {language: found[language][0] for language in sorted(LANGUAGES) if language in found}

    @cached_property
    def _statistics(self) -> dict[str, tuple[int, int]]:
        return self._postings.statistics()

    @property
    def _known(self) -> list[str]:
        return [*self.languages, *([UNKNOWN] if UNKNOWN in self._statistics else [])]

    def count(self) -> int:
        """The number of chunks in the index."""
        return sum(chunks for chunks, _ in self._statistics.values())

    def idf(self, of: Iterable[str]) -> dict[str, float]:
        """Inverse document frequencies of terms over the chunks; nothing for an index without chunks."""
        return idf_of(self._postings.counts(list(of)), self.count()) if self.count() else {}

    def counts(self, of: Iterable[str]) -> dict[str, int]:
        """How many chunks contain each of some terms."""
        return self._postings.counts(list(of))

    def may_hold(self, phrase: str) -> set[int]:
        """Find the chunks that contain every word of a phrase, at most 10,000."""
        found = set[int]()
        for words in {frozenset(phrase_terms(phrase, language)) for language in [*self.languages, UNKNOWN]}:
            postings = self._postings.of(words)
            if words and postings.keys() == words:
                found |= set.intersection(*(set(its["chunk"].tolist()) for its in postings.values()))
        return set(sorted(found)[:MOST_WITH_PHRASE])

    def in_languages(self, languages: Set[str], among: Set[int]) -> set[int]:
        """Find the chunks of documents that are in some languages alone; for the arguments see `LexicalSearch`."""
        return self._postings.in_languages(languages, among)

    def search(self, query: str, k: int, allowed: Set[int] | None = None) -> Scored:
        """Rank chunks by the BM25 score of a query's terms; for the arguments see `LexicalSearch`."""
        if not self.count():
            return []
        only = None if allowed is None else np.fromiter(allowed, np.int64, len(allowed))
        return _best([*self._asked(query)], k, only) or _best([*self._alike(query)], k, only)

    def _asked(self, query: str) -> Iterable[tuple[PostingArray, Numbers]]:
        groups = self._telling(term_groups(query, self._known))
        postings = self._postings.of({term for group in groups for term in group.terms})
        average = sum(terms for _, terms in self._statistics.values()) / self.count()
        for group in groups:
            for term, weight in group.terms.items():
                if term in postings:
                    its = postings[term]
                    weight *= group.boost * idf(len(its), self.count())
                    if group.languages is not None:
                        its = its[np.isin(its["language"], [language_code(each) for each in group.languages])]
                    yield its, weight * saturated(its["count"], its["length"], average)
        for pattern in query_patterns(query):
            yield self._holding(self._postings.terms_like(pattern), PATTERN_WEIGHT)

    def _telling(self, groups: list[TermGroup]) -> list[TermGroup]:
        """The groups, in a large index without the terms that most chunks hold."""
        if self.count() < LARGE:
            return groups
        counts = self._postings.counts({term for group in groups for term in group.terms})
        return [group._replace(terms=telling(group.terms, self.count(), counts.__getitem__)) for group in groups]

    def _alike(self, query: str) -> Iterable[tuple[PostingArray, Numbers]]:
        """Chunks with terms that are spelt almost as those of a query that finds nothing."""
        for term, distance in misspelt(query, self._known).items():
            candidates = self._postings.terms_of_length(len(term) - distance, len(term) + distance)
            yield self._holding([each for each in candidates if is_within(term, each, distance)], 1.0)

    def _holding(self, terms: list[str], score: float) -> tuple[PostingArray, Numbers]:
        """A score for each chunk that holds one of the terms."""
        arrays = self._postings.of(terms).values() if terms else ()
        its = np.concatenate([np.empty(0, POSTING), *arrays])
        its = its[np.unique(its["chunk"], return_index=True)[1]]
        return its, np.full(len(its), score)


def is_within(one: str, other: str, distance: int) -> bool:
    """Whether two words differ by no more than so many letters: another one, one more or less, or two exchanged.

    Args:
        one: A word.
        other: A word.
        distance: The number of letters.

    Returns:
        True if their distance (optimal string alignment) is no larger.
    """
    if len(set(one) ^ set(other)) > 2 * distance:
        return False
    row: list[int] = [*range(len(other) + 1)]
    before = row
    for i, letter in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, its in enumerate(other, 1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != its))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == its:
                least = min(least, older[j - 2] + 1)
            row.append(least)
        if min(row) > distance:
            return False
    return row[-1] <= distance


def _best(found: list[tuple[PostingArray, Numbers]], k: int, allowed: npt.NDArray[np.int64] | None) -> Scored:
    """The chunks with the highest sums of scores, best first; of equal ones, those with the lower id."""
    if not found:
        return []
    ids, places = np.unique(np.concatenate([its["chunk"] for its, _ in found]), return_inverse=True)
    scores = np.bincount(places, np.concatenate([its for _, its in found]), len(ids)) if len(ids) else np.zeros(0)
    if allowed is not None:
        may = np.isin(ids, allowed)
        ids, scores = ids[may], scores[may]
    if len(ids) > k:
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        ids, scores = ids[scores >= least], scores[scores >= least]
    order = np.lexsort((ids, -scores))[:k]
    return list(zip(ids[order].tolist(), scores[order].tolist(), strict=True))
