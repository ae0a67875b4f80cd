"""Extractive answers, without a model: the sentences of the passages found that answer best, quoted."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from indexes import Chunk, SearchHit
from indexes.offsets import clean_offset
from indexes.text import (
    LANGUAGE_NAMES,
    Code,
    codes,
    content_terms,
    content_words,
    folded,
    on_one_line,
    query_patterns,
    query_terms,
    row_spans,
    sentence_spans,
    terms,
    text_language,
)
from longctx.answering.evidence import Evidence
from longctx.answering.source import Passages, Source, check_found
from longctx.errors import BadRequest
from longctx.planning import Policy, question_kind
from longctx.prompts import language_of
from longctx.types import Answer, Citation, QuestionRequest, Usage

_MOST_SENTENCES = 3
_AS_GOOD = 0.8  # a further sentence must score this share of the best one's
_RANK_WEIGHT = 0.5  # how much the first passage found is worth against a sentence that holds every term of the question
_AROUND_WEIGHT = 0.3  # of a term in the title or in the sentence before, which a sentence may take up with a pronoun
_NUMBER_WEIGHT = 3.0  # of E17 or 2024: what is asked about it is not in a sentence on E21 or 2025
_INSIDE_WEIGHT = 0.3  # of a word that holds the kanji that is asked for, as 休暇 does that of 休み
_DENSITY_WEIGHT = 0.1  # of two sentences that hold the same, the one that says nothing else
_POINTS_BACK = re.compile(  # to the sentence before, without which it says little, and which says little without it
    r"\s*(?:これ|この|それ|その|そこ|ここ|こうした|そうした|しかし|だが|ところが|例えば|たとえば|つまり|すなわち|従って|したがって|ゆえに"
    r"|一方|ただし|なお|そして|さらに|同"
    r"|(?:This|That|These|Those|It|Its|He|His|She|Her|They|Their|Such)\b"
    r"|(?:[A-Z]\w+|(?:Most|Some|Many|All|Both|Each|One|Several|Few|None|Neither|Half|Part|Because) of)"
    r" (?:this|that|these|those|it|its|him|his|her|them|their|such)\b"
    r"|(?:However|Thus|Therefore|Hence|Then|Consequently|As such|As a result|For example|For instance|Instead|Similarly"
    r"|Likewise|Conversely|Otherwise|Nevertheless|Here|There)\b"
    r"|The (?:former|latter|same|others?|next|last|past|following|resulting)\b)"
)
_TAKEN_UP = re.compile(r"\s*The ((?:\w+ )?\w+)")  # a noun, of which the sentence before may have spoken
_HEADING = re.compile(
    r"\s*(?:#{1,6}\s|```|~~~)"
    r"|\s*(?:第\s*[0-9一二三四五六七八九十百]+\s*[条章節款編部]|(?:chapter|section|article|part)\s+[\dIVX]+\b)[^\n。.:：]{0,60}\Z",
    re.IGNORECASE,
)
_HEADER_REACH = 2_000  # characters from a row of a header to the table's first row
_WORD = re.compile(r"\w+")
_LONGEST_TITLE = 60  # characters of a line that is a heading because nothing in it is punctuated
_PUNCTUATED = re.compile(r"[\d。．.!?！？:：,、;；|=]|^\s*[-*+•・>]")
_QUESTION = re.compile(r"(?:[?？]|(?:です|ます|でしょう|ません|でした|ました)か[。．]?)\W*\Z")
_FRONT_MATTER = re.compile(r"\A\s*(---|\+\+\+)[ \t]*\n.*?\n\1[ \t]*(?:\n|\Z)", re.DOTALL)

_NOTHING_FOUND = {
    "en": "Nothing in the index bears on this question.",
    "ja": "この質問に関係する記述は、インデックスの中に見つかりませんでした。",
}
_NEEDS_MODEL = {
    "en": "the question is about whole documents, which only a model can read (--model); without one, "
    "sentences are quoted",
    "ja": "文書全体についての質問には、モデルが必要です（--model）。モデルがない場合は、文を引用して答えます。",
}
_ONLY_PASSAGES = {
    "en": "the question is about whole documents, and the retriever gives passages: sentences of these are quoted",
    "ja": "文書全体についての質問ですが、リトリーバーからは一部の段落しか得られません。その中の文を引用して答えます。",
}
_OTHER_LANGUAGE = {
    "en": " The question seems to be in {asked}, and the documents are not: ask in {held}.",
    "ja": "質問は{asked}のようですが、文書に{asked}のものはありません。{held}で質問してください。",
}
_JAPANESE_NAMES = {
    **{"de": "ドイツ語", "en": "英語", "es": "スペイン語", "fr": "フランス語", "it": "イタリア語", "ja": "日本語"},
    **{"ko": "韓国語", "pt": "ポルトガル語", "ru": "ロシア語", "zh": "中国語"},
}
_MOST_NAMED = 3  # languages of an index


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence that may be quoted: its place, its terms, those around it, and the rank of its passage.

    `quote` holds those beside it, too, that a pronoun ties to it. `heading` is the one above it, or the question in the
    document that it answers.
    """

    place: Citation
    quote: Citation
    heading: str
    terms: Set[str]
    around: Set[str]
    rank: int


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
        line=chunk.line + chunk.text.count("\n", 0, start) if chunk.line else None,
        number=number,
        table_header=chunk.header_at(first),
        copies=chunk.copies,
        node=chunk.node,
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


def extract_answer(index: Source, request: QuestionRequest, policy: Policy) -> Answer:
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
        check_found(snapshot, hits, options.filters)
        citations = extract(request.question, hits, snapshot, request.search_query or "")
        text = "" if citations else _nothing_found(request.question, snapshot)
    usage = Usage(seconds=time.monotonic() - began)
    text = text or "\n".join(_quoted(citations))
    notes = _ONLY_PASSAGES if index.passages_only else _NEEDS_MODEL
    note = "" if question_kind(request.question) == "locate" else notes[language_of(request.question)]
    return Answer(text, citations, None, usage, search_query=request.search_query, refused=not citations, note=note)


def extract(question: str, hits: Sequence[SearchHit], corpus: Passages, searched: str = "") -> tuple[Citation, ...]:
    """Choose the sentences that answer a question best.

    A sentence is scored by how much of the question's terms it holds, rare ones counting more; by its cosine to the
    question where the encoder knows the language; and by the rank of its passage.

    Args:
        question: The question.
        hits: The passages found, best first.
        corpus: The index that they were found in.
        searched: What was searched for, if not the question; its other terms count half.

    Returns:
        The sentences, best first; none if the passages do not bear on the question.
    """
    query = searched or question
    language = corpus.language_of(query) or "en"
    found = [sentence for rank, hit in enumerate(hits) for sentence in _sentences(hit.chunk, rank, language)]
    wanted = {term: weight / 2 for term, weight in query_terms(searched, language).items()} if searched else {}
    wanted |= query_terms(question, language)
    wanted |= {term: _NUMBER_WEIGHT * weight for term, weight in wanted.items() if any(map(str.isdigit, term))}
    if not wanted:  # "???" asks for nothing
        return ()
    asked = codes(question)
    found, known = _with_codes(asked, found)
    wanted |= dict.fromkeys(known, _NUMBER_WEIGHT)
    inside = _terms_like(query_patterns(query), found)
    wanted |= dict.fromkeys(inside - wanted.keys(), _INSIDE_WEIGHT)
    is_held = bool(known or (inside and len(content_words(query)) == 1))
    cosines = corpus.similarity(query, [_with_header(sentence.place) for sentence in found]) if found else None
    evidence = Evidence(corpus.content_idf(query, language), [citation(hit.chunk) for hit in hits], language=language)
    cosine = max(cosines) if cosines and corpus.encoder.name == "default" else None
    if not found or _lacks_code(asked, hits) or (not is_held and evidence.is_beside(query, cosine)):
        return ()
    shares = _term_shares(wanted, [sentence.terms for sentence in found])
    around = _term_shares(wanted, [sentence.terms | sentence.around for sentence in found])
    scored = [
        (
            share
            + _AROUND_WEIGHT * (more - share)
            + cosine
            + _RANK_WEIGHT / (1 + sentence.rank)
            + _density(sentence, wanted),
            sentence.quote,
        )
        for sentence, share, more, cosine in zip(found, shares, around, cosines or [0.0] * len(found), strict=True)
        if more > 0 or cosine > 0
    ]
    return tuple(replace(sentence, number=number) for number, sentence in enumerate(_best(scored), start=1))


def _lacks_code(asked: Sequence[Code], hits: Sequence[SearchHit]) -> bool:
    """Whether a question hangs on one of its codes that is in none of the passages, though others of its kind are."""
    # What is none of a kind, such as COVID19, may be paraphrased, and so may a year.
    texts = [folded(f"{hit.chunk.title} {hit.chunk.heading} {hit.chunk.text}") for hit in hits] if asked else []
    return any(
        any(code.has_sibling_in(text) for text in texts)
        and not any(code.is_in(text) or code.is_paraphrased_in(text) for text in texts)
        for code in asked
    )


def _with_codes(asked: Sequence[Code], found: Sequence[_Sentence]) -> tuple[list[_Sentence], list[str]]:
    """The sentences, with the question's codes among their terms in any spelling; and the codes that any has."""
    texts = [folded(f"{each.heading}\n{each.place.text}") if asked else "" for each in found]
    held = [{code.term for code in asked if code.is_in(text)} for text in texts]
    sentences = [replace(each, terms=each.terms | terms) for each, terms in zip(found, held, strict=True)]
    return sentences, sorted(set().union(*held))


def _terms_like(patterns: Sequence[str], found: Sequence[_Sentence]) -> set[str]:
    every = {term for sentence in found for term in sentence.terms} if patterns else set()
    return {term for term in every if any(re.fullmatch(pattern, term) for pattern in patterns)}


def _sentences(chunk: Chunk, rank: int, language: str) -> Iterator[_Sentence]:
    """The sentences of a passage, without headings, front matter, and questions that others answer."""
    text = chunk.text
    front = _FRONT_MATTER.match(text) if chunk.start == 0 else None
    title = set(terms(chunk.title, language))
    heading, before, asked = chunk.heading, set[str](), set[str]()
    spans = [*quotable_spans(chunk)]
    for number, (start, end) in enumerate(spans):
        if front and start < front.end():
            continue
        place = citation(chunk, start, end)
        bag = set(terms(_with_header(place), language))
        if _is_heading(text, start, end, chunk.heading) or _is_table_header(chunk, place):
            heading, asked = place.text, bag if _QUESTION.search(place.text) else set()
        elif _QUESTION.search(place.text) and number + 1 < len(spans):
            heading, asked = place.text, asked | bag
        elif bag:
            around = before | title | set(terms(heading, language))
            quote = citation(chunk, *_tied_span(chunk, spans, number))
            yield _Sentence(place, quote, heading, bag | asked, around, rank)
            asked = set()
        before = bag


def _tied_span(chunk: Chunk, spans: Sequence[tuple[int, int]], number: int) -> tuple[int, int]:
    """Where a sentence is quoted: with the one before it if it points back, and the one behind if that does."""
    start, end = spans[number]
    if number and _is_tied(chunk, spans[number - 1], spans[number]):
        start = spans[number - 1][0]
    if number + 1 < len(spans) and _is_tied(chunk, spans[number], spans[number + 1]):
        end = spans[number + 1][1]
    return start, end


def _is_tied(chunk: Chunk, one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether a sentence points back to the one before it, or takes up a noun, in the same paragraph of a text."""
    text = chunk.text
    if "\n" in text[one[1] : other[0]]:
        return False
    taken_up = _TAKEN_UP.match(text, other[0], other[1])
    follows = _POINTS_BACK.match(text, other[0], other[1]) or (
        taken_up and content_terms(taken_up[1]) & content_terms(text[slice(*one)])
    )
    return bool(follows) and not any(
        table.start < chunk.span(*other)[1] and chunk.span(*one)[0] < table.end for table in chunk.tables
    )


def _is_heading(text: str, start: int, end: int, headings: str) -> bool:
    """Whether `text[start:end]` is a heading: by its mark, its place in the outline, or as a bare line over a text."""
    line = text[start:end]
    if _HEADING.match(line) or line.strip() in headings.split(" > "):
        return True
    is_bare = "\n" not in line and len(line) <= _LONGEST_TITLE and not _PUNCTUATED.search(line)
    return is_bare and text[end:].startswith("\n\n") and bool(text[end:].strip())


def _is_table_header(chunk: Chunk, place: Citation) -> bool:
    """Whether a line is the header of a table in a passage, or one of its rows."""
    words = _WORD.findall(place.text)
    above = [table.header for table in chunk.tables if place.end <= table.start <= place.end + _HEADER_REACH]
    return any(set(words) <= set(_WORD.findall(header)) for header in above)


def _density(sentence: _Sentence, wanted: Mapping[str, float]) -> float:
    """A little for a sentence of which much is asked for."""
    return _DENSITY_WEIGHT * len(sentence.terms & wanted.keys()) / len(sentence.terms)


def _with_header(sentence: Citation) -> str:
    return f"{sentence.table_header}\n{sentence.text}" if sentence.table_header else sentence.text


def _quoted(citations: Sequence[Citation]) -> Iterator[str]:
    """The lines of an answer; a row of a table comes below the header of its table."""
    above = ("", "")
    for each in citations:
        if each.table_header and (each.source, each.table_header) != above:
            yield on_one_line(each.table_header)
        above = (each.source, each.table_header)
        yield f"{on_one_line(each.text)} [{each.number}]"


def _nothing_found(question: str, corpus: Passages) -> str:
    """That nothing bears on a question; and if none of the documents is in its language, that, too."""
    in_japanese = language_of(question) == "ja"
    held = sorted(corpus.languages().items(), key=lambda each: -each[1])
    asked = text_language(question)
    text = _NOTHING_FOUND[language_of(question)]
    if asked == "zh" and "ja" in dict(held):  # kanji alone are Japanese, too
        return _NOTHING_FOUND["ja"]
    if asked is None or not held or asked in dict(held):
        return text

    known = LANGUAGE_NAMES | _JAPANESE_NAMES if in_japanese else LANGUAGE_NAMES
    names = ("か" if in_japanese else " or ").join(known[code] for code, _ in held[:_MOST_NAMED])
    return text + _OTHER_LANGUAGE[language_of(question)].format(held=names, asked=known[asked])


def _term_shares(wanted: Mapping[str, float], bags: Sequence[Set[str]]) -> list[float]:
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
        if not any(sentence.text == other.text or _overlap(sentence, other) for other in chosen):
            chosen.append(sentence)
    return tuple(chosen)


def _overlap(one: Citation, other: Citation) -> bool:
    return one.source == other.source and one.start < other.end and other.start < one.end
