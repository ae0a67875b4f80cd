"""Queries of the lexical index: what a text asks for in an index of several languages, and what is spelt alike."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Any

from indexes.text import query_language, query_patterns, query_terms

# Chunks from which a query leaves out the terms that more than half of them hold, unless it has no other. Robertson and
# Spärck Jones's weight of such a term is negative, and to read its postings takes most of a search: at a million chunks
# 14.0 ms with them and 5.7 without. Left out at any size, recall at 1 and 5 would be .9284/.9764 on JSQuAD, where it is
# .9286/.9766, and .9571/.9983 on XQuAD (hybrid), where it is .9563/.9983.
LARGE = 50_000
_COMMON = 1 / 2
_LONGEST_QUERY = 256  # distinct terms
_OTHER_LANGUAGE = 0.5  # the weight of a passage in another language than the query's: names alone match there
_PATTERN_WEIGHT = 0.1  # of a term that is only like the one that was asked for
_SHORTEST_MISSPELT, _SHORTEST_TWICE = 4, 8  # characters of a term in which one, or two, may be wrong
UNKNOWN = "und"  # ISO 639 for a language that could not be told


class LexicalQueries:
    """Makes tantivy's queries.

    Args:
        index: An open tantivy index.
        languages: The languages of its chunks, UNKNOWN among them.
    """

    def __init__(self, index: Any, languages: Collection[str]) -> None:
        self._schema, self._searcher, self._languages = index.schema, index.searcher(), languages

    def asked(self, query: str) -> Any:
        """A query as it is analysed for the passages of each language."""
        from tantivy import Occur, Query

        analysed: dict[tuple[tuple[str, float], ...], list[str]] = {}
        for language in self._languages or [UNKNOWN]:
            terms = tuple(islice(query_terms(query, language).items(), _LONGEST_QUERY))
            analysed.setdefault(terms, []).append(language)
        clauses, known = [], [language for language in self._languages if language != UNKNOWN]
        own = query_language(query, known) if len(analysed) > 1 else None
        for terms, languages in analysed.items():
            wanted = self._any_of(dict(terms))
            if own is not None and own not in languages:
                wanted = Query.boost_query(wanted, _OTHER_LANGUAGE)
            if len(analysed) > 1:
                only = Query.const_score_query(Query.term_set_query(self._schema, "language", languages), 0.0)
                wanted = Query.boolean_query([(Occur.Must, wanted), (Occur.Must, only)])
            clauses.append((Occur.Should, wanted))
        for pattern in query_patterns(query):
            like = Query.const_score_query(Query.regex_query(self._schema, "body", pattern), _PATTERN_WEIGHT)
            clauses.append((Occur.Should, like))
        return Query.boolean_query(clauses)

    def _any_of(self, weights: dict[str, float]) -> Any:
        from tantivy import Occur, Query

        schema = self._schema
        return Query.boolean_query(
            [
                (Occur.Should, Query.boost_query(Query.term_query(schema, "body", term, "freq"), weight))
                for term, weight in _telling(self._searcher, weights).items()
            ]
        )

    def alike(self, query: str) -> Any:
        """A query for terms that are spelt almost as those of a query that finds nothing."""
        from tantivy import Occur, Query

        terms = {term for language in self._languages or [UNKNOWN] for term in query_terms(query, language)}
        near = [
            Query.fuzzy_term_query(self._schema, "body", term, 1 + (len(term) >= _SHORTEST_TWICE))
            for term in sorted(terms)[:_LONGEST_QUERY]
            if len(term) >= _SHORTEST_MISSPELT and not any(map(str.isdigit, term))  # E21 is no misspelt E17
        ]
        return Query.boolean_query([(Occur.Should, each) for each in near])


def _telling(searcher: Any, weights: dict[str, float]) -> dict[str, float]:
    """The terms without those that most chunks contain, if others remain."""
    if (chunks := searcher.num_docs) < LARGE:
        return weights
    rare = {term: weight for term, weight in weights.items() if 0 < searcher.doc_freq("body", term) <= chunks * _COMMON}
    return rare or weights
