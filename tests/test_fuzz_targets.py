"""The targets of the fuzzer reach what they are to fuzz: each reads its own seed."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from longctx.engine import prefix_file


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `tests/fuzz/targets.py` defines; what a target replaces is put back."""
    monkeypatch.setattr(prefix_file, "hash_tensors", prefix_file.hash_tensors)
    return runpy.run_path(str(Path(__file__).parent / "fuzz" / "targets.py"))


@pytest.mark.parametrize("target", ["encoding", "prefix", "gguf"])
def test_a_target_reads_its_seed(target: str, targets: dict[str, Any]) -> None:
    seed = next(targets["seeds"](target))
    read = targets["TARGETS"][target]()
    assert read(seed) is not None
    read(seed[:-40])


def test_the_target_of_refusals_explains_errors_of_servers(targets: dict[str, Any]) -> None:
    from longctx.backends.openai import client

    read, explained = targets["TARGETS"]["refusal"](), []
    said_in = client.said_in
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(client, "said_in", lambda body: explained.append(said_in(body)) or said_in(body))
        read(b'\0{"error": {"message": "the lamp is out"}}')
    assert explained == ["the lamp is out"]
