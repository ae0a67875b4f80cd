"""Weights in int8 in the user's cache folder, so that a checkpoint is quantized once and not at each load.

A file that is lost or damaged costs the time to quantize again, and nothing else.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
import shutil
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.overrides import TorchFunctionMode

from indexes.storage import HeldFolder, reachable
from longctx.atomic_write import remove_leftovers, write_atomically
from longctx.kept_files import SUFFIX, make_room
from longctx.models.fingerprint import file_facts
from longctx.models.packing import quantize_model
from longctx.models.user_cache import cache_path

MOST_BYTES = 16 << 30  # of all files together
_FOLDER = "int8"
_FORMAT = 1  # of what is kept: to be raised whenever `quantize_model` gives other numbers
_CHECKSUMS = "crc32"
_log = logging.getLogger(__name__)


def load_kept(folder: Path, config: Any) -> Any | None:
    """The model of a checkpoint as `quantize_model` left it when it was kept.

    Args:
        folder: The checkpoint's folder.
        config: Its configuration.

    Returns:
        The model; None if it is not kept, if the checkpoint has changed since, or if the file is damaged or another
        user's.
    """
    try:
        path = _path(folder)
        with HeldFolder(path.parent).open(path.name) as opened, reachable(opened, path) as reached:
            if os.fstat(opened.fileno()).st_uid != os.getuid():  # in a folder that users share
                return None
            with safe_open(reached, "pt") as file:
                sums = json.loads((file.metadata() or {})[_CHECKSUMS])
                held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        with suppress(OSError):
            os.utime(path)
    except (OSError, RuntimeError, SafetensorError, ValueError, KeyError):
        return None
    if _checksums(held) != sums:
        _log.warning("%s is damaged: the weights are quantized again", path)
        return None
    model = _empty_model(folder, config)
    quantize_model(model)
    try:
        model.load_state_dict(held, assign=True)
    except RuntimeError:  # other tensors than this release of transformers has
        return None
    unfilled = any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    return None if unfilled else model.eval()


def keep(model: Any, folder: Path) -> Path | None:
    """Keep a model that `quantize_model` has changed, and remove what was used least recently if there is no room.

    Args:
        model: The model.
        folder: The folder of its checkpoint.

    Returns:
        The file; None if there is no room for it, or it cannot be written.
    """
    held = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    size = sum(tensor.nbytes for tensor in held.values())
    storages = {tensor.untyped_storage().data_ptr() for tensor in held.values()}
    try:
        path = _path(folder)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        if len(storages) < len(held) or size > MOST_BYTES or shutil.disk_usage(path.parent).free < 2 * size:
            return None
        make_room(path.parent, size, MOST_BYTES)
        metadata = {_CHECKSUMS: json.dumps(_checksums(held))}
        write_atomically(path, lambda file: save_file(held, file, metadata), private=True)
    except (OSError, RuntimeError, SafetensorError) as error:
        _log.warning("the weights in int8 could not be kept, and are quantized at each load: %s", error)
        return None
    return path


def _path(folder: Path) -> Path:
    """The file of a checkpoint as it is now: another one whenever its configuration or a file of weights changes."""
    facts = file_facts([folder / "config.json", *sorted(folder.glob("*.safetensors"))])
    name = hashlib.sha256(json.dumps([_FORMAT, transformers.__version__, facts]).encode()).hexdigest()[:32]
    return cache_path(_FOLDER) / f"{name}{SUFFIX}"


def _checksums(held: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """CRC-32 of tensors by name, with dtype and shape."""

    def checksum(name: str) -> tuple[str, int]:
        tensor = held[name]
        start = zlib.crc32(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        return name, zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, start)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return dict(pool.map(checksum, held))


class _EmptyOnMeta(TorchFunctionMode):
    """Makes tensors without numbers on the meta device, as parameters are made; what is computed stays where it is."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if function is torch.empty:
            given["device"] = "meta"
        return function(*args, **given)


def _empty_model(folder: Path, config: Any) -> Any:
    """The model without its weights, but with what its modules compute from the configuration."""
    with _EmptyOnMeta():
        model: Any = transformers.AutoModelForCausalLM.from_config(
            copy.deepcopy(config), dtype=config.dtype or torch.float32
        )
    model.config.name_or_path = str(folder)
    with suppress(OSError, ValueError):
        model.generation_config = transformers.GenerationConfig.from_pretrained(folder, local_files_only=True)
    return model
