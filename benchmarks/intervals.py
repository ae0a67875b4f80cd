"""Shares with their intervals, as the tables of the benchmarks have them."""

from __future__ import annotations

from longctx.probe import wilson


def interval(right: int, trials: int) -> str:
    """The share that is right, with Wilson's 95 % interval."""
    low, high = wilson(right / trials, trials)
    return f"{right / trials:.3f} ({low:.2f}–{high:.2f})"
