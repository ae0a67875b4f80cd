"""Chunking: documents are split by structure first, then by sentences, never longer than the encoder's window."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from indexes.chunking.chunking import DEFAULT_CHUNKING, Chunking
from indexes.chunking.lengths import TokenOffsets, token_offsets_for
from indexes.chunking.sections import Section, sections
from indexes.offsets import original_span
from indexes.text import CleanText, clean, cut_places, row_spans, sentence_spans
from indexes.types import Chunk, Document, Encoder, Heading, Table, tables_between

_HEADER_SHARE = 4  # title and headings get at most a quarter of the encoder's window
_CHARACTERS_AT_ONCE = 65_536  # given to the tokenizer in one call
_LONGEST_TOKEN = 32  # characters; a longer one counts as several
_SLACK = 8  # tokens: a word cut in two can have more than before
_LONGEST_GAP = 256  # characters of white space that a chunk goes on behind


class Passage(NamedTuple):
    """A chunk, and the text that is embedded for it: its title and headings, then its own text."""

    chunk: Chunk
    embedded: str


class _Unit(NamedTuple):
    """The smallest piece that is kept whole: a sentence, or a part of one that is longer than a chunk."""

    start: int
    end: int
    tokens: int
    gap: int  # tokens of the white space before it
    starts_block: bool
    is_whole: bool


def chunk_document(document: Document, encoder: Encoder, chunking: Chunking = DEFAULT_CHUNKING) -> Iterator[Passage]:
    """Split a document into chunks.

    Args:
        document: The document.
        encoder: The encoder, whose tokenizer counts tokens, and whose window limits the text embedded for a chunk.
        chunking: The size of chunks and their overlap.

    Yields:
        The chunks, in order. Each `chunk.text` is `document.text[start:end]`, put right; together they have every
        character that is not white space. None has more than 32 characters a token.

    Raises:
        CorpusError: For a `chunking` that does not fit the encoder.
    """
    limit = chunking.longest(encoder)
    original, cleaned = document.text, clean(document.text)
    document = _cleaned(document, cleaned)
    token_offsets = token_offsets_for(document.text, encoder)
    line, counted = 1, 0  # the line number, and the offset up to which lines are counted
    for section in sections(document):
        header, header_tokens = _header(document.title, section.heading, encoder, limit // _HEADER_SHARE)
        tables = tables_between(document.tables, section.start, section.end)
        columns = [(table, *_header("", table.header, encoder, limit // _HEADER_SHARE)) for table in tables]
        room = limit - header_tokens - max((count for _, _, count in columns), default=0)
        for start, end, tokens in _pack(_units(document, section, token_offsets, room), room, chunking.overlap):
            line, counted = line + document.text.count("\n", counted, start), start
            first, last = original_span(cleaned.shifts, start, end)
            part = clean(original[first:last])
            chunk = Chunk(
                text=part.text,
                source=document.source,
                title=document.title,
                heading=section.heading,
                page=section.page,
                start=first,
                end=last,
                line=line,
                tokens=tokens,
                shifts=part.shifts,
            )
            above = next((text for table, text, _ in columns if table.start <= start < table.end), "")
            yield Passage(chunk, "\n".join(filter(None, (header, above, part.text))))


def _cleaned(document: Document, cleaned: CleanText) -> Document:
    """A document with its text put right, and its offsets with it."""
    if cleaned.text == document.text:
        return document
    at = cleaned.offset
    return replace(
        document,
        text=cleaned.text,
        headings=tuple(Heading(at(each.start), each.level, clean(each.text).text) for each in document.headings),
        pages=tuple(map(at, document.pages)),
        breaks=tuple(map(at, document.breaks)),
        tables=tuple(Table(at(each.start), at(each.end), clean(each.header).text) for each in document.tables),
    )


def embedded_text(chunk: Chunk, encoder: Encoder, chunking: Chunking = DEFAULT_CHUNKING) -> str:
    """The text that is embedded for a chunk.

    Args:
        chunk: The chunk.
        encoder: The encoder.
        chunking: How its document was split.

    Returns:
        What `Passage.embedded` was.
    """
    header, _ = _header(chunk.title, chunk.heading, encoder, chunking.longest(encoder) // _HEADER_SHARE)
    return f"{header}\n{chunk.text}" if header else chunk.text


def _units(document: Document, section: Section, token_offsets: TokenOffsets, limit: int) -> Iterator[_Unit]:
    """A section's sentences with their token counts; those that are too long are split at token boundaries."""
    text, previous = document.text, section.start
    for batch in _batches(_block_sentences(document, section)):
        ends = [previous, *(end for _, end, _ in batch)]
        gaps = [text[end : min(start, end + _LONGEST_GAP)] for end, (start, _, _) in zip(ends, batch, strict=False)]
        kinds = list(dict.fromkeys(gaps))
        found = token_offsets([*kinds, *(text[start:end] for start, end, _ in batch)])
        cost = {gap: max(len(tokens), len(gap) // _LONGEST_TOKEN) for gap, tokens in zip(kinds, found, strict=False)}
        for (start, end, starts_block), gap, tokens in zip(batch, gaps, found[len(kinds) :], strict=True):
            before = limit if len(gap) == _LONGEST_GAP else cost[gap]
            yield from _cut(text[start:end], start, before, starts_block, tokens, limit)
        previous = ends[-1]


def _batches(sentences: Iterator[tuple[int, int, bool]]) -> Iterator[list[tuple[int, int, bool]]]:
    """Sentences in batches of about `_CHARACTERS_AT_ONCE`, so that the tokenizer's output takes little memory."""
    batch: list[tuple[int, int, bool]] = []
    for start, end, starts_block in sentences:
        for part in range(start, end, _CHARACTERS_AT_ONCE):  # a "sentence" can be a file of one line
            batch.append((part, min(end, part + _CHARACTERS_AT_ONCE), starts_block and part == start))
            if batch[-1][1] - batch[0][0] >= _CHARACTERS_AT_ONCE:
                yield batch
                batch = []
    if batch:
        yield batch


def _block_sentences(document: Document, section: Section) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether a paragraph, row, cell or definition starts here) for each sentence, or row of a table."""
    text, tables = document.text, document.tables
    first = bisect_right(document.breaks, section.start)
    last = bisect_right(document.breaks, section.end - 1)
    edges = {section.start, section.end, *document.breaks[first:last]}
    edges |= {edge for table in tables_between(tables, section.start, section.end) for edge in (table.start, table.end)}
    for start, end in pairwise(sorted(edge for edge in edges if section.start <= edge <= section.end)):
        place = bisect_right(tables, start, key=attrgetter("start"))
        if place and start < tables[place - 1].end:
            yield from ((*span, True) for span in row_spans(text, start, end))
            continue
        previous = start
        for number, (begin, stop) in enumerate(sentence_spans(text, start, end)):
            yield begin, stop, number == 0 or text.find("\n", previous, begin) >= 0
            previous = stop


def _cut(
    text: str, start: int, gap: int, starts_block: bool, tokens: Sequence[tuple[int, int]], limit: int
) -> Iterator[_Unit]:
    """The sentence at `start` as it is if it fits, else in parts that begin where a token begins."""
    places = _places(tokens, len(text))
    if len(places) <= limit:
        yield _Unit(start, start + len(text), max(1, len(places)), gap, starts_block, True)
        return
    cuts = cut_places(text, places, max(1, limit - _SLACK))
    for first, last in pairwise([0, *cuts, len(text)]):
        count = bisect_left(places, last) - bisect_left(places, first)
        end = first + len(text[first:last].rstrip())
        before = gap if first == 0 else 0
        starts = starts_block and first == 0
        yield _Unit(start + first, start + end, min(limit, count + _SLACK), before, starts, False)


def _places(tokens: Sequence[tuple[int, int]], length: int) -> list[int]:
    """Where a sentence may be cut: at its tokens, and in what is long by characters alone."""
    # To WordPiece a "word" of any length is one unknown token, and combining marks are none: by tokens alone, a base64
    # blob would be one chunk, and so would 200,000 accents.
    places: list[int] = []
    end = 0
    for first, last in [*tokens, (length, length)]:
        if first - end > _LONGEST_TOKEN:
            places += range(end, first, _LONGEST_TOKEN)
        places += range(max(first, end), last, _LONGEST_TOKEN)
        end = max(end, last)
    return places


def _pack(units: Iterator[_Unit], limit: int, overlap: int) -> Iterator[tuple[int, int, int]]:
    """Fill chunks with units, as (start, end, tokens); a chunk over half full prefers to end with a paragraph."""
    held: list[_Unit] = []
    tokens = shared = 0  # tokens in `held`, and how many of them the previous chunk has, too
    for unit in units:
        total = tokens + unit.tokens + (unit.gap if held else 0)
        if tokens > shared and (
            total > limit or (unit.starts_block and tokens > limit // 2 and total > limit * 3 // 4)
        ):
            yield held[0].start, held[-1].end, tokens
            held = _last(held, min(overlap, limit - unit.gap - unit.tokens))
            shared = _tokens(held)
            total = _tokens([*held, unit])
        held.append(unit)
        tokens = total
    if tokens > shared:
        yield held[0].start, held[-1].end, tokens


def _last(units: list[_Unit], room: int) -> list[_Unit]:
    """The last sentences that have at most `room` tokens; never all of them."""
    first = len(units)
    while first > 1 and units[first - 1].is_whole and _tokens(units[first - 1 :]) <= room:
        first -= 1
    return units[first:]


def _tokens(units: Sequence[_Unit]) -> int:
    """The tokens of units that follow each other, with the white space between them."""
    return sum(unit.tokens for unit in units) + sum(unit.gap for unit in units[1:])


def _header(title: str, heading: str, encoder: Encoder, limit: int) -> tuple[str, int]:
    """Title and headings, cut to `limit` tokens, and their number of tokens."""
    header = "\n".join(part for part in (title, heading) if part)
    [offsets] = encoder.token_offsets([header])
    if len(offsets) > limit:
        header, offsets = header[: offsets[limit][0]].rstrip(), offsets[:limit]
    return header, len(offsets)
