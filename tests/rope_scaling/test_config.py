"""Reading the RoPE of checkpoints in the wild, and writing it for transformers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import AutoConfig, DeepseekV3Config, GPTNeoXConfig, LlamaConfig, Phi3Config, Qwen2Config

from rope_scaling import (
    METHODS,
    InvalidScaling,
    LengthNeeded,
    RopeScaling,
    UnsupportedConfig,
    read_base,
    rope_frequencies,
)

YARN_LLAMA_2_128K: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "max_position_embeddings": 4096,
    "auto_map": {"AutoModelForCausalLM": "modeling_llama_together_yarn.LlamaForCausalLM"},
    "rope_scaling": {
        "type": "yarn",
        "factor": 32.0,
        "original_max_position_embeddings": 4096,
        "finetuned": True,
    },
}
PAIRS = 48
PHI3_128K: dict[str, Any] = {
    "model_type": "phi3",
    "hidden_size": 3072,
    "num_attention_heads": 32,
    "max_position_embeddings": 131_072,
    "original_max_position_embeddings": 4096,
    "rope_theta": 10_000.0,
    "rope_scaling": {"type": "su", "short_factor": [1.05] * PAIRS, "long_factor": [20.0] * PAIRS},
}
LLAMA_3_1: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "max_position_embeddings": 131_072,
    "rope_theta": 500_000.0,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
}


def yarn(factor: float, original: int, **more: Any) -> RopeScaling:
    return RopeScaling(method="yarn", factor=factor, original_max_position_embeddings=original, **more)


def from_mapping(config: dict[str, Any]) -> Any:
    return LlamaConfig(**{name: value for name, value in config.items() if name != "model_type"})


def test_yarn_llama_2_128k() -> None:
    for config in (YARN_LLAMA_2_128K, from_mapping(YARN_LLAMA_2_128K)):
        assert RopeScaling.from_config(config) == yarn(32.0, 4096)
    base = read_base(from_mapping(YARN_LLAMA_2_128K))
    assert (base.theta, base.rotary_dim, base.window) == (10_000.0, 128, 4096)


def test_qwens_readme() -> None:
    """Its model cards keep max_position_embeddings at the original window and put the type under `type`."""
    config = Qwen2Config(
        max_position_embeddings=32_768,
        rope_theta=1_000_000.0,
        rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768},
    )
    assert RopeScaling.from_config(config) == yarn(4.0, 32_768)
    assert read_base(config).theta == 1_000_000.0


def test_llama_3_1() -> None:
    want = RopeScaling(
        method="llama3",
        factor=8.0,
        original_max_position_embeddings=8192,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
    )
    assert RopeScaling.from_config(LLAMA_3_1) == want
    assert RopeScaling.from_config(from_mapping(LLAMA_3_1)) == want
    assert read_base(from_mapping(LLAMA_3_1)).theta == 500_000.0


@pytest.mark.parametrize("name", ["su", "longrope", "yarn"])
def test_phi3_under_each_of_its_names(name: str) -> None:
    """The factor is stated nowhere: it is the ratio of the two windows, as Phi-3's own code has it."""
    config = {**PHI3_128K, "rope_scaling": {**PHI3_128K["rope_scaling"], "type": name}}
    scaling = RopeScaling.from_config(config)
    assert scaling.method == "longrope"
    assert (scaling.factor, scaling.original_max_position_embeddings) == (32.0, 4096)
    assert scaling.long_factor == (20.0,) * PAIRS
    assert scaling.short_factor == (1.05,) * PAIRS


def test_phi3_as_transformers_holds_it() -> None:
    rope = {**PHI3_128K["rope_scaling"], "type": "longrope", "rope_type": "longrope"}
    config = Phi3Config(**{**PHI3_128K, "rope_scaling": rope})
    assert RopeScaling.from_config(config) == RopeScaling.from_config(PHI3_128K)


def test_deepseeks_magnitude() -> None:
    config = DeepseekV3Config(
        max_position_embeddings=163_840,
        rope_parameters={
            "rope_type": "yarn",
            "rope_theta": 10_000.0,
            "factor": 40.0,
            "original_max_position_embeddings": 4096,
            "beta_fast": 32,
            "beta_slow": 1,
            "mscale": 1.0,
            "mscale_all_dim": 1.0,
        },
    )
    scaling = RopeScaling.from_config(config)
    assert scaling == yarn(40.0, 4096, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0)
    assert rope_frequencies(scaling, 64, 10_000.0).attention_factor == 1.0


def test_transformers_dynamic_is_our_dynamic_ntk() -> None:
    config = LlamaConfig(max_position_embeddings=4096, rope_scaling={"type": "dynamic", "factor": 2.0})
    want = RopeScaling(method="dynamic_ntk", factor=2.0, original_max_position_embeddings=4096)
    assert RopeScaling.from_config(config) == want
    config.original_max_position_embeddings = 2048  # which transformers' dynamic type does not look at
    assert RopeScaling.from_config(config) == want


def test_linear_and_none() -> None:
    linear = LlamaConfig(rope_scaling={"type": "linear", "factor": 4.0})
    assert RopeScaling.from_config(linear) == RopeScaling(method="linear", factor=4.0)
    assert RopeScaling.from_config(LlamaConfig()) == RopeScaling(method="default")
    assert RopeScaling.from_config({"model_type": "llama"}) == RopeScaling(method="default")


def test_a_partial_rotation() -> None:
    config = GPTNeoXConfig(hidden_size=512, num_attention_heads=8, rotary_pct=0.25, rotary_emb_base=25_000)
    base = read_base(config)
    assert (base.rotary_dim, base.theta, base.partial_rotary_factor) == (16, 25_000.0, 0.25)


@pytest.mark.parametrize("rope_type", ["yarn", "llama3", "longrope"])
def test_a_missing_original_window_is_not_guessed(rope_type: str) -> None:
    config = {"max_position_embeddings": 131_072, "rope_scaling": {"rope_type": rope_type, "factor": 32.0}}
    with pytest.raises(UnsupportedConfig, match=r"original_max_position_embeddings.*131072.*no substitute"):
        RopeScaling.from_config(config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"rope_scaling": {"type": "fancy", "factor": 2.0}}, "rope_type is 'fancy'.*longrope"),
        ({"rope_scaling": {"type": "default", "mrope_section": [1, 2]}}, r"mrope_section=\[1, 2\]"),
        ({"rope_parameters": {"full_attention": {"rope_type": "default"}}}, "each type of layer"),
        (AutoConfig.for_model("gpt2"), "GPT2Config has no rotary embedding"),
    ],
)
def test_what_is_not_understood_is_refused(config: Any, message: str) -> None:
    with pytest.raises(UnsupportedConfig, match=message):
        RopeScaling.from_config(config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"rope_parameters": {"rope_type": "default"}}, "rope_theta is None"),
        ({"rope_theta": 1e4}, "neither head_dim nor num_attention_heads"),
        ({"rope_theta": 1e4, "head_dim": 64}, "no max_position_embeddings"),
    ],
)
def test_a_base_that_is_not_stated_is_refused(config: Any, message: str) -> None:
    with pytest.raises(UnsupportedConfig, match=message):
        read_base(config)


def scaling_of(method: str) -> RopeScaling:
    more: dict[str, Any] = {}
    if "factor" in METHODS[method].required:
        more["factor"] = 4.0
    if method == "longrope":
        more |= {"short_factor": [1.0 + i / 9 for i in range(8)], "long_factor": [2.0 + i for i in range(8)]}
    return RopeScaling(method=method, original_max_position_embeddings=64, **more)


@pytest.mark.parametrize("theta", [10_000.0, 1_000_000.0])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_written_gives_the_same_frequencies_in_transformers(method: str, theta: float) -> None:
    """By way of a configuration that transformers validates; θ travels inside it."""
    scaling = scaling_of(method).at_length(250)
    parameters = scaling.to_rope_parameters(rope_theta=theta, rotary_dim=16)
    config = LlamaConfig(hidden_size=64, num_attention_heads=4, max_position_embeddings=256, rope_parameters=parameters)
    read, base = RopeScaling.from_config(config), read_base(config)
    got = rope_frequencies(read.at_length(250), base.rotary_dim, base.theta)
    want = rope_frequencies(scaling, 16, theta)
    torch.testing.assert_close(got.inv_freq, want.inv_freq, rtol=1e-6, atol=1e-29)  # CoPE: a factor cannot give 0
    assert got.attention_factor == pytest.approx(want.attention_factor, rel=1e-12)
    if method in ("default", "linear", "yarn", "llama3"):
        assert parameters["rope_theta"] == theta


def test_the_issues_example() -> None:
    parameters = yarn(32.0, 4096).to_rope_parameters(rope_theta=10_000.0)
    assert parameters == {
        "rope_type": "yarn",
        "rope_theta": 10_000.0,
        "factor": 32.0,
        "original_max_position_embeddings": 4096,
    }


def test_writing_asks_for_what_it_needs() -> None:
    with pytest.raises(InvalidScaling, match="give rotary_dim"):
        scaling_of("ntk").to_rope_parameters(rope_theta=1e4)
    with pytest.raises(LengthNeeded, match="at_length"):
        scaling_of("dynamic_yarn").to_rope_parameters(rope_theta=1e4)
    assert scaling_of("dynamic_ntk").to_rope_parameters(rope_theta=1e4)["rope_type"] == "dynamic"


@pytest.mark.parametrize(
    ("family", "rotary_dim", "theta"),
    [
        ("llama", 16, 1e4),
        ("codellama", 16, 1e6),
        ("qwen3", 32, 1e6),
        ("phi3", 16, 1e4),
        ("gpt_neox", 8, 1e4),
        ("gemma", 32, 1e4),
    ],
)
def test_the_base_of_families(family: str, rotary_dim: int, theta: float, family_config: Callable[..., Any]) -> None:
    base = read_base(family_config(family))
    assert (base.rotary_dim, base.theta, base.window) == (rotary_dim, theta, 64)
    assert RopeScaling.from_config(family_config(family)).method == "default"
