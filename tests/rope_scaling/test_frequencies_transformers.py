"""Frequencies against transformers' own functions, for the methods that it has."""

from typing import Any

import pytest
import torch
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from rope_scaling import RopeScaling, rope_frequencies

THETAS = [10_000.0, 500_000.0, 1_000_000.0]
HF_PARAMETERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "linear": ({"method": "linear", "factor": 8.0}, {"factor": 8.0}),
    "yarn": ({"method": "yarn", "factor": 8.0}, {"factor": 8.0}),
    "yarn, betas": (
        {"method": "yarn", "factor": 8.0, "beta_fast": 20.0, "beta_slow": 2.0},
        {"factor": 8.0, "beta_fast": 20.0, "beta_slow": 2.0},
    ),
    "yarn, no truncation": (
        {"method": "yarn", "factor": 8.0, "truncate": False},
        {"factor": 8.0, "truncate": False},
    ),
    "yarn, attention factor": (
        {"method": "yarn", "factor": 8.0, "attention_factor": 0.7},
        {"factor": 8.0, "attention_factor": 0.7},
    ),
    "yarn, both mscales": (
        {"method": "yarn", "factor": 40.0, "mscale": 0.707, "mscale_all_dim": 1.0},
        {"factor": 40.0, "mscale": 0.707, "mscale_all_dim": 1.0},
    ),
    "yarn, one mscale": (
        {"method": "yarn", "factor": 40.0, "mscale": 0.707},
        {"factor": 40.0, "mscale": 0.707},
    ),
    "llama3": (
        {"method": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
        {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
    ),
}


@pytest.mark.parametrize("case", HF_PARAMETERS)
@pytest.mark.parametrize("theta", THETAS)
def test_equal_to_transformers(case: str, theta: float) -> None:
    ours, theirs = HF_PARAMETERS[case]
    window = 4096
    rope_type = case.split(",")[0]
    extra = {} if rope_type == "linear" else {"original_max_position_embeddings": window}
    config = LlamaConfig(
        hidden_size=1024,
        num_attention_heads=8,
        max_position_embeddings=round(window * theirs["factor"]),
        rope_parameters={"rope_type": rope_type, "rope_theta": theta, **extra, **theirs},
    )
    want, want_factor = ROPE_INIT_FUNCTIONS[rope_type](config)
    got = rope_frequencies(RopeScaling(**ours, original_max_position_embeddings=window), 128, theta)
    torch.testing.assert_close(got.inv_freq, want, rtol=2e-6, atol=0)
    assert got.attention_factor == pytest.approx(want_factor, rel=1e-9)


@pytest.mark.parametrize("n", [100, 4096, 6000, 131_072])
def test_dynamic_ntk_and_longrope_equal_transformers_at_one_length(n: int) -> None:
    window = 4096
    sizes: dict[str, Any] = {"hidden_size": 1024, "num_attention_heads": 8}
    dynamic = LlamaConfig(
        **sizes, max_position_embeddings=window, rope_parameters={"rope_type": "dynamic", "factor": 3.0}
    )
    want, _ = ROPE_INIT_FUNCTIONS["dynamic"](dynamic, seq_len=n)
    ours = RopeScaling(method="dynamic_ntk", factor=3.0, original_max_position_embeddings=window).at_length(n)
    torch.testing.assert_close(rope_frequencies(ours, 128, 10_000.0).inv_freq, want, rtol=2e-6, atol=0)

    factors = {"short_factor": [1.0 + i / 64 for i in range(64)], "long_factor": [1.0 + i for i in range(64)]}
    long = LlamaConfig(
        **sizes,
        max_position_embeddings=32 * window,
        rope_parameters={
            "rope_type": "longrope",
            "factor": 32.0,
            "original_max_position_embeddings": window,
            **factors,
        },
    )
    want, want_factor = ROPE_INIT_FUNCTIONS["longrope"](long, seq_len=n)
    ours = RopeScaling(method="longrope", factor=32.0, original_max_position_embeddings=window, **factors).at_length(n)
    got = rope_frequencies(ours, 128, 10_000.0)
    torch.testing.assert_close(got.inv_freq, want, rtol=2e-6, atol=0)
    assert got.attention_factor == pytest.approx(want_factor, rel=1e-9)
