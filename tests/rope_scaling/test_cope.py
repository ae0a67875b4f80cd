"""CoPE against its definition, pair by pair, and against transformers that read the exported checkpoint."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from rope_scaling import RopeFrequencies, RopeScaling, export_checkpoint, rope_frequencies, scaled_rope

L = {"original_max_position_embeddings": 64}
UNCLIPPED = {"cope": "default", "cope_ntk": "ntk", "cope_yarn": "yarn"}


def by_pair(method: str, clipped: int, dim: int, theta: float) -> list[float]:
    """The authors' rule in plain numbers: the base method's frequency, times a raised cosine for the last pairs."""
    factor = {} if method == "cope" else {"factor": 4.0}
    base = rope_frequencies(RopeScaling(method=UNCLIPPED[method], **factor, **L), dim, theta).inv_freq.tolist()
    expected = []
    for pair, frequency in enumerate(base):
        place = pair - (dim // 2 - clipped)  # 0 for the first clipped pair
        if place >= 0:
            frequency *= (1 + math.cos(math.pi * place / (clipped - 1))) / 2
        expected.append(frequency)
    return expected


@pytest.mark.parametrize("method", UNCLIPPED)
@pytest.mark.parametrize(("dim", "clipped", "theta"), [(128, 20, 500_000.0), (128, 7, 10_000.0), (32, 5, 10_000.0)])
def test_each_pair_is_as_the_authors_compute_it(method: str, dim: int, clipped: int, theta: float) -> None:
    scaling = RopeScaling(method=method, factor=4.0, clipped_pairs=clipped, **L)
    inv_freq, magnitude = rope_frequencies(scaling, dim, theta)
    torch.testing.assert_close(inv_freq, torch.tensor(by_pair(method, clipped, dim, theta)), rtol=1e-5, atol=1e-12)
    assert inv_freq[-1].abs() < 1e-12
    assert magnitude == pytest.approx(0.1 * math.log(4.0) + 1 if method == "cope_yarn" else 1.0)


def test_by_default_20_of_64_pairs_are_clipped_and_the_same_share_of_others() -> None:
    for dim, pairs in ((128, 20), (64, 10), (16, 2)):
        default = rope_frequencies(RopeScaling(method="cope", factor=2.0, **L), dim, 1e4)
        stated = rope_frequencies(RopeScaling(method="cope", factor=2.0, clipped_pairs=pairs, **L), dim, 1e4)
        assert torch.equal(default.inv_freq, stated.inv_freq)


@pytest.mark.parametrize("method", UNCLIPPED)
def test_transformers_reads_the_exported_checkpoint_as_the_scaled_model_computes(
    method: str, family_model, tokens: torch.Tensor, logits, tmp_path: Path
) -> None:
    model = family_model("llama2")
    model.save_pretrained(tmp_path / "native")
    scaling = RopeScaling(method=method, factor=4.0, **L)
    folder = export_checkpoint(tmp_path / "native", scaling, tmp_path / "scaled")
    with scaled_rope(model, scaling):
        want = logits(model, tokens)
    got = logits(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), tokens)
    torch.testing.assert_close(got, want, rtol=0, atol=2e-5)
    assert isinstance(rope_frequencies(scaling, 16, 1e4), RopeFrequencies)
