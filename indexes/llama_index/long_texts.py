"""Texts of any length as vectors: what an encoder would cut off is encoded, too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexes.types import Encoder, Vectors


def embed_whole(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """Embed texts that may be longer than the encoder reads.

    llama-index's default splitter makes nodes of 1,024 tokens, of which an encoder with a window of 256 would see a
    quarter.

    Args:
        encoder: The encoder.
        texts: (n,) texts.

    Returns:
        (n, dimension) float32, rows of length 1. A text longer than the encoder's window is split at token boundaries,
        and its vector is the mean of those of its parts.
    """
    # Metadata may hold half a surrogate pair, which JSON can say and a tokenizer cannot read.
    readable = [text.encode(errors="replace").decode() for text in texts]
    parts = [_parts(*each, encoder.max_tokens) for each in zip(readable, encoder.token_offsets(readable), strict=True)]
    vectors = encoder.encode_passages([part for some in parts for part in some])
    if all(len(some) == 1 for some in parts):
        return vectors
    ends = np.cumsum([len(some) for some in parts])
    means = [vectors[end - len(some) : end].mean(axis=0) for some, end in zip(parts, ends, strict=True)]
    return np.stack([mean / (np.linalg.norm(mean) or 1.0) for mean in means]).astype(np.float32)


def _parts(text: str, offsets: Sequence[tuple[int, int]], longest: int) -> list[str]:
    """A text in parts of at most `longest` tokens, of about one length."""
    if len(offsets) <= longest:
        return [text]
    # A word that is cut takes other tokens than before, and may take more: each part has room for these.
    count = -(-len(offsets) // (longest - longest // 16))
    firsts = [offsets[len(offsets) * number // count][0] for number in range(1, count)]
    return [text[start:end] for start, end in zip([0, *firsts], [*firsts, len(text)], strict=True)]
