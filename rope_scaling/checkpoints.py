"""Checkpoints: finding one, and reading what its configuration says of RoPE. No weights are read here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rope_scaling.carried import carried_scaling, check_not_blended
from rope_scaling.errors import CheckpointError, InvalidScaling
from rope_scaling.hf_config import WINDOW, RopeBase, read_base
from rope_scaling.scaling import RopeScaling

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
