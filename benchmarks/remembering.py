"""An encoder whose results are kept, for benchmarks of what is found and not of how fast."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from indexes import Encoder


class Remembering:
    """An encoder that encodes no query twice."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.encode_query = lru_cache(maxsize=None)(encoder.encode_query)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)
