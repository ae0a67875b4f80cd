"""An answer without a model: the sentences of the passages that answer best, quoted. Knows no prompts and no model."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from indexes import Chunk, SearchHit
from indexes.text import sentence_spans, terms
from longctx.types import Citation

_MOST_SENTENCES = 3
_AS_GOOD = 0.8  # a further sentence must score this share of the best one's
_FEWEST_TERMS = 4  # what has fewer is a heading or a scrap, not an answer
_RANK_WEIGHT = 0.5  # how much the first passage found is worth against a sentence that holds every term of the question
_HEADING = re.compile(r"\s*(?:#{1,6}\s|```|~~~)")

Similarity = Callable[[str, Sequence[str]], "list[float] | None"]


def citation(chunk: Chunk, start: int = 0, end: int | None = None, number: int = 0) -> Citation:
    """The place of `chunk.text[start:end]` in its document, and the number of its mark."""
    end = len(chunk.text) if end is None else end
    return Citation(
        source=chunk.source,
        title=chunk.title,
        page=chunk.page,
        start=chunk.start + start,
        end=chunk.start + end,
        text=chunk.text[start:end],
        line=chunk.line + chunk.text.count("\n", 0, start),
        number=number,
    )


def extract(
    question: str, hits: Sequence[SearchHit], similarity: Similarity, searched: str = ""
) -> tuple[Citation, ...]:
    """The sentences of the hits that answer the question best, best first; none if no sentence has to do with it.

    A sentence is scored by how much of the question's terms it holds, rare ones counting more; by its cosine to the
    question where the encoder knows the language (`similarity` gives None where it does not); and by the rank of its
    passage. `searched` is what was searched for, if not the question; its other terms count half.
    """
    candidates = [
        (rank, citation(hit.chunk, start, end))
        for rank, hit in enumerate(hits)
        for start, end in sentence_spans(hit.chunk.text)
        if not _HEADING.match(hit.chunk.text[start:end])
    ]
    bags = [set(terms(sentence.text)) for _, sentence in candidates]
    kept = [i for i, bag in enumerate(bags) if len(bag) >= _FEWEST_TERMS]
    if not kept:
        return ()
    wanted = dict.fromkeys(terms(searched), 0.5) | dict.fromkeys(terms(question), 1.0)
    shares = _term_shares(wanted, [bags[i] for i in kept])
    cosines = similarity(searched or question, [candidates[i][1].text for i in kept]) or [0.0] * len(kept)
    scored = [
        (share + cosine + _RANK_WEIGHT / (1 + candidates[i][0]), candidates[i][1])
        for i, share, cosine in zip(kept, shares, cosines, strict=True)
        if share > 0 or cosine > 0
    ]
    return tuple(replace(sentence, number=number) for number, sentence in enumerate(_best(scored), start=1))


def _term_shares(wanted: Mapping[str, float], bags: Sequence[set[str]]) -> list[float]:
    """For each bag, the share of the wanted terms that it holds, by their weight and inverse document frequency."""
    frequency = Counter(term for bag in bags for term in bag & wanted.keys())
    weight = {term: each * math.log(1 + len(bags) / (1 + frequency[term])) for term, each in wanted.items()}
    total = sum(weight.values()) or 1.0
    return [sum(weight[term] for term in bag & wanted.keys()) / total for bag in bags]


def _best(scored: Sequence[tuple[float, Citation]]) -> tuple[Citation, ...]:
    ranked = sorted(scored, key=lambda pair: (-pair[0], pair[1].source, pair[1].start))
    chosen: list[Citation] = []
    for score, sentence in ranked:
        if score < ranked[0][0] * _AS_GOOD or len(chosen) == _MOST_SENTENCES:
            break
        if sentence.text not in {other.text for other in chosen}:
            chosen.append(sentence)
    return tuple(chosen)
