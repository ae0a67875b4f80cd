"""Exporting a checkpoint whose configuration carries a scaling.

Weights are linked or copied as bytes and never read. transformers 5 and vLLM read the result by themselves (vLLM:
`patch_rope_parameters`, `get_rope` and `_get_and_verify_max_len`), with no code of this package.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from rope_scaling.checkpoint import (
    Checkpoint,
    carried_scaling,
    check_not_blended,
    load_config,
    open_checkpoint,
    windows_under,
)
from rope_scaling.errors import CheckpointError, LengthNeeded
from rope_scaling.frequencies import RopeFrequencies, rope_frequencies
from rope_scaling.parameters import WINDOW
from rope_scaling.scaling import RopeScaling
from rope_scaling.transformers_config import VLLM_MAGNITUDE, RopeBase, read_base

_WEIGHTS = frozenset({".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack"})


def export_checkpoint(
    source: str | Path, scaling: RopeScaling, destination: str | Path, *, weights: Path | None = None
) -> Path:
    """Write a copy of a checkpoint whose configuration carries a scaling; it appears whole or not at all.

    Weights are hard-linked, or copied where the file system has no hard links. Tokenizer and generation settings are
    copied. Code files are left out, and so is the `auto_map` that refers to them.

    Args:
        source: A checkpoint's folder, or its name on the hub.
        scaling: The scaling; one whose method depends on the length must be fixed by `at_length`.
        destination: The folder to write: new, or empty.
        weights: A folder whose weights are taken instead of the source's, such as trained ones.

    Returns:
        The folder.

    Raises:
        CheckpointError: If a folder cannot be read or written, or transformers reads other frequencies from the copy.
        LengthNeeded: For a scaling that is not fixed.
        AlreadyScaled: If the source carries another scaling.
    """
    if not scaling.is_fixed:
        raise LengthNeeded(
            f"{scaling.method}: a checkpoint has one set of frequencies; choose a length with at_length(n)"
        )
    if scaling.method == "dca":
        raise CheckpointError(
            "dca changes the attention, which a checkpoint's configuration cannot state for transformers: load the "
            "model with it (scaling='dca'), or export another method"
        )
    checkpoint, target = open_checkpoint(source), Path(destination).resolve()
    folder, base = checkpoint.folder.resolve(), checkpoint.base
    if target == folder or folder in target.parents:
        raise CheckpointError(f"{destination} is inside the source checkpoint: write to another folder")
    _check_new(target)
    carried = carried_scaling(checkpoint.config)
    check_not_blended(carried, scaling, base)
    windows = windows_under(scaling, base, carried)
    with _appearing_whole(target) as partial:
        _copy_files(folder, weights or folder, partial)
        _write_json(partial / "config.json", _scaled_config(checkpoint, scaling, windows))
        _raise_tokenizer_limit(partial / "tokenizer_config.json", windows.get("max_position_embeddings", 0))
        _check_readable(partial, scaling, base)
    return target


def is_new(target: Path) -> bool:
    """Whether a folder is not there, or empty. Raises OSError."""
    return not target.exists() or (target.is_dir() and not any(target.iterdir()))


def _check_new(target: Path) -> None:
    """Check that a folder can be made, or is empty. Raises CheckpointError."""
    try:
        new = is_new(target)
    except OSError as error:
        raise CheckpointError(f"{target} cannot be written: {error.strerror or error}") from error
    if not new:
        raise CheckpointError(f"{target} exists and is not an empty folder: give a new one")


def _scaled_config(checkpoint: Checkpoint, scaling: RopeScaling, windows: dict[str, int]) -> dict[str, Any]:
    """The content of config.json with a fixed scaling in it; every other key is kept, except `auto_map`."""
    config, base = checkpoint.config, checkpoint.base
    parameters = scaling.to_rope_parameters(base.theta, base.rotary_dim, base.partial_rotary_factor)
    if parameters.keys() & {"attention_factor", "mscale", "mscale_all_dim"}:
        final = rope_frequencies(scaling, base.rotary_dim, base.theta).attention_factor
        is_mla = "qk_rope_head_dim" in config
        parameters |= {"attention_factor": final} | _vllm_magnitude(parameters, final, is_mla)
    changes: dict[str, Any] = {"rope_parameters": parameters, "rope_theta": parameters["rope_theta"], **windows}
    if windows and parameters["rope_type"] == "linear":  # by whose factor vLLM multiplies max_position_embeddings
        changes["max_position_embeddings"] = windows[WINDOW]
    if parameters["rope_type"] != "default":
        # for transformers 4, and vLLM with it; older releases have no type 'default'
        changes["rope_scaling"] = parameters
    if "rotary_emb_base" in config:  # GPT-NeoX's name for θ
        changes["rotary_emb_base"] = parameters["rope_theta"]
    kept = {name: value for name, value in config.items() if name not in ("auto_map", "rope_scaling")}
    return kept | changes


def _vllm_magnitude(parameters: dict[str, Any], final: float, is_mla: bool) -> dict[str, float]:
    """The magnitude under vLLM's names, which multiply the magnitude that it computes itself."""
    own = 1.0
    if parameters["rope_type"] == "yarn":
        grown = 0.1 * math.log(parameters["factor"])
        own = grown + 1
        if is_mla:  # vLLM's DeepseekScalingRotaryEmbedding, with its defaults
            own = (parameters.get("mscale", 1.0) * grown + 1) / (parameters.get("mscale_all_dim", 0.0) * grown + 1)
    return {name: final / own for name in VLLM_MAGNITUDE[parameters["rope_type"]]}


@contextmanager
def _appearing_whole(target: Path) -> Iterator[Path]:
    """A folder to write into, which is renamed to `target` at the end, or removed after an error."""
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.replace(target)
    except OSError as error:
        raise CheckpointError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _copy_files(folder: Path, weights: Path, partial: Path) -> None:
    files = [path for path in weights.iterdir() if path.is_file() and _is_of_weights(path)]
    if not any(path.suffix in _WEIGHTS for path in files):
        raise CheckpointError(f"{weights} holds no weights ({', '.join(sorted(_WEIGHTS))}): give a whole checkpoint")
    for path in files:
        place = shutil.copy2 if path.suffix == ".json" else _link_or_copy
        place(path.resolve(), partial / path.name)  # the files of a hub cache are links
    for path in folder.iterdir():
        if path.is_file() and not _is_of_weights(path) and path.suffix != ".py" and path.name != "config.json":
            shutil.copy2(path, partial / path.name)
    templates = folder / "additional_chat_templates"
    if templates.is_dir():
        shutil.copytree(templates, partial / templates.name)


def _is_of_weights(path: Path) -> bool:
    return path.suffix in _WEIGHTS or path.name.endswith(".index.json")


def _link_or_copy(file: Path, to: Path) -> None:
    try:
        os.link(file, to)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(file, to)


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _raise_tokenizer_limit(file: Path, window: int) -> None:
    """Raise the tokenizer's limit to the new window: beyond it transformers warns, and vLLM stops."""
    content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if (content.get("model_max_length") or window) < window:
        _write_json(file, content | {"model_max_length": window})


def _check_readable(folder: Path, scaling: RopeScaling, base: RopeBase) -> None:
    """Raise CheckpointError unless transformers computes the scaling's frequencies from the new configuration."""
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    config, wanted = load_config(folder), rope_frequencies(scaling, base.rotary_dim, base.theta)
    native = ROPE_INIT_FUNCTIONS.get(config.rope_parameters["rope_type"])
    try:
        if native is None:  # type 'default', for which each model has its own function
            read = read_base(config)
            found = rope_frequencies(RopeScaling.from_config(config), read.rotary_dim, read.theta)
        else:
            found = RopeFrequencies(*native(config))
        torch.testing.assert_close(found.inv_freq, wanted.inv_freq, rtol=1e-5, atol=0)  # theirs is float32 throughout
        same = math.isclose(found.attention_factor, wanted.attention_factor, rel_tol=1e-6)
    except (AssertionError, TypeError, ValueError):
        same = False
    if not same:
        raise CheckpointError(
            f"transformers does not get the frequencies of {scaling!r} from a {type(config).__name__}: choose another "
            "method, or, if the source's config.json has no head_dim, state it there"
        )
