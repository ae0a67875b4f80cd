"""BM25 in PostgreSQL, over the postings of an index, as tantivy computes it in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Set
from functools import cached_property, partial, reduce

import numpy as np
import numpy.typing as npt

from indexes.storage.bm25 import idf, saturated
from indexes.storage.lexical import MOST_WITH_PHRASE, idf_of
from indexes.storage.lexical_query import (
    LARGE,
    PATTERN_WEIGHT,
    UNKNOWN,
    TermGroup,
    language_code,
    misspelt,
    telling,
    term_groups,
)
from indexes.storage.postgres.postings import POSTING, PostingArray, Postings
from indexes.text import LANGUAGES, phrase_terms, query_patterns

Scored = list[tuple[int, float]]
Numbers = npt.NDArray[np.float64]
ChunkIds = npt.NDArray[np.int64]

_SPARSE = 64  # ids, of which fewer than one has a score: they are sorted, instead of all being counted


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

    @cached_property
    def _held(self) -> tuple[int, int]:
        """The number of chunks that BM25 counts, removed ones among them as in a folder, and of the terms in them."""
        return self._postings.totals()

    @property
    def _known(self) -> list[str]:
        return [*self.languages, *([UNKNOWN] if UNKNOWN in self._statistics else [])]

    def count(self) -> int:
        """The number of chunks in the index."""
        return sum(chunks for chunks, _ in self._statistics.values())

    def idf(self, of: Iterable[str]) -> dict[str, float]:
        """Inverse document frequencies of terms over the chunks; nothing for an index without chunks."""
        return idf_of(self._postings.counts(list(of)), self._held[0]) if self.count() else {}

    def counts(self, of: Iterable[str]) -> dict[str, int]:
        """How many chunks contain each of some terms, removed ones among them."""
        return self._postings.counts(list(of))

    def may_hold(self, phrase: str) -> set[int]:
        """Find the chunks that contain every word of a phrase, at most 10,000."""
        found = set[int]()
        for words in {frozenset(phrase_terms(phrase, language)) for language in [*self.languages, UNKNOWN]}:
            postings = self._postings.of(words)
            if words and postings.keys() == words:
                rarest_first = sorted((its["chunk"] for its in postings.values()), key=len)
                found.update(reduce(partial(np.intersect1d, assume_unique=True), rarest_first).tolist())
        return self._postings.there(sorted(found)[:MOST_WITH_PHRASE])

    def in_languages(self, languages: Set[str], among: Set[int]) -> set[int]:
        """Find the chunks of documents that are in some languages alone; for the arguments see `LexicalSearch`."""
        return self._postings.in_languages(languages, among)

    def search(self, query: str, k: int, allowed: Set[int] | None = None) -> Scored:
        """Rank chunks by the BM25 score of a query's terms; for the arguments see `LexicalSearch`."""
        if not self.count():
            return []
        only = None if allowed is None else np.fromiter(allowed, np.int64, len(allowed))
        return self._best(self._asked(query), k, only) or self._best(self._alike(query), k, only)

    def _best(self, found: Iterable[tuple[PostingArray, Numbers]], k: int, allowed: ChunkIds | None) -> Scored:
        """The chunks with the highest sums of scores, best first, without those that were removed."""
        ids, scores = _summed([*found])
        if allowed is not None:
            may = np.isin(ids, allowed)
            return _first(ids[may], scores[may], k)
        depth = k
        while True:
            first = _first(ids, scores, depth)
            there = self._postings.there([chunk for chunk, _ in first])
            left = [hit for hit in first if hit[0] in there]
            if len(left) >= k or len(first) == len(ids):
                return left[:k]
            depth *= 4

    def _asked(self, query: str) -> Iterable[tuple[PostingArray, Numbers]]:
        groups = self._telling(term_groups(query, self._known))
        postings = self._postings.of({term for group in groups for term in group.terms})
        chunks, terms = self._held
        for term, its in postings.items():
            weights = sum((_weights(group, term, its) for group in groups if term in group.terms), np.zeros(1))
            yield its, weights * (idf(len(its), chunks) * saturated(its["count"], its["length"], terms / chunks))
        for pattern in query_patterns(query):
            yield self._holding(self._postings.terms_like(pattern), PATTERN_WEIGHT)

    def _telling(self, groups: list[TermGroup]) -> list[TermGroup]:
        """The groups, in a large index without the terms that most chunks hold."""
        if self.count() < LARGE:
            return groups
        counts = self._postings.counts({term for group in groups for term in group.terms})
        return [group._replace(terms=telling(group.terms, self._held[0], counts.__getitem__)) for group in groups]

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


def _weights(group: TermGroup, term: str, its: PostingArray) -> Numbers:
    """The weight of a term for each of its postings: 0 in other languages than a group's."""
    weight = group.terms[term] * group.boost
    if group.languages is None:
        return np.array([weight])
    return np.where(np.isin(its["language"], [language_code(each) for each in group.languages]), weight, 0.0)


def _summed(found: list[tuple[PostingArray, Numbers]]) -> tuple[ChunkIds, Numbers]:
    """The chunks that have a score, by id, and the sum of the scores of each."""
    ids = np.concatenate([np.empty(0, np.int64), *(its["chunk"] for its, _ in found)])
    scores = np.concatenate([np.empty(0), *(its for _, its in found)])
    if not len(ids):
        return ids, scores
    low, high = int(ids.min()), int(ids.max())
    if high - low > _SPARSE * len(ids):
        ids, places = np.unique(ids, return_inverse=True)
        summed = np.asarray(np.bincount(places, scores), dtype=np.float64)
        return ids[summed > 0], summed[summed > 0]
    summed = np.asarray(np.bincount(ids - low, scores), dtype=np.float64)
    scored = np.flatnonzero(summed)
    return (scored + low).astype(np.int64), summed[scored]


def _first(ids: ChunkIds, scores: Numbers, k: int) -> Scored:
    """The chunks with the highest scores, best first; of equal ones, those with the lower id."""
    if len(ids) > k:
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        ids, scores = ids[scores >= least], scores[scores >= least]
    order = np.lexsort((ids, -scores))[:k]
    return list(zip(ids[order].tolist(), scores[order].tolist(), strict=True))
