"""Documents to chunks: by structure first, by sentences next, and never longer than the encoder reads.

Knows documents and an encoder's tokenizer; knows no database and no vectors.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import NamedTuple

from indexes.sentences import sentence_spans
from indexes.types import Chunk, Document, Encoder, Heading

_DEFAULT_CHUNK_TOKENS = 256  # an encoder with a longer window still finds short passages better
_HEADER_SHARE = 4  # title and headings get at most a quarter of the encoder's window
_CHARACTERS_AT_ONCE = 65_536  # given to the tokenizer in one call
_LONGEST_TOKEN = 32  # characters; a longer one counts as several
_VISIBLE = re.compile(r"\S")
_LINE_OF_WORDS = re.compile(r"[^\W_][^\n]*")


class Passage(NamedTuple):
    """A chunk, and what the encoder reads for it: its title and headings, then its text."""

    chunk: Chunk
    embedded: str


@dataclass(frozen=True, slots=True)
class _Section:
    """A stretch of a document under one heading path and on one page."""

    start: int
    end: int
    heading: str
    page: int | None


class _Unit(NamedTuple):
    """The smallest piece that is kept whole: a sentence, or a part of one that is longer than a chunk."""

    start: int
    end: int
    tokens: int
    starts_block: bool


def chunk_document(document: Document, encoder: Encoder) -> Iterator[Passage]:
    """The document's passages, in order, made as they are asked for.

    Each `chunk.text` is `document.text[start:end]`; together they hold every character that is not white space. What
    the encoder is given for a chunk (`embedded`) fits its window.
    """
    limit = min(encoder.max_tokens, _DEFAULT_CHUNK_TOKENS)
    line = _LineCounter(document.text)
    for section in _sections(document):
        header, header_tokens = _header(document.title, section.heading, encoder, limit // _HEADER_SHARE)
        units = _units(document, section, encoder, limit - header_tokens)
        for start, end, tokens in _pack(units, limit - header_tokens):
            text = document.text[start:end]
            chunk = Chunk(
                text=text,
                source=document.source,
                title=document.title,
                heading=section.heading,
                page=section.page,
                start=start,
                end=end,
                line=line.at(start),
                tokens=tokens,
            )
            yield Passage(chunk, f"{header}\n{text}" if header else text)


def _sections(document: Document) -> Iterator[_Section]:
    """Cut at headings and at pages; a heading with nothing under it goes with the section that follows on its page."""
    text, headings = document.text, {heading.start: heading for heading in document.headings}
    cuts = sorted({0, *headings, *document.pages})
    page_ends = {*document.pages, len(text)}
    path: list[Heading] = []
    start = 0
    for cut, end in zip(cuts, [*cuts[1:], len(text)], strict=True):
        if cut in headings:
            path = [*(h for h in path if h.level < headings[cut].level), headings[cut]]
        if _has_body(text, cut, end, cut in headings) or (end in page_ends and _VISIBLE.search(text, start, end)):
            page = bisect_right(document.pages, cut) or None
            yield _Section(start, end, " > ".join(heading.text for heading in path), page)
            start = end
        elif not _VISIBLE.search(text, start, end):
            start = end


def _has_body(text: str, start: int, end: int, is_heading: bool) -> bool:
    """Whether anything but a heading stands there: its own line and one to underline it do not count."""
    if not is_heading:
        return _VISIBLE.search(text, start, end) is not None
    return len(list(islice(_LINE_OF_WORDS.finditer(text, start, end), 2))) == 2


def _units(document: Document, section: _Section, encoder: Encoder, limit: int) -> Iterator[_Unit]:
    """The section's sentences with their token counts, those that are too long cut at token boundaries."""
    for batch in _batches(_block_sentences(document, section)):
        offsets = encoder.token_offsets([document.text[start:end] for start, end, _ in batch])
        for (start, end, starts_block), tokens in zip(batch, offsets, strict=True):
            yield from _cut(start, end, starts_block, tokens, limit)


def _batches(sentences: Iterator[tuple[int, int, bool]]) -> Iterator[list[tuple[int, int, bool]]]:
    """Sentences by about `_CHARACTERS_AT_ONCE`, so that what a tokenizer gives back takes little memory."""
    batch: list[tuple[int, int, bool]] = []
    for start, end, starts_block in sentences:
        for part in range(start, end, _CHARACTERS_AT_ONCE):  # a "sentence" can be a file of one line
            batch.append((part, min(end, part + _CHARACTERS_AT_ONCE), starts_block and part == start))
            if batch[-1][1] - batch[0][0] >= _CHARACTERS_AT_ONCE:
                yield batch
                batch = []
    if batch:
        yield batch


def _block_sentences(document: Document, section: _Section) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether a paragraph, row, cell or definition starts here) for each sentence."""
    first = bisect_right(document.breaks, section.start)
    last = bisect_right(document.breaks, section.end - 1)
    for block_start, block_end in pairwise([section.start, *document.breaks[first:last], section.end]):
        previous = block_start
        for number, (start, end) in enumerate(sentence_spans(document.text[block_start:block_end])):
            gap = document.text[previous : block_start + start]
            yield block_start + start, block_start + end, number == 0 or "\n" in gap
            previous = block_start + end


def _cut(start: int, end: int, starts_block: bool, tokens: Sequence[tuple[int, int]], limit: int) -> Iterator[_Unit]:
    """A sentence as it is if it fits, else in parts that begin where a token begins."""
    # WordPiece calls a "word" of any length one unknown token: measured in tokens alone, a base64 blob would be one
    # chunk.
    places = [place for first, last in tokens for place in range(first, last, _LONGEST_TOKEN)]
    if len(places) <= limit:
        yield _Unit(start, end, max(1, len(places)), starts_block)
        return
    # A word cut in two can have more tokens than before: a little room keeps every part inside the limit.
    step = max(1, limit - 8)
    edges = [start, *(start + places[i] for i in range(step, len(places), step)), end]
    for part_start, part_end in pairwise(edges):
        yield _Unit(part_start, part_end, min(step, len(places)), starts_block and part_start == start)


def _pack(units: Iterator[_Unit], limit: int) -> Iterator[tuple[int, int, int]]:
    """Fill chunks with units as (start, end, tokens); one that is half full would rather end where a paragraph ends."""
    start = end = tokens = 0
    for unit in units:
        total = tokens + unit.tokens
        if tokens and (total > limit or (unit.starts_block and tokens > limit // 2 and total > limit * 3 // 4)):
            yield start, end, tokens
            tokens = 0
        start = start if tokens else unit.start
        end, tokens = unit.end, tokens + unit.tokens
    if tokens:
        yield start, end, tokens


def _header(title: str, heading: str, encoder: Encoder, limit: int) -> tuple[str, int]:
    """Title and headings, cut to `limit` tokens, and their number of tokens."""
    header = "\n".join(part for part in (title, heading) if part)
    [offsets] = encoder.token_offsets([header])
    if len(offsets) > limit:
        header, offsets = header[: offsets[limit][0]].rstrip(), offsets[:limit]
    return header, len(offsets)


class _LineCounter:
    """Line numbers for rising offsets, each part of the text counted once."""

    def __init__(self, text: str) -> None:
        self._text, self._offset, self._line = text, 0, 1

    def at(self, offset: int) -> int:
        self._line += self._text.count("\n", self._offset, offset)
        self._offset = offset
        return self._line
