"""Keys and values of a prefix in a file, as safetensors, which runs no code when it is read.

Keys and values from another model, tokenizer or scaling have the right shapes and give wrong answers without an error.
So a file holds hashes of all that they depend on, and of its own contents, and whatever does not agree is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from longctx.atomic_write import write_atomically
from longctx.engine.kv_cache import KVCache, encode
from longctx.models import CacheDtype, CacheShape, hash_tensors

_FORMAT = "longctx-prefix-1"
_ALIGNED = 8  # bytes, of what follows the header of a safetensors file
_DTYPES = {
    **{torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"},
    **{torch.int32: "I32", torch.int8: "I8"},
}
_IDS = "ids"  # the tensor with the token ids, in files of a `PrefixStore`


class PrefixRefused(Exception):
    """A file cannot be used; the message says why. The engine then computes the prefix."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which tensors a file must hold.

    Attributes:
        tokens: Length of the prefix.
        shape: Layers and heads of the model.
        model_dtype: The dtype in which the model computes keys and values.
        dtype: How a cache keeps them.
    """

    tokens: int
    shape: CacheShape
    model_dtype: torch.dtype
    dtype: CacheDtype


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """All that keys and values depend on.

    Attributes:
        weights: Hash of the weights.
        tokenizer: Hash of the tokenizer.
        tokens: Hash of the token ids.
        rotation: Hash of the RoPE frequencies.
        dtype: The model's dtype and the cache's.
    """

    weights: str
    tokenizer: str
    tokens: str
    rotation: str
    dtype: str

    def name(self) -> str:
        """A file name for it."""
        return hashlib.sha256("\n".join(asdict(self).values()).encode()).hexdigest()[:32]


def write_prefix(path: Path, cache: KVCache, fingerprint: Fingerprint, ids: Sequence[int] = ()) -> None:
    """Write all that a cache holds, and the token ids if they are given. A file appears whole or not at all.

    Args:
        path: The file.
        cache: The keys and values.
        fingerprint: What they were made from.
        ids: The token ids.

    Raises:
        OSError: If it cannot be written.
    """
    tensors = {
        f"{number}.{part}": held for number, layer in enumerate(cache.growing) for part, held in enumerate(layer.held())
    }
    if ids:
        tensors[_IDS] = torch.tensor(list(ids), dtype=torch.int32)
    contents = {**asdict(fingerprint), "format": _FORMAT, "contents": hash_tensors(tensors)}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(path, lambda new: _save(new, tensors, contents), private=True)


def _save(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file, a tensor at a time: the library has copies of all of them in memory at once."""
    header: dict[str, Any] = {"__metadata__": metadata}
    named = sorted(tensors.items(), key=lambda each: -each[1].itemsize)  # so that each is aligned
    offset = 0
    for name, tensor in named:
        begin, offset = offset, offset + tensor.nbytes
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": [*tensor.shape], "data_offsets": [begin, offset]}
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % _ALIGNED)
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for _, tensor in named:
            file.write(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def read_prefix(path: Path, fingerprint: Fingerprint, layout: Layout) -> KVCache:
    """Read a file that `write_prefix` wrote.

    Args:
        path: The file.
        fingerprint: What it must have been made from.
        layout: Which tensors it must hold.

    Returns:
        A KV cache with its keys and values.

    Raises:
        PrefixRefused: If the file is missing or damaged, or is not exactly what is asked for.
    """
    try:
        with safe_open(path, framework="pt") as file:
            check_made_from(file.metadata() or {}, _FORMAT, asdict(fingerprint))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
            contents = file.metadata()["contents"]
    except FileNotFoundError:
        raise PrefixRefused(f"there is no file {path}") from None
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise PrefixRefused(f"{path} cannot be read: {error}") from error
    if hash_tensors(tensors) != contents:
        raise PrefixRefused(f"{path} was altered: its contents are not those that were written")
    tensors.pop(_IDS, None)
    layers = _layers(tensors, layout)
    if layers is None:
        raise PrefixRefused(f"{path} does not hold {layout.tokens} tokens of this model")
    cache = KVCache(layout.dtype)
    cache.load(layers)
    return cache


def stored_ids(path: Path, made_from: Fingerprint) -> list[int]:
    """The token ids of a file.

    Args:
        path: The file.
        made_from: What it must have been made from; `tokens` is not compared.

    Returns:
        The ids; none if the file was made from anything else, or cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            check_made_from(metadata | {"tokens": made_from.tokens}, _FORMAT, asdict(made_from))
            ids = file.get_tensor(_IDS)
    except (PrefixRefused, SafetensorError, OSError, KeyError, ValueError, TypeError):
        return []
    return ids.tolist() if ids.dtype == torch.int32 and ids.ndim == 1 else []


def check_made_from(stated: Mapping[str, Any], format_: str, fingerprint: Mapping[str, str]) -> None:
    """Check that a file was made from what its reader expects.

    Args:
        stated: What the file says of itself.
        format_: The format that it must have.
        fingerprint: What it must have been made from.

    Raises:
        PrefixRefused: It has another format, or was made from something else.
    """
    if stated.get("format") != format_:
        raise PrefixRefused(f"its format is {stated.get('format')!r}, and {format_!r} is read here")
    differing = [name for name, value in fingerprint.items() if stated.get(name) != value]
    if differing:
        raise PrefixRefused(f"it was made with other {' and '.join(differing)}")


def _layers(tensors: Mapping[str, torch.Tensor], layout: Layout) -> list[list[torch.Tensor]] | None:
    """The tensors by layer; None unless the file has exactly those of the layout, in shape and dtype."""
    names: list[list[str]] = []
    wanted: dict[str, tuple[tuple[int, ...], torch.dtype]] = {}
    for number, rows in enumerate(layout.shape.layers):
        # one token, encoded, shows which parts keys and values have: what this writes, it reads
        like = [part for row in rows for part in _one_token(row, layout)]
        names.append([f"{number}.{part}" for part in range(len(like))])
        wanted |= {
            name: ((1, part.shape[1], layout.tokens, part.shape[3]), part.dtype)
            for name, part in zip(names[-1], like, strict=True)
        }
    if {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()} != wanted:
        return None
    return [[tensors[name] for name in layer] for layer in names]


def _one_token(row: tuple[int, int], layout: Layout) -> tuple[torch.Tensor, ...]:
    heads, size = row
    return encode(torch.ones((1, heads, 1, size), dtype=layout.model_dtype), layout.dtype)
