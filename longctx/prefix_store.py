"""Keys and values of a prefix on disk, as safetensors. Knows files and hashes; runs nothing that it reads.

A file says what it was made from, and holds a hash of its own contents. Anything that does not agree is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from longctx.kv_cache import CODECS, CacheDtype, KVCache
from longctx.memory import CacheShape

_FORMAT = "longctx-prefix-1"
_NOT_WEIGHTS = ("_name_or_path", "dtype", "transformers_version")
# what a scaling rewrites: the frequencies themselves are in the fingerprint
_ROTATION = ("max_position_embeddings", "original_max_position_embeddings", "rope_parameters")


class PrefixRefused(Exception):
    """A file that cannot be used; the message says why. The engine then computes the prefix."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file must hold: keys and values of `tokens` tokens, as a cache of `dtype` keeps them."""

    tokens: int
    shape: CacheShape
    model_dtype: torch.dtype
    dtype: CacheDtype


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What keys and values depend on, as hashes: those from another fingerprint are wrong ones."""

    weights: str
    tokenizer: str
    tokens: str
    rotation: str
    dtype: str


def hash_weights(model: Any) -> str:
    """A hash of a model's configuration and of every number in it."""
    config = {k: v for k, v in model.config.to_dict().items() if k not in _NOT_WEIGHTS + _ROTATION}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        _add(digest, name, tensor)
    return digest.hexdigest()


def hash_tokenizer(tokenizer: Any) -> str:
    """A hash of a tokenizer's vocabulary."""
    return hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode()).hexdigest()


def hash_tokens(ids: Sequence[int]) -> str:
    """A hash of token ids."""
    return hashlib.sha256(json.dumps(list(ids)).encode()).hexdigest()


def write_prefix(path: Path, cache: KVCache, fingerprint: Fingerprint) -> None:
    """Write all that a cache holds. A file appears whole or not at all."""
    tensors = dict(_named(cache))
    contents = {**asdict(fingerprint), "format": _FORMAT, "contents": _hash_contents(tensors)}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        save_file(tensors, temporary, contents)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_prefix(path: Path, fingerprint: Fingerprint, layout: Layout) -> KVCache:
    """The cache that a file holds. Raises PrefixRefused for a file that is not exactly what is asked for."""
    try:
        with safe_open(path, framework="pt") as file:
            _check_says(file.metadata() or {}, fingerprint)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
            said = file.metadata()["contents"]
    except FileNotFoundError:
        raise PrefixRefused(f"there is no file {path}") from None
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise PrefixRefused(f"{path} cannot be read: {error}") from None
    if _hash_contents(tensors) != said:
        raise PrefixRefused(f"{path} was altered: its contents are not those that were written")
    layers = _layers(tensors, layout)
    if layers is None:
        raise PrefixRefused(f"{path} does not hold {layout.tokens} tokens of this model")
    cache = KVCache(layout.dtype)
    cache.load(layers, layout.model_dtype)
    return cache


def _check_says(metadata: Mapping[str, str], fingerprint: Fingerprint) -> None:
    if metadata.get("format") != _FORMAT:
        raise PrefixRefused(f"its format is {metadata.get('format')!r}, and {_FORMAT!r} is read here")
    differing = [name for name, value in asdict(fingerprint).items() if metadata.get(name) != value]
    if differing:
        raise PrefixRefused(f"it was made with other {' and '.join(differing)}")


def _named(cache: KVCache) -> Iterator[tuple[str, torch.Tensor]]:
    for number, layer in enumerate(cache.growing):
        for part, tensor in enumerate(layer.held()):
            yield f"{number}.{part}", tensor.contiguous()


def _layers(tensors: Mapping[str, torch.Tensor], layout: Layout) -> list[list[torch.Tensor]] | None:
    """The tensors by layer, if they are all there, of the right shapes and dtypes, and nothing else is."""
    shape = layout.shape
    like = 2 * CODECS[layout.dtype].encode(torch.ones((1, shape.heads, 1, shape.head_dim), dtype=layout.model_dtype))
    names = [[f"{layer}.{part}" for part in range(len(like))] for layer in range(shape.layers)]
    wanted = {
        name: ((1, shape.heads, layout.tokens, part.shape[3]), part.dtype)
        for layer in names
        for name, part in zip(layer, like, strict=True)
    }
    if {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()} != wanted:
        return None
    return [[tensors[name] for name in layer] for layer in names]


def _hash_contents(tensors: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        _add(digest, name, tensor)
    return digest.hexdigest()


def _add(digest: Any, name: str, tensor: torch.Tensor) -> None:
    digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
