"""Extractive answers, without a model: the sentences of the passages found that answer best, quoted."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from indexes import Chunk, CorpusIndex, SearchHit
from indexes.offsets import clean_offset
from indexes.text import row_spans, sentence_spans, terms
from longctx.errors import BadRequest
from longctx.planning import Policy
from longctx.prompts import language_of
from longctx.types import Answer, Citation, QuestionRequest, Usage

_MOST_SENTENCES = 3
_AS_GOOD = 0.8  # a further sentence must score this share of the best one's
_FEWEST_TERMS = 4  # what has fewer is a heading or a scrap, not an answer
_RANK_WEIGHT = 0.5  # how much the first passage found is worth against a sentence that holds every term of the question
_HEADING = re.compile(r"\s*(?:#{1,6}\s|```|~~~)")

_NOTHING_FOUND = {
    "en": "Nothing in the index bears on this question.",
    "ja": "この質問に関係する記述は、インデックスの中に見つかりませんでした。",
}

Similarity = Callable[[str, Sequence[str]], "list[float] | None"]


def citation(chunk: Chunk, start: int = 0, end: int | None = None, number: int = 0) -> Citation:
    """The citation of a part of a chunk.

    Args:
        chunk: The chunk.
        start: Where the part begins in `chunk.text`.
        end: Where it ends; None is the end of the chunk.
        number: The number of its mark.

    Returns:
        The place in the document.
    """
    end = len(chunk.text) if end is None else end
    first, last = chunk.span(start, end)
    return Citation(
        source=chunk.source,
        title=chunk.title,
        page=chunk.page,
        start=first,
        end=last,
        text=chunk.text[start:end],
        line=chunk.line + chunk.text.count("\n", 0, start),
        number=number,
        table_header=chunk.header_at(first),
        copies=chunk.copies,
    )


def quotable_spans(chunk: Chunk) -> Iterator[tuple[int, int]]:
    """Find what can be quoted of a chunk: its sentences, and in tables its rows.

    Args:
        chunk: The chunk.

    Yields:
        (start, end) of each in `chunk.text`, in order.
    """
    done = 0
    for table in chunk.tables:
        start, end = (clean_offset(chunk.shifts, max(0, edge - chunk.start)) for edge in (table.start, table.end))
        start, end = min(start, len(chunk.text)), min(end, len(chunk.text))
        yield from sentence_spans(chunk.text, done, start)
        yield from row_spans(chunk.text, start, end)
        done = end
    yield from sentence_spans(chunk.text, done)


def extract_answer(index: CorpusIndex, request: QuestionRequest, policy: Policy) -> Answer:
    """Answer without a model: quote the sentences of the passages found that answer best.

    Args:
        index: Where to search.
        request: The question and its options.
        policy: How many neighbours of a passage are read with it, at least.

    Returns:
        The answer; it says so if nothing in the index bears on the question.

    Raises:
        BadRequest: For a route that only a model can take.
        CorpusError: If the index cannot be searched.
    """
    began, options = time.monotonic(), request.options
    route = options.route or policy.route
    if route not in ("auto", "retrieval"):
        raise BadRequest(f"route {route} needs a model: give one (--model), or leave the route out")
    expand = max(options.expand, policy.expand)
    with index.snapshot() as snapshot:
        hits = snapshot.search(request.query, options.k, options.mode, filters=options.filters, expand=expand)
        citations = extract(request.question, hits, snapshot.similarity, request.search_query or "")
    text = "\n".join(_quoted(citations)) or _NOTHING_FOUND[language_of(request.question)]
    usage = Usage(seconds=time.monotonic() - began)
    return Answer(text, citations, None, usage, search_query=request.search_query, refused=not citations)


def extract(
    question: str, hits: Sequence[SearchHit], similarity: Similarity, searched: str = ""
) -> tuple[Citation, ...]:
    """Choose the sentences that answer a question best.

    A sentence is scored by how much of the question's terms it holds, rare ones counting more; by its cosine to the
    question where the encoder knows the language; and by the rank of its passage.

    Args:
        question: The question.
        hits: The passages found, best first.
        similarity: Gives the cosines of texts to a query, or None where the encoder does not know the language.
        searched: What was searched for, if not the question; its other terms count half.

    Returns:
        The sentences, best first; none if no sentence has to do with the question.
    """
    candidates = [
        (rank, citation(hit.chunk, start, end))
        for rank, hit in enumerate(hits)
        for start, end in quotable_spans(hit.chunk)
        if not _HEADING.match(hit.chunk.text[start:end])
    ]
    bags = [set(terms(_with_header(sentence))) for _, sentence in candidates]
    kept = [i for i, bag in enumerate(bags) if len(bag) >= _FEWEST_TERMS]
    if not kept:
        return ()
    wanted = dict.fromkeys(terms(searched), 0.5) | dict.fromkeys(terms(question), 1.0)
    shares = _term_shares(wanted, [bags[i] for i in kept])
    cosines = similarity(searched or question, [_with_header(candidates[i][1]) for i in kept]) or [0.0] * len(kept)
    scored = [
        (share + cosine + _RANK_WEIGHT / (1 + candidates[i][0]), candidates[i][1])
        for i, share, cosine in zip(kept, shares, cosines, strict=True)
        if share > 0 or cosine > 0
    ]
    return tuple(replace(sentence, number=number) for number, sentence in enumerate(_best(scored), start=1))


def _with_header(sentence: Citation) -> str:
    return f"{sentence.table_header}\n{sentence.text}" if sentence.table_header else sentence.text


def _quoted(citations: Sequence[Citation]) -> Iterator[str]:
    """The lines of an answer; a row of a table comes below the header of its table."""
    above = ("", "")
    for each in citations:
        if each.table_header and (each.source, each.table_header) != above:
            yield " ".join(each.table_header.split())
        above = (each.source, each.table_header)
        yield f"{' '.join(each.text.split())} [{each.number}]"


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
