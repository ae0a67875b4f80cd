"""The shapes of LLaMA, Llama 2 and Code Llama, known by their names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_SIZES = {  # hidden size, intermediate size, layers, heads, KV heads
    "7": (4096, 11008, 32, 32, 32),
    "13": (5120, 13824, 40, 40, 40),
    "30": (6656, 17920, 60, 52, 52),
    "34": (8192, 22016, 48, 64, 8),
    "65": (8192, 22016, 80, 64, 64),
    "70": (8192, 28672, 80, 64, 8),
}


@dataclass(frozen=True, slots=True)
class Family:
    """Models of one family.

    Attributes:
        name: What their names look like.
        sizes: Their sizes in billions of parameters.
        window: The native window in tokens.
        theta: The base θ of RoPE.
        vocabularies: Vocabulary sizes of models that differ from the rest, by what their names look like.
    """

    name: re.Pattern[str]
    sizes: tuple[str, ...]
    window: int
    theta: float = 10_000.0
    vocabularies: tuple[tuple[re.Pattern[str], int], ...] = ()


def _named(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_CODE_VOCABULARIES = ((_named(r"-?(7|13|70)b(?!.*python)|70b"), 32016),)


_ELYZA_VOCABULARIES = ((_named(r"fast"), 45043),)


FAMILIES = {
    "Code Llama": Family(
        _named(r"code-?llama"), ("7", "13", "34", "70"), 16384, theta=1e6, vocabularies=_CODE_VOCABULARIES
    ),
    "Llama 2": Family(_named(r"llama-?2(?![.\d])"), ("7", "13", "70"), 4096, vocabularies=_ELYZA_VOCABULARIES),
    "LLaMA": Family(_named(r"(^|[/-])llama(-?1)?(?=-\d+b)"), ("7", "13", "30", "65"), 2048),
}


_SIZE = re.compile(r"(?<![\d.])(\d+)b(?![a-z])", re.IGNORECASE)


_SAME_SIZE = {"33": "30"}  # the larger one is the paper's name for it


def known_shape(name: str) -> Any | None:
    """The configuration of a model of these families by its name, such as "Llama 2 70B"; None for any other."""
    from transformers import LlamaConfig

    name = "-".join(name.replace("_", " ").split())
    size = _SIZE.search(name)
    family = next((family for family in FAMILIES.values() if family.name.search(name)), None)
    chosen = _SAME_SIZE.get(size[1], size[1]) if size else ""
    if family is None or chosen not in family.sizes:
        return None
    hidden, intermediate, layers, heads, kv_heads = _SIZES[chosen]
    vocabulary = next((count for pattern, count in family.vocabularies if pattern.search(name)), 32000)
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=family.window,
        rope_parameters={"rope_type": "default", "rope_theta": family.theta},
        dtype="bfloat16",
    )
