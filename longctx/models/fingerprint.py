"""SHA-256 of a model's weights, of its tokenizer and of token ids, to tell whether two are the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longctx.models.user_cache import keep_value, kept_values

if TYPE_CHECKING:
    import torch

    from longctx.models.loaded_model import LoadedModel

_KEPT = "weight-hashes.json"
_BLOCK = 1 << 22  # bytes
_NOT_WEIGHTS = ("_name_or_path", "dtype", "transformers_version")
# what a scaling rewrites: the frequencies themselves are in the fingerprint
_ROTATION = ("max_position_embeddings", "original_max_position_embeddings", "rope_parameters")


def loaded_hash(loaded: LoadedModel) -> str:
    """`hash_weights` of a model, which takes seconds for a few GB; kept in the user's cache for its files.

    The hash is known again while the files keep their size, their time and their inode, and 64 numbers of each tensor
    in memory are those of before: files that are replaced, an adapter, and weights that were trained since all differ.

    Args:
        loaded: The model.

    Returns:
        A SHA-256 in hexadecimal.
    """
    folders = (getattr(loaded.model.config, "_name_or_path", None), loaded.adapter)  # of the checkpoint, also a hub's
    files = [file for folder in folders if folder for file in sorted(Path(folder).glob("*.safetensors"))]
    if not files:  # a model that was never in a file
        return hash_weights(loaded.model)
    return _kept_hash(_hash_sample(loaded.model, files), lambda: hash_weights(loaded.model))


def gguf_hash(files: Sequence[Path]) -> str:
    """`hash_files` of a model's GGUF files, which takes seconds for a few GB; kept in the user's cache.

    The hash is known again while the files keep their size, their time and their inode.

    Args:
        files: The files.

    Returns:
        A SHA-256 in hexadecimal.
    """
    facts = hashlib.sha256(json.dumps(file_facts(files)).encode()).hexdigest()
    return _kept_hash(facts, lambda: hash_files(*files))


def hash_files(*files: Path) -> str:
    """Hash what is in some files, one behind the other.

    Args:
        files: The files.

    Returns:
        A SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def _kept_hash(key: str, make: Callable[[], str]) -> str:
    """A hash that the user's cache has under a key, or that is made, and kept there."""
    kept = kept_values(_KEPT).get(key)
    if isinstance(kept, str):
        return kept
    digest = make()
    keep_value(_KEPT, key, digest)
    return digest


def _hash_sample(model: Any, files: Sequence[Path]) -> str:
    digest = hashlib.sha256(json.dumps([file_facts(files), _configuration(model)], default=str).encode())
    from longctx.models.cpu_products import sampled
    from longctx.models.packing import packed_products

    samples = {name: sampled(tensor) for name, tensor in model.state_dict().items()}
    samples |= {f"{name}.weight": product.sample for name, product in packed_products(model)}
    for name, sample in sorted(samples.items()):
        _add(digest, name, sample)
    return digest.hexdigest()


def file_facts(files: Sequence[Path]) -> list[tuple[str, int, int, int]]:
    """Paths, sizes, times and inodes of files, which tell without reading whether they are those of before."""
    stats = [(str(path.resolve()), path.stat()) for path in files]
    return [(path, stat.st_size, stat.st_mtime_ns, stat.st_ino) for path, stat in stats]


def hash_weights(model: Any) -> str:
    """Hash a model's configuration and all its weights.

    Args:
        model: The transformers model. Its RoPE parameters are left out, since a scaling changes them.

    Returns:
        A SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256(json.dumps(_configuration(model), sort_keys=True, default=str).encode())
    from longctx.models.packing import packed_products

    held = model.state_dict()
    packed = {f"{name}.weight": product for name, product in packed_products(model)}
    for name in sorted(held | packed):
        # made one at a time: together they would take as much memory as the packed ones
        _add(digest, name, packed[name].identity if name in packed else held[name])
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


def _configuration(model: Any) -> dict[str, Any]:
    return {k: v for k, v in model.config.to_dict().items() if k not in _NOT_WEIGHTS + _ROTATION}


def _add(digest: Any, name: str, tensor: torch.Tensor) -> None:
    import torch

    digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
