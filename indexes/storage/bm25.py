"""BM25 in the form, and with the parameters, that tantivy and Lucene have."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
import numpy.typing as npt

NumberT = TypeVar("NumberT", float, npt.NDArray[np.float64])

_K1, _B = 1.2, 0.75


def idf(count: int, chunks: int) -> float:
    """Return the inverse document frequency of a term.

    Args:
        count: How many chunks contain it.
        chunks: How many there are.

    Returns:
        ln(1 + (N - n + 0.5) / (n + 0.5)).
    """
    return math.log(1 + (chunks - count + 0.5) / (count + 0.5))


def saturated(count: NumberT, length: NumberT, average: float) -> NumberT:
    """Return what the frequency of a term in a chunk adds to the chunk's score, before weight and idf.

    Args:
        count: How often the chunk contains the term.
        length: The length of the chunk, in terms.
        average: The mean length of a chunk.

    Returns:
        f (k1 + 1) / (f + k1 (1 - b + b l / l̄)).
    """
    return count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * length / average))
