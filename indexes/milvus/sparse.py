"""BM25 as an inner product of sparse vectors.

A passage's vector has, for each of its terms, what BM25 makes of its count and the passage's length. A query's has, for
each of its terms, its weight times its inverse document frequency, by the counts at the time of the query: so a passage
need not be written again when others come. Only the mean length in it grows old: see `indexes.milvus.publish`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from indexes.storage import FILLER, idf, saturated

_MOST_IDS = 2**32 - 2
_NO_TERM = _MOST_IDS  # of a passage without any: Milvus refuses an empty vector

SparseVector = dict[int, float]


def term_id(term: str, language: str) -> int:
    """The place of a term in the vectors of passages in a language: from 1, by a hash.

    Args:
        term: The term.
        language: The language of the passages: another one's terms weigh otherwise.

    Returns:
        The place.
    """
    return int.from_bytes(blake2b(f"{language} {term}".encode(), digest_size=8).digest(), "big") % (_MOST_IDS - 1) + 1


def passage_vector(found: Sequence[str], language: str, average: float) -> SparseVector:
    """The vector of a passage.

    Args:
        found: Its terms, as `indexed_terms` counts them.
        language: Its language.
        average: The mean length of a passage.

    Returns:
        The weights of its terms.
    """
    counts = {term: count for term, count in Counter(found).items() if term != FILLER}
    weights = saturated([*counts.values()], len(found), average).tolist()
    return {term_id(term, language): weight for term, weight in zip(counts, weights, strict=True)} or {_NO_TERM: 1.0}


def query_vector(asked: Mapping[int, float], counts: Mapping[int, int], passages: int) -> SparseVector:
    """The vector of a query.

    Args:
        asked: The weights of its terms, by their ids.
        counts: In how many passages each of them is; those that are in none need not be there.
        passages: How many passages there are.

    Returns:
        The vector; empty if no passage has any of the terms.
    """
    held = {place: weight for place, weight in asked.items() if counts.get(place)}
    return {place: weight * idf(min(counts[place], passages), passages) for place, weight in held.items()}
