"""SHA-256 of a model's weights, of its tokenizer and of token ids, to tell whether two are the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_NOT_WEIGHTS = ("_name_or_path", "dtype", "transformers_version")
# what a scaling rewrites: the frequencies themselves are in the fingerprint
_ROTATION = ("max_position_embeddings", "original_max_position_embeddings", "rope_parameters")


def hash_weights(model: Any) -> str:
    """Hash a model's configuration and all its weights.

    Args:
        model: The transformers model. Its RoPE parameters are left out, since a scaling changes them.

    Returns:
        A SHA-256 in hexadecimal.
    """
    config = {k: v for k, v in model.config.to_dict().items() if k not in _NOT_WEIGHTS + _ROTATION}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        _add(digest, name, tensor)
    return digest.hexdigest()


def hash_tokenizer(tokenizer: Any) -> str:
    """Hash a tokenizer's vocabulary.

    Args:
        tokenizer: The tokenizer.

    Returns:
        A SHA-256 in hexadecimal.
    """
    return hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode()).hexdigest()


def hash_tokens(ids: Sequence[int]) -> str:
    """Hash token ids.

    Args:
        ids: The token ids.

    Returns:
        A SHA-256 in hexadecimal.
    """
    return hashlib.sha256(json.dumps(list(ids)).encode()).hexdigest()


def hash_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Hash tensors with their names, dtypes and shapes.

    Args:
        tensors: The tensors by name.

    Returns:
        A SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        _add(digest, name, tensor)
    return digest.hexdigest()


def _add(digest: Any, name: str, tensor: torch.Tensor) -> None:
    import torch

    digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
