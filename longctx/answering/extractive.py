"""Extractive answers, without a model: the sentences of the passages found that answer best, quoted."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace

from indexes import SearchHit
from indexes.text import (
    LANGUAGE_NAMES,
    Code,
    NumberedPart,
    NumberedThing,
    codes,
    content_words,
    folded,
    numbered_parts,
    numbered_things,
    on_one_line,
    query_patterns,
    query_terms,
    text_language,
)
from longctx.answering.asked_values import AskedValue, asked_value
from longctx.answering.distinctions import lacks_distinction
from longctx.answering.evidence import Evidence
from longctx.answering.quotable import Sentence, citation, sentences, with_header
from longctx.answering.source import Passages, Source, check_found
from longctx.answering.telling_headings import telling, tells
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
_TOP_WEIGHT = 0.1  # of standing directly below a heading that holds a code of the question
# Of the question in one of the next sentences of the paragraph that a sentence is quoted with: 担当は松本とする。
_ADDS, _REACH = 0.1, 2
_PASSAGES_BACK = 20  # among which a heading of several passages is looked for
_DENSITY_WEIGHT = 0.1  # of two sentences that hold the same, the one that says nothing else

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
    found = [sentence for rank, hit in enumerate(hits) for sentence in sentences(hit.chunk, rank, language)]
    wanted = {term: weight / 2 for term, weight in query_terms(searched, language).items()} if searched else {}
    wanted |= query_terms(question, language)
    wanted |= {term: _NUMBER_WEIGHT * weight for term, weight in wanted.items() if any(map(str.isdigit, term))}
    if not wanted:  # "???" asks for nothing
        return ()
    parts, rest = numbered_parts(question)
    asked: list[Code | NumberedPart] = [*codes(question), *parts]
    found, known = _with_codes(asked, found)
    if any(part.term in known for part in parts):  # every article has a number, and 条
        others = query_terms(rest, language)
        wanted = {term: weight for term, weight in wanted.items() if term in others}
    wanted |= dict.fromkeys(known, _NUMBER_WEIGHT)
    found, values = _with_values(asked_value(query), found)
    inside = _terms_like(query_patterns(query), found)
    wanted |= dict.fromkeys(inside - wanted.keys(), _INSIDE_WEIGHT)
    is_held = bool(known or (inside and len(content_words(query)) == 1))
    cosines = corpus.similarity(query, [with_header(sentence.place) for sentence in found]) if found else None
    passages = [citation(hit.chunk) for hit in hits]
    evidence = Evidence(corpus.content_idf(query, language), passages, language=language, values=values)
    cosine = max(cosines) if cosines and corpus.encoder.name == "default" else None
    if (
        not found
        or _lacks_code([*asked, *numbered_things(question)], hits)
        or lacks_distinction(question, found)
        or (not is_held and evidence.is_beside(query, cosine))
    ):
        return ()
    weights = _term_weights(wanted, [sentence.terms for sentence in found])
    shares = [_share(weights, sentence.terms) for sentence in found]
    around = [_share(weights, sentence.terms | sentence.around) for sentence in found]
    scored = [
        (
            share
            + _AROUND_WEIGHT * (more - share)
            + cosine
            + _RANK_WEIGHT / (1 + sentence.rank)
            + _density(sentence, wanted)
            + _TOP_WEIGHT * (sentence.top is not None),
            _quote(number, found, weights, question),
        )
        for number, (sentence, share, more, cosine) in enumerate(
            zip(found, shares, around, cosines or [0.0] * len(found), strict=True)
        )
        if more > 0 or cosine > 0
    ]
    chosen = _with_headings(_best(scored), found, question, corpus)
    return tuple(replace(sentence, number=number) for number, sentence in enumerate(chosen, start=1))


def _lacks_code(asked: Sequence[Code | NumberedPart | NumberedThing], hits: Sequence[SearchHit]) -> bool:
    """Whether a question hangs on one of its codes that is in none of the passages, though others of its kind are."""
    # What is none of a kind, such as COVID19, may be paraphrased, and so may a year.
    texts = [folded(f"{hit.chunk.heading}\n{hit.chunk.title}\n{hit.chunk.text}") for hit in hits] if asked else []
    return any(
        any(code.has_sibling_in(text) for text in texts)
        and not any(code.is_in(text) or (isinstance(code, Code) and code.is_paraphrased_in(text)) for text in texts)
        for code in asked
    )


def _with_codes(asked: Sequence[Code | NumberedPart], found: Sequence[Sentence]) -> tuple[list[Sentence], set[str]]:
    """The sentences with the question's codes among their terms, and the codes that any has, in whatever spelling."""
    with_codes, known = list[Sentence](), set[str]()
    for each in found:
        inside = _held(asked, f"\n{each.place.text}")
        above = _held(asked, each.heading)
        known |= inside | above
        top = each.top if above - inside else None  # a heading that says nothing of the question is not quoted
        with_codes.append(replace(each, top=top, terms=each.terms | inside | above))
    return with_codes, known


def _with_values(asked: AskedValue | None, found: list[Sentence]) -> tuple[list[Sentence], Mapping[int, Set[str]]]:
    """The sentences with the noun for the value that is asked for where they say it, and its terms by passage."""
    if asked is None:
        return found, {}
    with_values, values = list[Sentence](), dict[int, Set[str]]()
    for each in found:
        if asked.others <= each.terms | each.around and asked.is_in(each.place.text):
            values[each.rank] = asked.terms
            each = replace(each, terms=each.terms | asked.terms)
        with_values.append(each)
    return with_values, values


def _held(asked: Sequence[Code | NumberedPart], text: str) -> set[str]:
    plain = folded(text) if asked else ""
    return {code.term for code in asked if code.is_in(plain)}


def _terms_like(patterns: Sequence[str], found: Sequence[Sentence]) -> set[str]:
    every = {term for sentence in found for term in sentence.terms} if patterns else set()
    return {term for term in every if any(re.fullmatch(pattern, term) for pattern in patterns)}


def _density(sentence: Sentence, wanted: Mapping[str, float]) -> float:
    """A little for a sentence of which much is asked for."""
    return _DENSITY_WEIGHT * len(sentence.terms & wanted.keys()) / len(sentence.terms)


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
    count = corpus.languages()
    held = sorted(count.items(), key=lambda each: -each[1])
    if count.get("zh", 0) <= count.get("ja", 0):  # lists of names and table rows without kana
        held = [each for each in held if each[0] != "zh"]
    asked = text_language(question)
    text = _NOTHING_FOUND[language_of(question)]
    if asked == "zh" and "ja" in dict(held):  # kanji alone are Japanese, too
        return _NOTHING_FOUND["ja"]
    if asked is None or not held or asked in dict(held):
        return text

    known = LANGUAGE_NAMES | _JAPANESE_NAMES if in_japanese else LANGUAGE_NAMES
    names = ("か" if in_japanese else " or ").join(known[code] for code, _ in held[:_MOST_NAMED])
    return text + _OTHER_LANGUAGE[language_of(question)].format(held=names, asked=known[asked])


def _term_weights(wanted: Mapping[str, float], bags: Sequence[Set[str]]) -> dict[str, float]:
    """The weights of the wanted terms, with their inverse document frequency among the bags; together 1."""
    frequency = Counter(term for bag in bags for term in bag & wanted.keys())
    weight = {term: each * math.log(1 + len(bags) / (1 + frequency[term])) for term, each in wanted.items()}
    total = sum(weight.values()) or 1.0
    return {term: each / total for term, each in weight.items()}


def _share(weights: Mapping[str, float], bag: Set[str]) -> float:
    return sum(weights[term] for term in bag & weights.keys())


def _quote(number: int, found: Sequence[Sentence], weights: Mapping[str, float], question: str) -> Citation:
    """A sentence as it is quoted: with what it says little without, and with what it lacks of the question."""
    sentence, held = found[number], found[number].terms
    start, end = sentence.quote
    if sentence.top is not None:  # where the heading may say what is asked, as "2.4.0 (11 April)" does
        start = sentence.top
    elif sentence.outline and not sentence.chunk.text[sentence.outline[-1][1] : start].strip():
        above = slice(*sentence.outline[-1])
        start = above.start if tells(question, sentence.chunk.text[above], sentence.place.text) else start
    for beside in found[number + 1 : number + 1 + _REACH]:
        if beside.chunk is not sentence.chunk or beside.paragraph != sentence.paragraph:
            break
        if _share(weights, beside.terms - held) >= _ADDS:
            end, held = max(end, beside.quote[1]), held | beside.terms
    return citation(sentence.chunk, start, end)


def _best(scored: Sequence[tuple[float, Citation]]) -> tuple[Citation, ...]:
    ranked = sorted(scored, key=lambda pair: (-pair[0], pair[1].source, pair[1].start))
    chosen: list[Citation] = []
    for score, sentence in ranked:
        if score < ranked[0][0] * _AS_GOOD or len(chosen) == _MOST_SENTENCES:
            break
        if not any(sentence.text == other.text or _overlap(sentence, other) for other in chosen):
            chosen.append(sentence)
    return tuple(chosen)


def _with_headings(
    chosen: Sequence[Citation], found: Sequence[Sentence], question: str, corpus: Passages
) -> Iterator[Citation]:
    """The sentences chosen, each below the heading that says what the question asks for, if one does."""
    quoted = [*chosen]
    for each in chosen:
        sentence = next(one for one in found if _overlap(one.place, each))
        heading = _telling_heading(sentence, each.text, question, corpus)
        if heading is not None and not any(_overlap(heading, other) for other in quoted):
            quoted.append(heading)
            yield heading
        yield each


def _telling_heading(sentence: Sentence, quoted: str, question: str, corpus: Passages) -> Citation | None:
    """The heading above a sentence that says what a question asks for; it may be in an earlier passage."""
    chunk = sentence.chunk
    if (inside := telling(sentence.outline, chunk.text, question, quoted)) is not None:
        return citation(chunk, *inside)
    above = [part for part in chunk.heading.split(" > ") if tells(question, part, quoted)]
    before = corpus.chunks_by_id(range(max(chunk.id - _PASSAGES_BACK, 0), chunk.id)) if above else {}
    for number in sorted(before, reverse=True):
        place = before[number].text.rfind(above[-1])
        if place >= 0 and before[number].source == chunk.source:
            start = before[number].text.rfind("\n", 0, place) + 1
            return citation(before[number], start, place + len(above[-1]))
    return None


def _overlap(one: Citation, other: Citation) -> bool:
    return one.source == other.source and one.start < other.end and other.start < one.end
