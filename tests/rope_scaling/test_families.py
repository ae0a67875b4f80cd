"""The logits of a model scaled by us equal those of the same model configured natively, in every family."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from rope_scaling import RopeScaling, scaled_rope

FAMILIES = ["llama", "llama2", "codellama", "elyza", "mistral", "qwen2", "qwen3", "phi3", "gpt_neox", "gemma"]
L = {"original_max_position_embeddings": 64}
YARN = RopeScaling(method="yarn", factor=4.0, **L)
# what transformers has natively, and how its configuration says it
NATIVE: dict[str, RopeScaling] = {
    "linear": RopeScaling(method="linear", factor=4.0),
    "yarn": YARN,
    "yarn, magnitude given": RopeScaling(method="yarn", factor=4.0, **L, attention_factor=0.8),
    "yarn, other ramp": RopeScaling(method="yarn", factor=4.0, **L, beta_fast=8.0, beta_slow=2.0, truncate=False),
    "llama3": RopeScaling(method="llama3", factor=4.0, **L, low_freq_factor=1.0, high_freq_factor=4.0),
}
# the toys' logits are about ±3: rounding in float32, and one unit in the last place of the others
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2.0**-6, torch.float16: 2.0**-8}

Make = Callable[..., Any]
Run = Callable[..., torch.Tensor]


def hf(scaling: RopeScaling, theta: float, part: float | None) -> dict[str, Any]:
    """transformers' own spelling, written out here without `to_rope_parameters`."""
    given = scaling.model_dump(exclude_none=True)
    name = given.pop("method")
    if name == "linear":
        given.pop("original_max_position_embeddings", None)
    own = {} if part is None else {"partial_rotary_factor": part}
    return {"rope_type": name, "rope_theta": theta, **own, **given}


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_equal_a_model_configured_natively(
    family: str, dtype: torch.dtype, family_model: Make, tokens: torch.Tensor, logits: Run
) -> None:
    if family == "phi3":
        scaling = phi3_longrope()
        ours = family_model(family, dtype, **phi3_changes(scaling))
        native = family_model(family, dtype, **phi3_changes(scaling))
        scaling = scaling.at_length(tokens.shape[1])
    else:
        scaling = YARN
        ours = family_model(family, dtype)
        own = ours.config.rope_parameters
        parameters = hf(scaling, own["rope_theta"], own.get("partial_rotary_factor"))
        native = family_model(family, dtype, rope_parameters=parameters, max_position_embeddings=256)
    want = logits(native, tokens)
    with scaled_rope(ours, scaling):
        got = logits(ours, tokens)
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), want.float(), rtol=0, atol=TOLERANCE[dtype])
    assert (logits(family_model(family, dtype), tokens) - want).abs().max() > 0.1  # the scaling does matter


@pytest.mark.parametrize("case", NATIVE)
@pytest.mark.parametrize("family", ["llama2", "codellama", "gpt_neox"])
def test_every_native_method(case: str, family: str, family_model: Make, tokens: torch.Tensor, logits: Run) -> None:
    ours = family_model(family)
    own = ours.config.rope_parameters
    parameters = hf(NATIVE[case], own["rope_theta"], own.get("partial_rotary_factor"))
    native = family_model(family, rope_parameters=parameters, max_position_embeddings=256)
    with scaled_rope(ours, NATIVE[case]):
        got = logits(ours, tokens)
    torch.testing.assert_close(got, logits(native, tokens), rtol=0, atol=2e-5)


def test_dynamic_ntk_equals_transformers_on_one_whole_sequence(
    family_model: Make, tokens: torch.Tensor, logits: Run
) -> None:
    native = family_model(rope_scaling={"type": "dynamic", "factor": 2.0})
    want = logits(native, tokens)
    ours = family_model()
    with scaled_rope(ours, RopeScaling(method="dynamic_ntk", factor=2.0, **L), seq_len=tokens.shape[1]):
        torch.testing.assert_close(logits(ours, tokens), want, rtol=0, atol=2e-5)


def phi3_longrope() -> RopeScaling:
    short, long = [1.0 + i / 10 for i in range(8)], [1.0 + i for i in range(8)]
    return RopeScaling(method="longrope", factor=4.0, **L, short_factor=short, long_factor=long)


def phi3_changes(scaling: RopeScaling) -> dict[str, Any]:
    factors = {name: list(getattr(scaling, name)) for name in ("short_factor", "long_factor")}
    return {"rope_scaling": {"rope_type": "longrope", **factors, **L}, "max_position_embeddings": 256}


@pytest.mark.parametrize("n", [40, 64, 65, 160])
def test_phi3_picks_its_factors_by_length(n: int, family_model: Make, tokens: torch.Tensor, logits: Run) -> None:
    model = family_model("phi3", **phi3_changes(phi3_longrope()))
    want = logits(model, tokens[:, :n])
    with scaled_rope(model, RopeScaling.from_config(model.config), seq_len=n):
        torch.testing.assert_close(logits(model, tokens[:, :n]), want, rtol=0, atol=2e-5)
