"""Checkpoints: finding one by folder or hub name, and the RoPE scaling that its configuration carries.

A checkpoint that carries a scaling accepts no other: two scalings blend into frequencies that nobody has trained.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from rope_scaling.errors import AlreadyScaled, CheckpointError, InvalidScaling
from rope_scaling.frequencies import rope_frequencies
from rope_scaling.parameters import WINDOW
from rope_scaling.scaling import RopeScaling, method_named
from rope_scaling.transformers_config import RopeBase, raised_window, read_base

# pickles, which are fetched only if there are no safetensors, and copies of the same numbers for other runtimes
_OTHER_WEIGHTS = ["*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.ot", "*.msgpack", "*.gguf"]
_OTHER_WEIGHTS += ["onnx/*", "openvino/*", "original/*"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on disk, and the RoPE that its configuration states.

    Attributes:
        folder: The checkpoint's folder.
        config: The content of its config.json.
        base: The rotary embedding before any scaling.
        scaling: The scaling that the checkpoint carries; method `default` for none.
    """

    folder: Path
    config: dict[str, Any]
    base: RopeBase
    scaling: RopeScaling

    def scaled(self, method: str, window: int | None = None, factor: float | None = None) -> RopeScaling:
        """Make the fixed scaling that extends this checkpoint's window.

        Args:
            method: A name in `METHODS`.
            window: The window to reach, in tokens; None leaves it to `factor`.
            factor: The method's factor; None leaves it to `window`.

        Returns:
            The scaling; the checkpoint's own if it has this method and reaches this window.

        Raises:
            InvalidScaling: If both are None, or the two disagree.
            LengthNeeded: If the method depends on the length and `window` is None.
            AlreadyScaled: If the checkpoint carries another scaling.
        """
        own, method = self.scaling, method_named(method)
        if window is None:
            if factor is None:
                raise InvalidScaling(f"{method}: give the window to reach, in tokens, or a factor")
            fields: dict[str, Any] = {"factor": factor, WINDOW: self.base.window}
            scaling = RopeScaling(method=method, **fields)
        elif factor is None and method == own.method and (own.window == window or not own.is_fixed):
            return own.at_length(window)
        else:
            scaling = RopeScaling.for_window(method, window, self.base.window, factor)
        check_not_blended(carried_scaling(self.config), scaling, self.base)
        return scaling


def open_checkpoint(model: str | Path, config_only: bool = False) -> Checkpoint:
    """Find a checkpoint and read its configuration.

    Args:
        model: A checkpoint's folder, or its name on the hub.
        config_only: If True, nothing but config.json is fetched from the hub.

    Returns:
        The checkpoint.

    Raises:
        CheckpointError: If it cannot be found or read.
        UnsupportedConfig: If its RoPE parameters are not understood.
    """
    folder = find_checkpoint(model, "config" if config_only else "all")
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{folder} has no config.json: give the folder of a transformers checkpoint") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error
    if not isinstance(config, dict) or "text_config" in config:
        raise CheckpointError(f"{file} is not a plain language model's: only those can be scaled on disk")
    return Checkpoint(folder, config, read_base(load_config(folder)), RopeScaling.from_config(config))


def find_checkpoint(model: str | Path, files: Literal["config", "safetensors", "all"] = "all") -> Path:
    """Find a checkpoint's folder, and fetch it from the hub unless it is in the cache. HF_HUB_OFFLINE is honoured.

    Args:
        model: A checkpoint's folder, or its name on the hub.
        files: What is fetched: config.json alone; everything but pickled weights; or those too, if there are no
            safetensors.

    Returns:
        The folder.

    Raises:
        CheckpointError: If there is no such folder, and the hub has no such model or cannot be reached.
    """
    name, folder = str(model), Path(model).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise CheckpointError(f"{name} is a file: give a checkpoint's folder, or a hub name (owner/model)")
    if name.startswith((".", "/", "~")):
        raise CheckpointError(f"there is no folder {name}: give a checkpoint's folder, or a hub name (owner/model)")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        if files == "config":
            return Path(snapshot_download(name, allow_patterns=["config.json"]))
        folder = Path(snapshot_download(name, ignore_patterns=_OTHER_WEIGHTS))
        if files == "all" and not any(folder.glob("*.safetensors")):
            snapshot_download(name, allow_patterns=["*.bin"])
    except HFValidationError as error:
        raise CheckpointError(f"{name!r} is neither a folder here nor a name on the hub (owner/model)") from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            f"{name!r} is not a folder here, and the hub has no such model, or not for you"
        ) from error
    except (OSError, ValueError) as error:  # huggingface_hub's other errors are of these two kinds
        raise CheckpointError(
            f"{name!r} is not a folder here, and the hub could not be reached: check the path, or the network"
        ) from error
    return folder


def load_config(folder: Path) -> Any:
    """Load a checkpoint's configuration with transformers, and without running any code of the checkpoint.

    Args:
        folder: The checkpoint's folder.

    Returns:
        The transformers configuration.

    Raises:
        CheckpointError: If transformers cannot read it.
    """
    from transformers import AutoConfig  # takes seconds to import

    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # each configuration class raises its own errors
        reason = " ".join(str(error).split())
        raise CheckpointError(f"transformers cannot read {folder / 'config.json'}: {reason}") from error


def carried_scaling(config: Any) -> RopeScaling | None:
    """Read the scaling that a checkpoint carries, including one that only raised θ.

    Args:
        config: A transformers configuration, or the mapping that its config.json holds.

    Returns:
        The scaling, of method `default` if only θ was raised; None for a model with its native window.

    Raises:
        UnsupportedConfig: If the RoPE parameters are not understood.
    """
    own = RopeScaling.from_config(config)
    return own if own.method != "default" or raised_window(config) else None


def windows_under(fixed: RopeScaling, base: RopeBase, carried: RopeScaling | None) -> dict[str, int]:
    """The two windows, in tokens, that a configuration states under a fixed scaling.

    Args:
        fixed: The scaling.
        base: The RoPE parameters that the checkpoint was trained with.
        carried: The scaling that the checkpoint carries.

    Returns:
        The windows by their names in the configuration; empty if they stay as they are: nothing is scaled, or the
        checkpoint's own scaling does not state its original window.
    """
    original = fixed.original_max_position_embeddings or (base.window if carried is None else None)
    if fixed.method == "default" or original is None:
        return {}
    return {"max_position_embeddings": fixed.window or round(fixed.factor * original), WINDOW: original}


def check_not_blended(carried: RopeScaling | None, wanted: RopeScaling, base: RopeBase) -> None:
    """Raise AlreadyScaled unless the checkpoint is unscaled, or the fixed `wanted` has the same frequencies."""
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
