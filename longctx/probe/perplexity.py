"""Perplexity in sliding windows: how well the last tokens of a window are foretold. Knows a model and token ids."""

from __future__ import annotations

from longctx.engine import Engine
from longctx.probe.prompting import Ids
from longctx.probe.source import Source
from rope_scaling import RopeScaling

_STRIDE = 256  # tokens: the YaRN paper's (arXiv 2309.00071, section 4.3.1), after Press et al., arXiv 2108.12409


def stride(native_window: int) -> int:
    """How many tokens of each window are scored, and how far apart windows are.

    A quarter of a window that is not several times 256: or the scored tokens would have next to nothing before them.
    """
    return min(_STRIDE, native_window // 4)


def window_ids(source: Source, bos: int | None, length: int, window: int, step: int) -> Ids:
    """The tokens of a window: the last `step` are the same at every length, and it begins as the model's texts do."""
    begin = () if bos is None else (bos,)
    return (*begin, *source.ending(length - len(begin), window * step))


def window_loss(engine: Engine, ids: Ids, scored: int, scaling: RopeScaling | None) -> float:
    """The mean loss of the last `scored` tokens, in nats."""
    losses = engine.losses(ids, scored, scaling)
    return sum(losses) / len(losses)
