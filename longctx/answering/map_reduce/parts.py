"""Dividing documents into parts that fit one prompt each, for route `map`.

A part holds passages of one document, or several whole documents that are small. Where parts end does not depend on
what comes long before, so that a document that changes or is added does not move the ends of all parts after it: those
are not read again when the question is asked again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from zlib import crc32

from indexes import Chunk
from longctx.errors import ContextTooLong
from longctx.prompts import PromptWriter

_AT_ONCE = 256  # passages that are counted together
_ENDS = 2  # one document in so many ends a part that is half full


@dataclass(frozen=True, slots=True)
class Part:
    """Passages that are read in one prompt.

    Attributes:
        chunks: The passages, in the order of the documents.
        bare: What they take in a prompt, with the fences around documents and without their numbers.
        tokens: What they take with their numbers.
    """

    chunks: tuple[Chunk, ...]
    bare: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Room:
    """How many tokens the passages of a part may take.

    Attributes:
        wanted: The most, unless a single passage is longer.
        window: What the window holds beside the rest of the prompt and the notes.
    """

    wanted: int
    window: int


class Division:
    """Divides documents into parts.

    Args:
        writer: Counts tokens.
        room: What a part may take.

    Attributes:
        documents: For each document its source, its tokens and its number of passages.
    """

    def __init__(self, writer: PromptWriter, room: Room) -> None:
        self.documents: list[tuple[str, int, int]] = []
        self._writer, self._room = writer, room
        self._numbers = [0]  # tokens of the lines [1] to [n], together

    def parts(self, chunks: Sequence[Chunk]) -> list[Part]:
        """Divide passages.

        Args:
            chunks: The passages, document by document.

        Returns:
            The parts, in the order of the documents.

        Raises:
            ContextTooLong: If a passage does not fit the window.
        """
        parts: list[Part] = []
        shared: Part | None = None  # whole documents, with room for more
        for pieces in self._documents(chunks):
            joined = None if len(pieces) > 1 else self._joined(shared, pieces[0])
            if shared is not None and (joined is None or joined.tokens > self._room.wanted):
                parts.append(shared)
                joined = None if len(pieces) > 1 else pieces[0]
            if joined is None:
                parts += pieces
            elif 2 * joined.tokens >= self._room.wanted and _ends_part(joined.chunks[-1].source):
                parts.append(joined)
                joined = None
            shared = joined
        return parts if shared is None else [*parts, shared]

    def _documents(self, chunks: Sequence[Chunk]) -> Iterator[list[Part]]:
        """The parts of each document by itself."""
        counted = iter(self._counted(chunks))
        documents = [list(group) for _, group in groupby(chunks, key=lambda chunk: chunk.source)]
        fences = self._writer.fences([document[0].title for document in documents])
        for document, (opening, closing) in zip(documents, fences, strict=True):
            fence = len(opening) + len(closing)
            pieces, part = list[Part](), Part((), fence, fence)
            for chunk in document:
                tokens = next(counted)
                longer = self._part((*part.chunks, chunk), part.bare + tokens)
                if part.chunks and longer.tokens > self._room.wanted:
                    pieces.append(part)
                    longer = self._part((chunk,), fence + tokens)
                part = longer
                self._check(part)
            pieces.append(part)
            self.documents.append((document[0].source, sum(piece.bare for piece in pieces), len(document)))
            yield pieces

    def _check(self, part: Part) -> None:
        if part.tokens > self._room.window:
            raise ContextTooLong(
                f"a passage of {part.chunks[0].source} takes {part.tokens:,} tokens, and the window leaves "
                f"{max(0, self._room.window):,} for passages: use a model with a longer window, or ingest with shorter "
                "passages (--chunk-tokens)"
            )

    def _joined(self, one: Part | None, other: Part) -> Part:
        return other if one is None else self._part((*one.chunks, *other.chunks), one.bare + other.bare)

    def _part(self, chunks: tuple[Chunk, ...], bare: int) -> Part:
        count = len(chunks)
        if count >= len(self._numbers):
            self._numbers = [0]
            for number in self._writer.numbers(2 * count):
                self._numbers.append(self._numbers[-1] + len(number))
        return Part(chunks, bare, bare + self._numbers[count])

    def _counted(self, chunks: Sequence[Chunk]) -> Iterator[int]:
        for start in range(0, len(chunks), _AT_ONCE):
            texts = self._writer.texts([chunk.text_with_header for chunk in chunks[start : start + _AT_ONCE]])
            yield from map(len, texts)


def _ends_part(source: str) -> bool:
    """Whether a document ends a part that is half full: by its name alone, wherever its folder is."""
    return crc32(source.rpartition("/")[2].encode(errors="replace")) % _ENDS == 0
