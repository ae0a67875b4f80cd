"""The size of chunks, and their overlap."""

from __future__ import annotations

import json
from dataclasses import dataclass

from indexes.errors import CorpusError
from indexes.types import Encoder

_DEFAULT_CHUNK_TOKENS = 256  # retrieval is better with short passages even if the encoder's window is longer


_FEWEST_TOKENS = 32


@dataclass(frozen=True, slots=True)
class Chunking:
    """The size of chunks and their overlap. Raises CorpusError for values that cannot be.

    Attributes:
        tokens: The most tokens of a chunk, with its title and headings; None is the encoder's window, and at most 256.
        overlap: The most tokens that a chunk shares with the one before it, in whole sentences; up to half of a chunk.
    """

    tokens: int | None = None
    overlap: int = 0

    def __post_init__(self) -> None:
        if self.tokens is not None and self.tokens < _FEWEST_TOKENS:
            raise CorpusError(f"chunks of {self.tokens} tokens say too little: ask for at least {_FEWEST_TOKENS}")
        if self.overlap < 0:
            raise CorpusError(f"the overlap is {self.overlap}: ask for 0 or more tokens")
        if self.tokens is not None:
            self._check_overlap(self.tokens)

    def longest(self, encoder: Encoder) -> int:
        """Return the most tokens of a chunk for an encoder.

        Args:
            encoder: The encoder.

        Returns:
            `tokens`, or the default for the encoder's window.

        Raises:
            CorpusError: For more tokens than the encoder reads, or too much overlap.
        """
        if self.tokens is not None and self.tokens > encoder.max_tokens:
            raise CorpusError(
                f"the encoder {encoder.name} reads {encoder.max_tokens} tokens, and would not see the end of chunks of "
                f"{self.tokens}: ask for at most {encoder.max_tokens} (--chunk-tokens)"
            )
        tokens = self.tokens or min(encoder.max_tokens, _DEFAULT_CHUNK_TOKENS)
        self._check_overlap(tokens)
        return tokens

    def dump(self) -> str:
        """Return it as text, for `load`; empty for the default."""
        return "" if self == Chunking() else json.dumps([self.tokens, self.overlap])

    @classmethod
    def load(cls, text: str) -> Chunking:
        """Parse the text of `dump`.

        Args:
            text: The text.

        Returns:
            The same chunking.
        """
        return cls(*json.loads(text)) if text else cls()

    def _check_overlap(self, tokens: int) -> None:
        if self.overlap > tokens // 2:
            raise CorpusError(
                f"an overlap of {self.overlap} tokens is more than half of a chunk of {tokens}: ask for at most "
                f"{tokens // 2} (--overlap), or for longer chunks (--chunk-tokens)"
            )


DEFAULT_CHUNKING = Chunking()
