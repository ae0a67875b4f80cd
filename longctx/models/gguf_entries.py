"""The entries of a GGUF header that are read, and what each of them has to be.

A converter can write any type under any name, and llama.cpp ends its process over some of them. So all are checked when
the header is read, and nothing reads an entry that has no rule here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from longctx.errors import ModelUnavailable

FRESH = "download it again"
NO_TOKEN = 2**32 - 1  # what some converters write where a model has no such token
_REMEDY = f"{FRESH}, or convert the model anew"
_LARGEST = 2**31 - 1  # llama.cpp counts in 32 bits
_SHOWN = 40  # characters of a value
_SCALINGS = ("none", "linear", "yarn", "longrope")


@dataclass(frozen=True, slots=True)
class _Rule:
    words: str
    holds: Callable[[Any], bool]


def _is_whole(value: Any, least: int, most: int = _LARGEST) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_list(value: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(holds, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(least: int) -> _Rule:
    return _Rule(f"a whole number from {least} to {_LARGEST:,}", lambda value: _is_whole(value, least))


def _is_whole_by_layer(value: Any) -> bool:
    """Whether it is one number, or one for each layer: the layers without attention of a hybrid model have none."""
    return _is_whole(value, 0) or (_is_list(value, lambda each: _is_whole(each, 0)) and len(value) > 0)


_TEXT = _Rule("a text", lambda value: isinstance(value, str))
_BY_LAYER = _Rule(f"a whole number from 0 to {_LARGEST:,}, or one for each layer", _is_whole_by_layer)
_NAME = _Rule("a name such as 'llama'", lambda value: isinstance(value, str) and bool(re.fullmatch(r"[\w.-]+", value)))
_FLAG = _Rule("true or false", lambda value: isinstance(value, bool))
_EVEN = _Rule("an even number above 0", lambda value: _is_whole(value, 2) and value % 2 == 0)
_BASE = _Rule("a number above 1", lambda value: _is_number(value) and value > 1)
_FACTOR = _Rule(
    "0 or a number from 1 to 65,536", lambda value: _is_number(value) and (value == 0 or 1 <= value <= 65_536)
)
_POSITIVE = _Rule("a number above 0", lambda value: _is_number(value) and value > 0)
_SCALING = _Rule(f"one of {', '.join(_SCALINGS)}", lambda value: value in _SCALINGS)
_TOKEN = _Rule(f"a token id from 0 on, or {NO_TOKEN} for none", lambda value: _is_whole(value, -1, NO_TOKEN))
_TEXTS = _Rule("a list of texts", lambda value: _is_list(value, lambda each: isinstance(each, str)) and bool(value))
_KINDS = _Rule("a list of numbers", lambda value: _is_list(value, lambda each: _is_whole(each, 0)))

_RULES = {
    "general.architecture": _NAME,
    "general.type": _TEXT,
    "general.alignment": _Rule("a power of two", lambda value: _is_whole(value, 1) and value & (value - 1) == 0),
    "general.file_type": _whole(0),
    "split.no": _whole(0),
    "split.count": _whole(0),
    "split.tensors.count": _whole(1),
    "tokenizer.chat_template": _TEXT,
    "tokenizer.ggml.model": _TEXT,
    "tokenizer.ggml.tokens": _TEXTS,
    "tokenizer.ggml.token_type": _KINDS,
    "tokenizer.ggml.add_bos_token": _FLAG,
    **{f"tokenizer.ggml.{name}_token_id": _TOKEN for name in ("bos", "eos", "unknown", "eot", "eom")},
}
_RULES_OF_MODEL = {  # behind the name of the architecture
    "context_length": _whole(1),
    "embedding_length": _whole(1),
    "block_count": _whole(1),
    "feed_forward_length": _BY_LAYER,
    "attention.head_count": _BY_LAYER,
    "attention.head_count_kv": _BY_LAYER,
    "attention.key_length": _whole(1),
    "attention.value_length": _whole(1),
    "attention.causal": _FLAG,
    "attention.sliding_window": _BY_LAYER,
    "rope.dimension_count": _EVEN,
    "rope.freq_base": _BASE,
    "rope.scaling.type": _SCALING,
    "rope.scaling.factor": _FACTOR,
    "rope.scale_linear": _FACTOR,  # its older name
    "rope.scaling.original_context_length": _whole(0),
    "rope.scaling.attn_factor": _POSITIVE,
}


def entry(metadata: dict[str, Any], name: str, default: Any = None) -> Any:
    """Return an entry that `check_entries` has checked.

    Args:
        metadata: The entries by name.
        name: The entry's name.
        default: What is taken where there is none.

    Returns:
        The entry.
    """
    assert name in _rules(metadata), name
    return metadata.get(name, default)


def check_entries(path: Path, metadata: dict[str, Any]) -> None:
    """Check every entry that is read.

    Args:
        path: The file, for the message.
        metadata: The entries by name.

    Raises:
        ModelUnavailable: For the first that is of another type, or out of range.
    """
    for name, rule in _rules(metadata).items():
        if name in metadata and not rule.holds(metadata[name]):
            _refuse(path, metadata, name, rule.words)
    _check_lengths(path, metadata)
    _check_heads(path, metadata)


def _check_lengths(path: Path, metadata: dict[str, Any]) -> None:
    """Check the lengths of lists, and that tokens which are named by their places are in the vocabulary."""
    architecture = metadata.get("general.architecture")
    layers, tokens = metadata.get(f"{architecture}.block_count"), metadata.get("tokenizer.ggml.tokens")
    for name in _rules(metadata):
        value = metadata.get(name)
        if isinstance(value, list) and name.startswith(f"{architecture}.") and layers and len(value) != layers:
            _refuse(path, metadata, name, f"a list of {layers} numbers, one for each layer")
        if tokens and _rules(metadata)[name] is _TOKEN and value not in (None, -1, NO_TOKEN) and value >= len(tokens):
            _refuse(path, metadata, name, f"below {len(tokens):,}, which is how many tokens there are")
    if tokens and len(metadata.get("tokenizer.ggml.token_type", tokens)) != len(tokens):
        _refuse(path, metadata, "tokenizer.ggml.token_type", f"a list of {len(tokens):,}, one for each token")


def _check_heads(path: Path, metadata: dict[str, Any]) -> None:
    architecture = metadata.get("general.architecture")
    most = {}
    for name in ("attention.head_count", "attention.head_count_kv"):
        if (heads := metadata.get(f"{architecture}.{name}")) is not None:
            most[name] = max(heads) if isinstance(heads, list) else heads
            if most[name] == 0:
                raise ModelUnavailable(
                    f"{path} is a model without attention ({architecture}.{name} is 0), and longctx needs one that has "
                    "it: take another model"
                )
    width, least = metadata.get(f"{architecture}.embedding_length"), most.get("attention.head_count", 0)
    if width and f"{architecture}.attention.key_length" not in metadata and width < least:
        _refuse(path, metadata, f"{architecture}.embedding_length", f"{least:,}, one for each head, or more")


def _rules(metadata: dict[str, Any]) -> dict[str, _Rule]:
    architecture = metadata.get("general.architecture")
    return _RULES | {f"{architecture}.{name}": rule for name, rule in _RULES_OF_MODEL.items()}


def _refuse(path: Path, metadata: dict[str, Any], name: str, words: str) -> NoReturn:
    value = metadata[name]
    shown = f"a list of {len(value):,}" if isinstance(value, list) else repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    raise ModelUnavailable(f"{path} is damaged ({name} is {shown}, and has to be {words}): {_REMEDY}")
