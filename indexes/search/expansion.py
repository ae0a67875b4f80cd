"""Expansion of hits by their neighbouring chunks, without overlaps between hits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from indexes.sources import is_file
from indexes.storage import StoreReader
from indexes.text import clean
from indexes.types import Chunk, SearchHit

Span = tuple[int, int]


def expand_hits(store: StoreReader, hits: Iterable[SearchHit], expand: int) -> Iterator[SearchHit]:
    """Widen hits by their neighbours, and cut off what a better hit already contains.

    Args:
        store: The store.
        hits: The hits, best first.
        expand: How many neighbouring chunks to widen each hit by, on either side.

    Yields:
        The hits. One whose own passage is in a better hit is left out; a llama-index node keeps its text.
    """
    taken: dict[str, list[Span]] = defaultdict(list)
    for hit in hits:
        chunk = hit.chunk
        parts = store.chunks_around(chunk, expand) if expand else [chunk]
        whole = (parts[0].start, parts[-1].end)
        free = _free(chunk, whole, taken[chunk.source]) if is_file(chunk.source) else whole
        if free is not None:
            taken[chunk.source].append(free)
            is_as_found = free == (chunk.start, chunk.end)
            yield hit if is_as_found else SearchHit(_cut(store, chunk, parts, free), hit.score)


def _free(chunk: Chunk, whole: Span, taken: Sequence[Span]) -> Span | None:
    """The part of `whole` outside the taken spans that has the most of the chunk; None if none has any of it."""
    free, start = [], whole[0]
    for first, end in sorted(taken):
        if start < end and first < whole[1]:
            free.append((start, first))
            start = end
    free.append((start, whole[1]))
    best = max(free, key=lambda span: _common(span, chunk))
    return best if _common(best, chunk) > 0 else None


def _common(span: Span, chunk: Chunk) -> int:
    """How many characters a span and a chunk have in common."""
    return min(span[1], chunk.end) - max(span[0], chunk.start)


def _cut(store: StoreReader, chunk: Chunk, parts: Sequence[Chunk], span: Span) -> Chunk:
    """A chunk of the text of a span, stripped, with the id and the heading of `chunk`."""
    original = store.text_around(chunk.id, *span)
    start = span[0] + len(original) - len(original.lstrip())
    original = original.strip()
    end, cleaned = start + len(original), clean(original)
    first = max((part for part in parts if part.start <= start), key=lambda part: part.start)
    line = first.line + clean(store.text_around(chunk.id, first.start, start)).text.count("\n")
    return replace(
        chunk,
        text=cleaned.text,
        start=start,
        end=end,
        page=first.page,
        line=line,
        tokens=_tokens(parts, start, end),
        shifts=cleaned.shifts,
        tables=tuple(dict.fromkeys(table for part in parts for table in part.tables)),
    )


def _tokens(parts: Sequence[Chunk], start: int, end: int) -> int:
    """An estimate of the tokens between two offsets; where parts overlap, they count once."""
    tokens = 0.0
    for part in parts:
        first, last = max(part.start, start), min(part.end, end)
        tokens += part.tokens * max(0, last - first) / (part.end - part.start)
        start = max(start, last)
    return round(tokens)
