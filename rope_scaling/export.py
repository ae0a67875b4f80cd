"""Writing a checkpoint whose configuration carries a scaling.

Knows files and JSON; weights are linked or copied as bytes and never read. What is written is what
transformers 5 and vLLM read by themselves (vLLM: `patch_rope_parameters`, `get_rope` and
`_get_and_verify_max_len`), with no code of ours.
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
from rope_scaling.scaling import RopeScaling
from rope_scaling.transformers_config import VLLM_MAGNITUDE, WINDOW, RopeBase, read_base

_WEIGHTS = frozenset({".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack"})
# vLLM multiplies max_position_embeddings by the factor of these types, so that it stays at the original window.
_STRETCHES_WINDOW = frozenset({"linear"})


def export_checkpoint(
    source: str | Path, scaling: RopeScaling, destination: str | Path, *, weights: Path | None = None
) -> Path:
    """Write the checkpoint at `source`, scaled, to `destination`, and return that.

    The scaling must be fixed (`at_length`). Weights, the source's or those in the folder `weights`, are hard-linked,
    or copied where the file system cannot; the tokenizer and the generation settings are copied; code files are left
    out, and so is the `auto_map` that would call for them. `destination` appears whole or not at all. Raises
    CheckpointError for a folder that cannot be read or written, LengthNeeded, and AlreadyScaled where the source
    carries another scaling.
    """
    if not scaling.is_fixed:
        raise LengthNeeded(
            f"{scaling.method}: a checkpoint has one set of frequencies; choose a length with at_length(n)"
        )
    checkpoint, target = open_checkpoint(source), Path(destination).resolve()
    folder, base = checkpoint.folder.resolve(), checkpoint.base
    if target == folder or folder in target.parents:
        raise CheckpointError(f"{destination} is inside the source checkpoint: write to another folder")
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise CheckpointError(f"{destination} exists and is not an empty folder: give a new one")
    carried = carried_scaling(checkpoint.config)
    check_not_blended(carried, scaling, base)
    windows = windows_under(scaling, base, carried)
    window = windows.get("max_position_embeddings", 0)
    with _appearing_whole(target) as partial:
        _copy_files(folder, weights or folder, partial)
        _write_json(partial / "config.json", _scaled_config(checkpoint, scaling, windows))
        _raise_tokenizer_limit(partial / "tokenizer_config.json", window)
        _check_readable(partial, scaling, base)
    return target


def _scaled_config(checkpoint: Checkpoint, scaling: RopeScaling, windows: dict[str, int]) -> dict[str, Any]:
    """Put a fixed scaling into a config.json's content; every other key is kept, but for `auto_map`."""
    config, base = checkpoint.config, checkpoint.base
    parameters = scaling.to_rope_parameters(base.theta, base.rotary_dim, base.partial_rotary_factor)
    if parameters.keys() & {"attention_factor", "mscale"}:
        final = rope_frequencies(scaling, base.rotary_dim, base.theta).attention_factor
        parameters |= {"attention_factor": final} | _vllm_magnitude(parameters, final)
    changes: dict[str, Any] = {"rope_parameters": parameters, "rope_theta": parameters["rope_theta"], **windows}
    if windows and parameters["rope_type"] in _STRETCHES_WINDOW:
        changes["max_position_embeddings"] = windows[WINDOW]
    if parameters["rope_type"] != "default":
        # what transformers 4 reads, and vLLM on it; its older releases know no type 'default'
        changes["rope_scaling"] = parameters
    if "rotary_emb_base" in config:  # GPT-NeoX's name for θ
        changes["rotary_emb_base"] = parameters["rope_theta"]
    kept = {name: value for name, value in config.items() if name not in ("auto_map", "rope_scaling")}
    return kept | changes


def _vllm_magnitude(parameters: dict[str, Any], final: float) -> dict[str, float]:
    """Say a magnitude in vLLM's names; its `attn_factor` multiplies the method's own, 0.1·ln(s) + 1."""
    own = 0.1 * math.log(parameters["factor"]) + 1 if parameters["rope_type"] == "yarn" else 1.0
    return {name: final / own for name in VLLM_MAGNITUDE[parameters["rope_type"]]}


@contextmanager
def _appearing_whole(target: Path) -> Iterator[Path]:
    """Give a folder to write into that takes `target`'s name at the end, or goes away after an error."""
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.replace(target)
    except OSError as error:
        raise CheckpointError(f"{target} cannot be written: {error}") from error
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
    """Let the tokenizer admit the new window: transformers warns past its limit, and vLLM stops."""
    content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if (content.get("model_max_length") or window) < window:
        _write_json(file, content | {"model_max_length": window})


def _check_readable(folder: Path, scaling: RopeScaling, base: RopeBase) -> None:
    """Let transformers compute the frequencies of the written configuration; they must be the scaling's."""
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    config, wanted = load_config(folder), rope_frequencies(scaling, base.rotary_dim, base.theta)
    native = ROPE_INIT_FUNCTIONS.get(config.rope_parameters["rope_type"])
    try:
        if native is None:  # the unscaled type, for which each model has a function of its own
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
