"""Queries of the lexical index: what a text asks for in an index of several languages, and what is spelt alike.

What is asked for is the same in a folder and in PostgreSQL (`term_groups`, `misspelt`); here tantivy is asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from indexes.text import is_gram, query_language, query_patterns, query_terms

# Chunks from which a query leaves out the terms that more than half of them hold, unless it has no other. Robertson and
# Spärck Jones's weight of such a term is negative, and to read its postings takes most of a search: at a million chunks
# 14.0 ms with them and 5.7 without. Left out at any size, recall at 1 and 5 would be .9284/.9764 on JSQuAD, where it is
# .9286/.9766, and .9571/.9983 on XQuAD (hybrid), where it is .9563/.9983.
LARGE = 50_000
_COMMON = 1 / 2
_LONGEST_QUERY = 256  # distinct terms
_OTHER_LANGUAGE = 0.5  # the weight of a passage in another language than the query's: names alone match there
PATTERN_WEIGHT = 0.1  # of a term that is only like the one that was asked for
_SHORTEST_MISSPELT, _SHORTEST_TWICE = 4, 8  # characters of a term in which one, or two, may be wrong
UNKNOWN = "und"  # ISO 639 for a language that could not be told


class TermGroup(NamedTuple):
    """What a query asks for in the passages of some languages.

    Attributes:
        terms: The terms with their weights.
        languages: The languages, UNKNOWN among them; None for all.
        boost: What the score of such a passage is multiplied by.
    """

    terms: dict[str, float]
    languages: list[str] | None
    boost: float


class OwnLanguage(NamedTuple):
    """A query in an index of several languages of which most passages are in its own, for these and for the others.

    Without a condition beside the terms, tantivy passes over what cannot be among the best (block-max WAND).

    Attributes:
        wanted: What is asked for in the passages of `languages`; it finds passages of others, too, with wrong scores.
        languages: Theirs, UNKNOWN among them.
        others: The query for the passages of the others.
    """

    wanted: Any
    languages: list[str]
    others: Any


class AskedQuery(NamedTuple):
    """What a text asks for.

    Attributes:
        whole: The query.
        own: The same in two parts; None where there are none, or most passages are in another language.
    """

    whole: Any
    own: OwnLanguage | None


def language_code(language: str) -> int:
    """A language as a number."""
    return 0 if language == UNKNOWN else int.from_bytes(language.encode(), "big")


def term_groups(query: str, languages: Collection[str]) -> list[TermGroup]:
    """Analyse a query for the passages of each language.

    Args:
        query: The query, in words.
        languages: The languages of the passages, UNKNOWN among them.

    Returns:
        The groups, of languages for which the terms are the same.
    """
    known = [language for language in languages if language != UNKNOWN]
    own = query_language(query, known) if len(languages) > 1 else None
    analysed: dict[tuple[tuple[str, float], ...], list[str]] = {}
    for language in languages or [UNKNOWN]:
        terms = tuple(islice(query_terms(query, language, own).items(), _LONGEST_QUERY))
        analysed.setdefault(terms, []).append(language)
    if len(analysed) == 1:
        return [TermGroup(dict(terms), None, 1.0) for terms in analysed]
    return [
        TermGroup(dict(terms), its, 1.0 if own is None or {own, UNKNOWN} & {*its} else _OTHER_LANGUAGE)
        for terms, its in analysed.items()
    ]


def misspelt(query: str, languages: Collection[str]) -> dict[str, int]:
    """List the terms of a query that may be misspelt.

    Args:
        query: A query that finds nothing.
        languages: The languages of the passages, UNKNOWN among them.

    Returns:
        The terms, and how many characters of each may be wrong.
    """
    terms = {term for language in languages or [UNKNOWN] for term in query_terms(query, language)}
    return {
        term: 1 + (len(term) >= _SHORTEST_TWICE)
        for term in sorted(terms)[:_LONGEST_QUERY]
        if len(term) >= _SHORTEST_MISSPELT
        and not is_gram(term)
        and not any(map(str.isdigit, term))  # E21 is no misspelt E17
    }


def telling(weights: dict[str, float], chunks: int, count_of: Callable[[str], int]) -> dict[str, float]:
    """Leave out the terms that most chunks contain, if others remain.

    Args:
        weights: The terms with their weights.
        chunks: How many chunks there are.
        count_of: Counts the chunks that contain a term.

    Returns:
        The terms to look for; where there are few chunks, all of them.
    """
    if chunks < LARGE:
        return weights
    rare = {term: weight for term, weight in weights.items() if 0 < count_of(term) <= chunks * _COMMON}
    return rare or weights


class LexicalQueries:
    """Makes tantivy's queries.

    Args:
        index: An open tantivy index.
        languages: How many of its chunks are in each language, UNKNOWN among them.
    """

    def __init__(self, index: Any, languages: Mapping[str, int]) -> None:
        self._schema, self._searcher, self._languages = index.schema, index.searcher(), languages

    def asked(self, query: str) -> AskedQuery:
        """A query as it is analysed for the passages of each language."""
        from tantivy import Query

        groups, patterns = term_groups(query, self._languages), query_patterns(query)
        wanted = [self._any_of(group.terms) for group in groups]
        clauses = [self._in_languages(*each) for each in zip(groups, wanted, strict=True)]
        for pattern in patterns:
            clauses.append(Query.const_score_query(Query.regex_query(self._schema, "body", pattern), PATTERN_WEIGHT))
        whole = _any(clauses)
        counts = [sum(self._languages[each] for each in group.languages or ()) for group in groups]
        most = counts.index(max(counts))
        own = groups[most]
        if patterns or own.languages is None or own.boost != 1 or 2 * counts[most] < sum(counts):
            return AskedQuery(whole, None)
        others = _any(clauses[:most] + clauses[most + 1 :])
        return AskedQuery(whole, OwnLanguage(wanted[most], own.languages, others))

    def _in_languages(self, group: TermGroup, wanted: Any) -> Any:
        from tantivy import Occur, Query

        if group.boost != 1:
            wanted = Query.boost_query(wanted, group.boost)
        if group.languages is None:
            return wanted
        only = Query.const_score_query(Query.term_set_query(self._schema, "language", group.languages), 0.0)
        return Query.boolean_query([(Occur.Must, wanted), (Occur.Must, only)])

    def _any_of(self, weights: dict[str, float]) -> Any:
        from tantivy import Query

        schema, searcher = self._schema, self._searcher

        def count_of(term: str) -> int:
            return int(searcher.doc_freq("body", term))

        return _any(
            [
                Query.boost_query(Query.term_query(schema, "body", term, "freq"), weight)
                for term, weight in telling(weights, searcher.num_docs, count_of).items()
            ]
        )

    def alike(self, query: str) -> Any:
        """A query for terms that are spelt almost as those of a query that finds nothing."""
        from tantivy import Query

        near = [
            Query.fuzzy_term_query(self._schema, "body", term, distance)
            for term, distance in misspelt(query, self._languages).items()
        ]
        return _any(near)


def _any(queries: Sequence[Any]) -> Any:
    """Any of some queries: one by itself, since tantivy passes over nothing inside another query."""
    from tantivy import Occur, Query

    return queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Should, query) for query in queries])
