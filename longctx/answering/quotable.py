"""What can be quoted of a passage: its sentences and the rows of its tables, with what they make sense with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from indexes import Chunk
from indexes.offsets import clean_offset
from indexes.text import content_terms, row_spans, sentence_spans, terms
from longctx.answering.telling_headings import Span, below
from longctx.types import Citation

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
    r"\s*(?:\*\*[^\n*\d.。!！:：]{1,60}\*\*[:：]?|【[^】\n\d:：]{1,60}】)\s*\Z"  # a value would be told by them
    r"|\s*(?:#{1,6}\s|={1,6}\s|```|~~~|\\(?:part|chapter|(?:sub){0,2}section)\*?\{)"
    r"|\s*(?:第\s*[0-9〇一二三四五六七八九十百千万]+\s*[条章節款編部]|(?:chapter|section|article|part)\s+[\dIVX]+\b)[^\n。.:：]{0,60}\Z",
    re.IGNORECASE,
)
_HEADER_REACH = 2_000  # characters from a row of a header to the table's first row
_WORD = re.compile(r"\w+")
_ARTICLE = re.compile(r"\s*第\s*[0-9０-９〇一二三四五六七八九十百千万]+\s*条")
_LONGEST_ARTICLE = 240  # characters that are quoted whole
_LONGEST_TITLE = 60  # characters of a line that is a heading because nothing in it is punctuated
_PUNCTUATED = re.compile(r"[\d。．.!?！？:：,、;；|=]|^\s*[-*+•・>]")
_PUNCTUATED_TITLE = re.compile(_PUNCTUATED.pattern.replace(r"\d", ""))  # the first line of a document may hold a number
_QUESTION = re.compile(r"(?:[?？]|(?:です|ます|でしょう|ません|でした|ました)か[。．]?)\W*\Z")
_AROUND_HEADING = " \t\u3000*"  # in Org, asterisks
_UNDERLINE = re.compile(r"[ \t]*\n[ \t]*([=\-~^*+#\"'`:.])\1{2,}[ \t]*(?:\n|\Z)")
_FRONT_MATTER = re.compile(r"\A\s*(---|\+\+\+)[ \t]*\n.*?\n\1[ \t]*(?:\n|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that may be quoted, or a row of a table.

    Attributes:
        chunk: The passage that it is in.
        place: Its place.
        quote: From where to where in `chunk.text` it is quoted: with those beside it that a pronoun ties to it.
        top: Where the heading directly above it begins in `chunk.text`, if one is there.
        paragraph: Where its paragraph begins in `chunk.text`.
        outline: Where the headings above it are in `chunk.text`, the outermost first.
        heading: The heading above it, or the question in the document that it answers.
        terms: Its terms.
        around: Those of the title, the heading and the sentence before.
        rank: That of its passage, from 0.
    """

    chunk: Chunk
    place: Citation
    quote: tuple[int, int]
    top: int | None
    paragraph: int
    outline: tuple[Span, ...]
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
    for start, end in _headings_above(chunk):
        yield start, end
        done = end
    for table in chunk.tables:
        start, end = (clean_offset(chunk.shifts, max(0, edge - chunk.start)) for edge in (table.start, table.end))
        start, end = min(start, len(chunk.text)), min(end, len(chunk.text))
        yield from sentence_spans(chunk.text, done, start)
        yield from row_spans(chunk.text, start, end)
        done = end
    yield from sentence_spans(chunk.text, done)


def _headings_above(chunk: Chunk) -> Iterator[tuple[int, int]]:
    """Where the headings stand that a chunk begins with, a line for each, which no mark tells from the text below."""
    parts, start = chunk.heading.split(" > "), 0
    while (end := chunk.text.find("\n", start)) > start and chunk.text[start:end].strip(_AROUND_HEADING) in parts:
        yield start, end
        start = end + 1


def sentences(chunk: Chunk, rank: int, language: str) -> Iterator[Sentence]:
    """Find the sentences of a passage, without headings, front matter, and questions that others answer.

    Args:
        chunk: The passage.
        rank: Its rank, from 0.
        language: The language to stem its words in.

    Yields:
        The sentences, in order.
    """
    text = chunk.text
    front = _FRONT_MATTER.match(text) if chunk.start == 0 else None
    title = set(terms(chunk.title, language))
    heading, before, asked, top = chunk.heading, set[str](), set[str](), None
    spans = [*quotable_spans(chunk)]
    paragraph = 0
    outline: tuple[Span, ...] = ()
    for number, (start, end) in enumerate(spans):
        if not number or "\n" in text[spans[number - 1][1] : start]:
            paragraph = start
        if front and start < front.end():
            continue
        place = citation(chunk, start, end)
        bag = set(terms(with_header(place), language))
        if _is_heading(chunk, start, end) or _is_table_header(chunk, place):
            heading, asked, top = place.text, bag if _QUESTION.search(place.text) else set(), start
            outline = below(outline, (start, end), text)
        elif _QUESTION.search(place.text) and number + 1 < len(spans):
            heading, asked = place.text, asked | bag
        elif bag:
            around = before | title | set(terms(heading, language))
            quote = _article_span(chunk, spans, number, heading) or _tied_span(chunk, spans, number)
            yield Sentence(chunk, place, quote, top, paragraph, outline, heading, bag | asked, around, rank)
            asked, top = set(), None
        before = bag


def _article_span(chunk: Chunk, spans: Sequence[tuple[int, int]], number: int, heading: str) -> tuple[int, int] | None:
    """Where the paragraph of an article is, whose sentences leave out what it is about; None of a long one."""
    start = end = number
    while start and "\n" not in chunk.text[spans[start - 1][1] : spans[start][0]]:
        start -= 1
    while end + 1 < len(spans) and "\n" not in chunk.text[spans[end][1] : spans[end + 1][0]]:
        end += 1
    span = spans[start][0], spans[end][1]
    is_article = _ARTICLE.match(chunk.text[slice(*span)]) or _ARTICLE.match(heading.split(" > ")[-1])
    return span if is_article and span[1] - span[0] <= _LONGEST_ARTICLE else None


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


def _is_heading(chunk: Chunk, start: int, end: int) -> bool:
    """Whether a line is a heading: by its mark, its place in the outline, or as a bare line over a text."""
    text = chunk.text
    line = text[start:end]
    if _HEADING.match(line) or _UNDERLINE.match(text, end) or line.strip(_AROUND_HEADING) in chunk.heading.split(" > "):
        return True
    punctuated = _PUNCTUATED if start or chunk.start else _PUNCTUATED_TITLE
    is_bare = "\n" not in line and len(line) <= _LONGEST_TITLE and not punctuated.search(line)
    return is_bare and text[end:].startswith("\n\n") and bool(text[end:].strip())


def _is_table_header(chunk: Chunk, place: Citation) -> bool:
    """Whether a line is the header of a table in a passage, or one of its rows."""
    words = _WORD.findall(place.text)
    above = [table.header for table in chunk.tables if place.end <= table.start <= place.end + _HEADER_REACH]
    return any(set(words) <= set(_WORD.findall(header)) for header in above)


def with_header(sentence: Citation) -> str:
    """A sentence as it is understood: a row below the header of its table.

    Args:
        sentence: The sentence.

    Returns:
        Its text.
    """
    return f"{sentence.table_header}\n{sentence.text}" if sentence.table_header else sentence.text
