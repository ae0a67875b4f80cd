"""BM25 in the form, and with the parameters, that tantivy and Lucene have, and with the lengths that they keep."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

_K1, _B = 1.2, 0.75
_EXACT_LENGTHS, _STEPS = 40, 8  # lengths are exact up to 40, and from there on in 8 steps to each doubling

Numbers = npt.NDArray[np.float64]


def idf(count: int, chunks: int) -> float:
    """Return the inverse document frequency of a term.

    Args:
        count: How many chunks contain it.
        chunks: How many there are.

    Returns:
        ln(1 + (N - n + 0.5) / (n + 0.5)).
    """
    return math.log(1 + (chunks - count + 0.5) / (count + 0.5))


def saturated(counts: npt.ArrayLike, lengths: npt.ArrayLike, average: float) -> Numbers:
    """Return what the frequency of a term in a chunk adds to the chunk's score, before weight and idf.

    Args:
        counts: How often chunks contain terms.
        lengths: The lengths of these chunks, in terms, or of the one.
        average: The mean length of a chunk.

    Returns:
        f (k1 + 1) / (f + k1 (1 - b + b l / l̄)), where l is rounded down as tantivy rounds it.
    """
    frequency = np.asarray(counts, dtype=np.float64)
    norms = (_K1 * (1 - _B + _B * _LENGTHS / average))[_step_of(np.asarray(lengths))]
    scores: Numbers = frequency * (_K1 + 1) / (frequency + norms)
    return scores


def _step_of(lengths: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """The last of `_LENGTHS` that is no larger, for each length."""
    if lengths.size and lengths.max() < len(_STEP_OF):
        usual: npt.NDArray[np.intp] = _STEP_OF[lengths]
        return usual
    steps: npt.NDArray[np.intp] = np.searchsorted(_LENGTHS, lengths, side="right") - 1
    return steps


def _length_table() -> Numbers:
    """The lengths that tantivy keeps in a byte: Lucene's, of a mantissa of 3 bits."""
    free = _EXACT_LENGTHS - 2 * _STEPS
    steps = [bits if bits < _STEPS else (bits % _STEPS + _STEPS) << (bits // _STEPS - 1) for bits in range(256 - free)]
    return np.array([*range(free), *(free + step for step in steps)], dtype=np.float64)


_LENGTHS = _length_table()
_STEP_OF = np.searchsorted(_LENGTHS, np.arange(4096), side="right") - 1  # which is looked up for usual lengths
