"""Buffers that the model frees are used again, and returned when the engine forgets what it has read."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

import pytest
import torch

from longctx import Engine, LoadedModel

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
    page_faults(1)
    assert page_faults(10) < 2 * _BUFFER // os.sysconf("SC_PAGE_SIZE")
    engine.forget()


def test_an_engine_that_forgets_returns_memory(loaded: LoadedModel) -> None:
    engine = Engine(loaded)
    buffers = [torch.empty(_BUFFER, dtype=torch.uint8).fill_(1) for _ in range(5)]
    after, kept = torch.empty(1 << 20, dtype=torch.uint8), resident()
    del buffers
    engine.forget()
    assert resident() < kept - 4 * _BUFFER
    del after
