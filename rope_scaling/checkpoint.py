"""Checkpoints: opening one by folder or hub name, and the RoPE scaling that its configuration brings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rope_scaling.errors import AlreadyScaled, CheckpointError, InvalidScaling
from rope_scaling.frequencies import rope_frequencies
from rope_scaling.scaling import RopeScaling
from rope_scaling.transformers_config import WINDOW, RopeBase, raised_window, read_base

_HUB_FILES = ["*.json", "*.txt", "*.model", "*.jinja", "*.safetensors", "LICENSE*", "README*"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint's folder, the content of its config.json, and what that says of RoPE."""

    folder: Path
    config: dict[str, Any]
    base: RopeBase
    scaling: RopeScaling

    def scaled(self, method: str, window: int | None = None, factor: float | None = None) -> RopeScaling:
        """Make the fixed scaling that takes this checkpoint to `window` tokens by `method`, or by `factor`.

        Raises InvalidScaling for neither or for values that disagree, LengthNeeded where the method asks for
        a window, and AlreadyScaled where the checkpoint carries another scaling.
        """
        if window is None:
            if factor is None:
                raise InvalidScaling(f"{method}: give the window to reach, in tokens, or a factor")
            fields: dict[str, Any] = {"factor": factor, WINDOW: self.base.window}
            scaling = RopeScaling(method=method, **fields)
        elif factor is None and self._reaches(method, window):
            return self.scaling.at_length(window)
        else:
            scaling = RopeScaling.for_window(method, window, self.base.window, factor)
        check_not_blended(carried_scaling(self.config), scaling, self.base)
        return scaling

    def _reaches(self, method: str, window: int) -> bool:
        """Say whether the checkpoint's own scaling is what is asked for."""
        own = self.scaling
        return method == own.method and (own.window == window or not own.is_fixed)


def open_checkpoint(model: str | Path, config_only: bool = False) -> Checkpoint:
    """Find a checkpoint, a local folder or a hub repository, and read its configuration.

    A hub repository is fetched unless it is in the cache, with `config_only` no more than its config.json;
    HF_HUB_OFFLINE is honoured. Raises CheckpointError for one that cannot be found or read, and
    UnsupportedConfig for RoPE that is not understood.
    """
    folder = Path(model)
    if not folder.is_dir():
        folder = _from_hub(str(model), ["config.json"] if config_only else _HUB_FILES)
    config = _read_config(folder / "config.json")
    return Checkpoint(folder, config, read_base(load_config(folder)), RopeScaling.from_config(config))


def _read_config(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise CheckpointError(f"{file.parent} has no config.json: give the folder of a transformers checkpoint")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error
    if not isinstance(config, dict) or "text_config" in config:
        raise CheckpointError(f"{file} is not a plain language model's: only those can be scaled on disk")
    return config


def load_config(folder: Path) -> Any:
    """Read a checkpoint's configuration as transformers does, without any code of the checkpoint's."""
    from transformers import AutoConfig  # seconds to import; only checkpoints on disk need it

    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # each configuration class has its own ways to refuse
        reason = " ".join(str(error).split())
        raise CheckpointError(f"transformers cannot read {folder / 'config.json'}: {reason}") from error


def _from_hub(name: str, files: list[str]) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, allow_patterns=files))
        if files is _HUB_FILES and not any(folder.glob("*.safetensors")):
            snapshot_download(name, allow_patterns=["*.bin"])  # older checkpoints have no other weights
    except (OSError, ValueError) as error:  # huggingface_hub's own errors are of these two kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{name!r} is no folder here, and the hub does not give it: {reason}") from error
    return folder


def carried_scaling(config: Any) -> RopeScaling | None:
    """Return the scaling of a configuration, object or mapping; None for a model with its native window."""
    own = RopeScaling.from_config(config)
    return own if own.method != "default" or raised_window(config) else None


def windows_under(fixed: RopeScaling, base: RopeBase, carried: RopeScaling | None) -> dict[str, int]:
    """Return the two windows that a configuration must state under `fixed`; nothing where they stay as they are.

    They stay where nothing is scaled, and for a checkpoint's own scaling that does not tell its original window.
    """
    original = fixed.original_max_position_embeddings or (base.window if carried is None else None)
    if fixed.method == "default" or original is None:
        return {}
    return {"max_position_embeddings": fixed.window or round(fixed.factor * original), WINDOW: original}


def check_not_blended(carried: RopeScaling | None, wanted: RopeScaling, base: RopeBase) -> None:
    """Raise AlreadyScaled unless the checkpoint is unscaled, or the fixed `wanted` is its own scaling."""
    if carried is None:
        return
    mine = rope_frequencies(wanted, base.rotary_dim, base.theta)
    theirs = rope_frequencies(carried.at_length(wanted.length or 1), base.rotary_dim, base.theta)
    if not (torch.equal(mine.inv_freq, theirs.inv_freq) and mine.attention_factor == theirs.attention_factor):
        had = "a raised rope_theta" if carried.method == "default" else repr(carried)
        raise AlreadyScaled(
            f"the checkpoint is scaled already, by {had}, and {wanted!r} is another scaling: use the "
            "checkpoint's own, RopeScaling.from_config(model.config), or start from an unscaled checkpoint"
        )
