"""Causal language models and their tokenizers, loaded from a folder or the hub. Knows no prompts and no documents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexes.hub import hub_folder
from longctx.errors import ModelUnavailable
from longctx.remote.address import is_address
from rope_scaling import RopeScaling, scaled_rope

LARGEST_FACTOR = 32  # how far a method goes that is given by its name only: YaRN's 128K for the 4,096 of Llama 2
_NO_LIMIT = 10**9  # what tokenizers say who know no limit is larger


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to generate: `native_window` is the number of tokens that it was trained to read.

    `scaling` is what takes it further where a call names none: a `RopeScaling`; or the name of a method, which leaves
    sequences within the native window as they are and extends by powers of two, by as little as a sequence needs.
    """

    name: str
    model: Any
    tokenizer: Any
    native_window: int
    scaling: str | RopeScaling | None = None

    @property
    def window(self) -> int:
        """The most tokens that it takes, prompt and answer together."""
        if self.scaling is None:
            return self.native_window
        if isinstance(self.scaling, str) or not self.scaling.is_fixed:
            return LARGEST_FACTOR * self.native_window
        return self.scaling.window or self.native_window


def load_model(
    name_or_path: str | Path, *, scaling: str | RopeScaling | None = None, native_window: int | None = None
) -> LoadedModel:
    """Load a causal language model from a folder, or by its name on the hub.

    The dtype is the checkpoint's own, and a GPU is used if there is one. Only safetensors are read, and no code that a
    checkpoint brings is run. `scaling` is a method's name, such as "yarn", or a `RopeScaling`: see `LoadedModel`.
    `native_window` overrides what the configuration says. Raises ModelUnavailable; and the errors of `rope_scaling`
    where the model cannot be scaled so.
    """
    name = str(name_or_path)
    folder = model_folder(name)
    if not (folder / "config.json").is_file():
        raise ModelUnavailable(f"{folder} holds no config.json: give the folder of a transformers checkpoint")
    try:
        model, tokenizer = _load(folder)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelUnavailable(f"no causal language model could be loaded from {folder}: {reason}") from error
    window = native_window or _stated_window(model.config, tokenizer)
    if window is None:
        raise ModelUnavailable(f"the configuration in {folder} states no window: give native_window (--window)")
    return LoadedModel(name, model, tokenizer, window, None if scaling is None else _tried(scaling, model, window))


def model_folder(name: str) -> Path:
    """The local folder of a checkpoint that is given as a path or a hub name. Raises ModelUnavailable."""
    if is_address(name):
        raise ModelUnavailable(f"{name} is a server, whose model cannot be loaded here: it can be asked (longctx ask)")
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_file() or name.startswith((".", "/", "~")):
        raise ModelUnavailable(
            f"there is no folder {name}: give a checkpoint's folder, or a name on the hub (owner/model)"
        )
    try:
        return hub_folder(name)
    except LookupError as error:
        raise ModelUnavailable(f"model {error}") from error


def _load(folder: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ModelUnavailable(
            f"no tokenizer could be loaded from {folder}: add the model's own (tokenizer.json, or tokenizer.model)"
        ) from error
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype="auto", use_safetensors=True, local_files_only=True, trust_remote_code=False
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return model.to(device).eval(), tokenizer


def _tried(scaling: str | RopeScaling, model: Any, window: int) -> str | RopeScaling:
    """The scaling, with the native window in it; the model has been under it once, so that what cannot be is said."""
    if isinstance(scaling, str):
        trial = RopeScaling.for_window(scaling, LARGEST_FACTOR * window, window)
    else:
        scaling = trial = RopeScaling(
            **{"original_max_position_embeddings": window} | scaling.model_dump(exclude_none=True)
        )
    with scaled_rope(model, trial, LARGEST_FACTOR * window):
        return scaling


def _stated_window(config: Any, tokenizer: Any) -> int | None:
    stated = getattr(config.get_text_config(), "max_position_embeddings", None) or tokenizer.model_max_length
    return int(stated) if stated and stated < _NO_LIMIT else None
