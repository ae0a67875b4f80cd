"""LoRA adapters as peft writes them (Hu et al., arXiv 2106.09685), applied to a model."""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longctx.bounded_file import read_bounded
from longctx.errors import ModelUnavailable, extra

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

# What an adapter's configuration may ask for: what says where its matrices go and how they are added. Nothing else in
# it is handed to peft, because peft imports modules and changes the base model at some of it.
_UNDERSTOOD = frozenset(
    {"r", "lora_alpha", "target_modules", "exclude_modules", "lora_dropout", "fan_in_fan_out", "bias", "use_rslora"}
    | {"use_dora", "lora_bias", "modules_to_save", "layers_to_transform", "layers_pattern", "rank_pattern"}
    | {"alpha_pattern", "target_parameters", "trainable_token_indices"}
)
_NOT_ITS_SHAPE = frozenset(
    {"peft_type", "task_type", "base_model_name_or_path", "revision", "inference_mode", "auto_mapping", "peft_version"}
    | {"init_lora_weights", "runtime_config", "ensure_weight_tying"}
)
_PLAIN_STARTS = (None, True, False, "gaussian", "orthogonal", "eva")  # of training, that leave the base as it is


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter on disk.

    Attributes:
        folder: Its folder.
        base: The model that it says it was trained on.
        settings: Its settings for peft.
    """

    folder: Path
    base: str | None
    settings: Mapping[str, Any]


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, and no model of its own."""
    return (folder / _CONFIG).is_file()


def read_adapter(folder: Path) -> Adapter:
    """Read an adapter's configuration. Raises ModelUnavailable for what is no adapter, or is not supported."""
    if not is_adapter(folder):
        raise ModelUnavailable(f"{folder} holds no {_CONFIG}: give the folder or the hub name of a LoRA adapter")
    if not (folder / _WEIGHTS).is_file():
        raise ModelUnavailable(
            f"{folder} holds no {_WEIGHTS}, and pickles (adapter_model.bin) are not read: save the adapter again "
            "with peft's save_pretrained"
        )
    try:
        said = json.loads(read_bounded(folder / _CONFIG))
        kind, base = said["peft_type"], said.get("base_model_name_or_path")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailable(f"{folder / _CONFIG} is no adapter's configuration: {error}") from error
    if kind != "LORA":
        raise ModelUnavailable(f"{folder} is an adapter of type {kind}: only LoRA can be put onto a model here")
    _need_peft(folder)
    _check_understood(folder, said)
    return Adapter(folder, base, {name: value for name, value in said.items() if name in _UNDERSTOOD})


def attach_lora(model: Any, adapter: Adapter, *, merge: bool) -> Any:
    """Apply an adapter to a model.

    Args:
        model: The transformers model.
        adapter: The adapter.
        merge: Add it to the weights, so that a token costs what it did before. If False, it stays beside each matrix,
            for quantized weights, where what is added would be rounded to the same few bits.

    Returns:
        The model, of its own class.

    Raises:
        ModelUnavailable: For an adapter of another model.
    """  # noqa: DOC501 (the ValueError becomes it)
    from peft import LoraConfig, PeftModelForCausalLM, get_peft_model_state_dict
    from safetensors import SafetensorError, safe_open

    with warnings.catch_warnings():  # peft 0.21 asks transformers 5.23 for a name that is to go in 6
        warnings.filterwarnings("ignore", ".*gradient_checkpointing.* is deprecated", FutureWarning)
        try:
            config = LoraConfig(**adapter.settings, task_type="CAUSAL_LM", inference_mode=True)
            wrapped: Any = PeftModelForCausalLM(model, config)
            wrapped.load_adapter(str(adapter.folder), "default", torch_device=str(model.device))
            with safe_open(adapter.folder / _WEIGHTS, framework="pt") as file:
                held, wanted = {*file.keys()}, {*get_peft_model_state_dict(wrapped, save_embedding_layers=False)}
            # embeddings may have been saved whole beside the adapter's own matrices
            if lone := (wanted - held) | {name for name in held - wanted if "lora_" in name}:
                raise ValueError(f"{min(lone)} and {len(lone) - 1} more are in one of the two only")
            whole = wrapped.merge_and_unload(safe_merge=True) if merge else wrapped.base_model.model
        except (ValueError, RuntimeError, KeyError, TypeError, OSError, SafetensorError) as error:
            reason = " ".join(str(error).split("\n", 2)[:2]).strip()
            raise ModelUnavailable(
                f"the adapter {adapter.folder} does not go onto {model.name_or_path}: {reason}"
                + (f" (it was trained on {adapter.base})" if adapter.base else "")
            ) from error
    return whole.eval()


def _need_peft(folder: Path) -> None:
    if importlib.util.find_spec("peft") is None:
        raise ModelUnavailable(f"{folder} is a LoRA adapter, which needs peft, from {extra('peft')}")


def _check_understood(folder: Path, said: Mapping[str, Any]) -> None:
    from peft import LoraConfig

    usual = vars(LoraConfig())
    asked = {k: v for k, v in said.items() if k not in _UNDERSTOOD | _NOT_ITS_SHAPE and v and v != usual.get(k)}
    if said.get("init_lora_weights") not in _PLAIN_STARTS:
        asked["init_lora_weights"] = said["init_lora_weights"]
    if asked:
        name, value = next(iter(asked.items()))
        raise ModelUnavailable(
            f"the adapter {folder} has {name}={value!r}, which is not plain LoRA: convert it, or merge it into its "
            "model with peft, and give the merged model"
        )
