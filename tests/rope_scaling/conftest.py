"""Toy models of every family, with their real architectures; made on the spot, nothing is downloaded."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    CodeGenConfig,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
)

SIZES: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
WINDOW = 64  # the original window of every toy, in tokens: long enough for YaRN's ramp to lie inside

FAMILIES: dict[str, tuple[type, dict[str, Any]]] = {
    "llama": (LlamaConfig, {}),
    "llama2": (LlamaConfig, {"num_key_value_heads": 2}),
    "codellama": (LlamaConfig, {"num_key_value_heads": 2, "rope_theta": 1_000_000.0}),
    "elyza": (LlamaConfig, {"vocab_size": 45_043}),
    "mistral": (MistralConfig, {"num_key_value_heads": 2, "sliding_window": None}),
    "qwen2": (Qwen2Config, {"num_key_value_heads": 2, "rope_theta": 1_000_000.0}),
    "qwen3": (Qwen3Config, {"num_key_value_heads": 2, "head_dim": 32, "rope_theta": 1_000_000.0}),
    "phi3": (Phi3Config, {"num_key_value_heads": 2, "original_max_position_embeddings": WINDOW}),
    "gpt_neox": (GPTNeoXConfig, {"rotary_pct": 0.5}),
    "gemma": (GemmaConfig, {"num_key_value_heads": 1, "head_dim": 32}),
}


def make_config(family: str, **changes: Any) -> Any:
    config_class, own = FAMILIES[family]
    return config_class(**{**SIZES, "max_position_embeddings": WINDOW, **own, **changes})


def make_model(config: Any, dtype: torch.dtype = torch.float32) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()  # frequencies stay float32
    # random weights of the usual size give attention that is nearly flat; these make it depend on position
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return model


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Toys are too small to share among threads, which on a busy machine wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def family_config() -> Callable[..., Any]:
    return make_config


@pytest.fixture
def family_model() -> Callable[..., Any]:
    """`family_model("llama2", rope_scaling=...)`: a toy model, the same weights each time."""

    def make(family: str = "llama2", dtype: torch.dtype = torch.float32, **changes: Any) -> Any:
        return make_model(make_config(family, **changes), dtype)

    return make


@pytest.fixture
def tokens() -> torch.Tensor:
    """A sequence of 160 token ids, two and a half times the toys' window: (1, 160)."""
    return torch.randint(3, 97, (1, 160), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def logits() -> Callable[..., torch.Tensor]:
    @torch.no_grad()
    def run(model: Any, input_ids: torch.Tensor, **inputs: Any) -> torch.Tensor:
        return model(input_ids, **inputs).logits

    return run


@pytest.fixture
def other_models() -> dict[str, Any]:
    """Models that cannot be scaled: no RoPE, another layout, frequencies for each type of layer."""
    torch.manual_seed(0)
    small = {"vocab_size": 97, "n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 64}
    layers = {
        "head_dim": 16,
        "layer_types": ["sliding_attention", "full_attention"],
        "num_key_value_heads": 2,
    }
    return {
        "gpt2": AutoModelForCausalLM.from_config(GPT2Config(**small)),
        "codegen": AutoModelForCausalLM.from_config(CodeGenConfig(**small, n_ctx=64, rotary_dim=8)),
        "gemma3": AutoModelForCausalLM.from_config(Gemma3TextConfig(**SIZES, **layers, max_position_embeddings=WINDOW)),
        "cohere": AutoModelForCausalLM.from_config(
            AutoConfig.for_model("cohere", **SIZES, max_position_embeddings=WINDOW)
        ),
    }
