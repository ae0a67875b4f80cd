"""Keys and values of a prefix on disk, as safetensors. Knows files and hashes; runs nothing that it reads.

A file says what it was made from, and holds a hash of its own contents. Anything that does not agree is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from longctx.atomic_write import write_atomically
from longctx.engine.kv_cache import CODECS, KVCache
from longctx.models import CacheDtype, CacheShape, hash_tensors

_FORMAT = "longctx-prefix-1"


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


def write_prefix(path: Path, cache: KVCache, fingerprint: Fingerprint) -> None:
    """Write all that a cache holds. A file appears whole or not at all."""
    tensors = dict(_named(cache))
    contents = {**asdict(fingerprint), "format": _FORMAT, "contents": hash_tensors(tensors)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda new: save_file(tensors, new, contents))


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
    if hash_tensors(tensors) != said:
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
