"""Buffers that the model frees are used again, and returned when the engine forgets what it has read."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

import pytest
import torch

from longctx import Engine, LoadedModel, NotEnoughMemory

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library decides for itself")
_BUFFER = 40 << 20  # bytes: more than glibc keeps by itself


def page_faults(buffers: int) -> int:
    """How many pages the system clears for buffers that are filled one after the other."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(buffers):
        torch.empty(_BUFFER, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    """Bytes of this process that are in memory."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def test_the_buffers_of_a_prompt_are_used_again(loaded: LoadedModel) -> None:
    engine = Engine(loaded)
    # an aligned buffer needs a hole that is a little larger, so that up to eight are new ones
    assert page_faults(60) < 20 * _BUFFER // os.sysconf("SC_PAGE_SIZE")
    engine.forget()


def filled() -> list[torch.Tensor]:
    """Five buffers, and a small one behind them, which keeps what they leave from being the end of the heap."""
    return [torch.empty(size, dtype=torch.uint8).fill_(1) for size in (*[_BUFFER] * 5, 1 << 20)]


def test_an_engine_that_forgets_returns_memory(loaded: LoadedModel) -> None:
    engine = Engine(loaded)
    *buffers, behind = filled()
    before = resident()
    buffers.clear()
    engine.forget()
    assert resident() < before - 4 * _BUFFER
    del behind


def test_a_prompt_that_would_not_fit_returns_memory(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(loaded)
    *buffers, behind = filled()
    before = resident()
    buffers.clear()
    monkeypatch.setattr("longctx.models.memory.available_bytes", lambda _: 0)
    with pytest.raises(NotEnoughMemory):
        engine.prefix([5, 6, 7])
    assert resident() < before - 4 * _BUFFER
    del behind
