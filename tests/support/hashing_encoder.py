"""An encoder for tests of everything but meaning, and code that other processes run with it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence

import numpy as np


class HashingEncoder:
    """Words to buckets: deterministic, fast, and the same in every process."""

    name, fingerprint, max_tokens, languages = "hashing", "1", 60, None

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[(i, min(i + 6, len(text))) for i in range(0, len(text), 6)] for text in texts]

    def encode_passages(self, texts: Sequence[str]):
        vectors = np.full((len(texts), 64), 1e-3, dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().split():
                row[hashlib.blake2b(word.encode(), digest_size=8).digest()[0] % 64] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode_query(self, text: str):
        return self.encode_passages([text])[0]


class OtherEncoder(HashingEncoder):
    name, fingerprint = "other", "2"


class CountingEncoder(HashingEncoder):
    """`embedded` are the passages that were embedded."""

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def encode_passages(self, texts: Sequence[str]):
        self.embedded += texts
        return super().encode_passages(texts)


def python(source: str) -> list[str]:
    """The command that runs code in a process of its own, with `HashingEncoder` and `CorpusIndex`."""
    start = "from hashing_encoder import HashingEncoder\nfrom indexes import CorpusIndex\n"
    return [sys.executable, "-c", f"import sys\nsys.path[:0] = {sys.path!r}\n{start}{source}"]
