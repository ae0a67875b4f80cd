"""What a search shows of its hits: each with its neighbours, and no text twice. Writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from indexes.sources import is_file
from indexes.storage import StoreReader
from indexes.types import Chunk, SearchHit

Span = tuple[int, int]


def shown(store: StoreReader, hits: Iterable[SearchHit], expand: int) -> Iterator[SearchHit]:
    """The hits, each widened by `expand` neighbours on either side, and without what a better one shows already.

    One whose own passage is there already is left out. What was added through llama-index keeps the text it has.
    """
    taken: dict[str, list[Span]] = defaultdict(list)
    for hit in hits:
        chunk = hit.chunk
        parts = store.around(chunk, expand) if expand else [chunk]
        whole = (parts[0].start, parts[-1].end)
        free = _free(chunk, whole, taken[chunk.source]) if is_file(chunk.source) else whole
        if free == (chunk.start, chunk.end):
            taken[chunk.source].append(free)
            yield hit
        elif free is not None:
            taken[chunk.source].append(free)
            yield SearchHit(_stretch(store, chunk, parts, free), hit.score)


def _free(chunk: Chunk, whole: Span, taken: Sequence[Span]) -> Span | None:
    """Of the stretches of `whole` that are not taken, the one that has the most of the chunk; None if none has any."""
    free, start = [], whole[0]
    for first, end in sorted(taken):
        if start < end and first < whole[1]:
            free.append((start, first))
            start = end
    free.append((start, whole[1]))
    best = max(free, key=lambda span: _common(span, chunk))
    return best if _common(best, chunk) > 0 else None


def _common(span: Span, chunk: Chunk) -> int:
    """How many characters a stretch and a chunk have in common."""
    return min(span[1], chunk.end) - max(span[0], chunk.start)


def _stretch(store: StoreReader, chunk: Chunk, parts: Sequence[Chunk], span: Span) -> Chunk:
    """What stands there, without white space around it, as a chunk with the id and the heading of `chunk`.

    Its tokens are estimated where it has only a part of a chunk.
    """
    text = store.stretch(chunk.id, *span)
    start = span[0] + len(text) - len(text.lstrip())
    text = text.strip()
    first = max((part for part in parts if part.start <= start), key=lambda part: part.start)
    line = first.line + first.text.count("\n", 0, start - first.start)
    tokens = _tokens(parts, start, start + len(text))
    return replace(chunk, text=text, start=start, end=start + len(text), page=first.page, line=line, tokens=tokens)


def _tokens(parts: Sequence[Chunk], start: int, end: int) -> int:
    """The parts' tokens between two places, each place counted once."""
    tokens = 0.0
    for part in parts:
        first, last = max(part.start, start), min(part.end, end)
        tokens += part.tokens * max(0, last - first) / (part.end - part.start)
        start = max(start, last)
    return round(tokens)
