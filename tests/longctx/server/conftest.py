"""Servers for the tests of this folder: one a module, on the same documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from running_server import Running, running

DOCUMENTS = {
    "handbook.txt": "A red flag at the mast asks for a doctor. The lamp is lit at dusk.\nThe compressor needs eleven minutes.\n",
    "toudai.txt": "霧笛は一分ごとに五秒間鳴らす。灯台守は毎朝六時に灯具を点検する。\n",
}


@pytest.fixture(scope="module")
def index(make_index: Callable[[Mapping[str, str]], Path]) -> Path:
    return make_index(DOCUMENTS)


@pytest.fixture(scope="module")
def server(index: Path, saying: Callable) -> Iterator[Running]:
    """A server whose model always says the same."""
    with running(index, model=saying("A red flag at the mast asks for a doctor [1].")) as started:
        yield started
