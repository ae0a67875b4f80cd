"""Reading a model's weights, all of them: transformers draws at random what the files lack, and says so in a log."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexes.encoders import SAFE_LOADING, weights_elsewhere
from longctx.errors import ModelUnavailable
from longctx.models.lora import is_adapter

if TYPE_CHECKING:
    import torch

_NAMED = 2  # tensors that a message names
_IN_LAYER = re.compile(r"(?P<stack>(?:\w+\.)*?\w+)\.(?P<number>\d+)\.(?P<rest>.+)")
_NO_PARAMETER = re.compile(r"(?:^|\.)(?:masked_bias|rotary\w*\..*)$")  # buffers of older releases
# Layers behind the last one that predict further tokens; a configuration states their number even if there are none.
_PREDICTS = re.compile(r"(?:^|\.)(?:eh_proj|enorm|hnorm|shared_head|mtp\w*)\.")


def read_model(folder: Path, **given: Any) -> Any:
    """Load a causal language model whose weights are all in its files.

    Args:
        folder: The checkpoint's folder.
        given: Further arguments of transformers' `from_pretrained`.

    Returns:
        The model.

    Raises:
        ModelUnavailable: If its index of files leads out of the folder or names pickles, if the folder is an adapter,
            or if its configuration asks for tensors that the files lack, or have in another shape, or has no place for
            tensors of the files' layers.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar, get_verbosity, set_verbosity, set_verbosity_error

    _check_safe(folder)
    disable_progress_bar()  # 'Loading weights', as for an encoder
    given = {"local_files_only": True, "trust_remote_code": False, **SAFE_LOADING, **given}
    before = get_verbosity()
    set_verbosity_error()  # its table of what is missing, which is one line here
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, output_loading_info=True, ignore_mismatched_sizes=True, **given
        )
    finally:
        set_verbosity(before)
    model, found = loaded
    shapes = [f"{name} {tuple(has)}, not {tuple(asked)}" for name, has, asked in sorted(found["mismatched_keys"])]
    _refuse(folder, shapes, "have other shapes than its config.json asks for")
    _refuse(folder, sorted(found["missing_keys"]), "lack what its config.json asks for")
    _refuse(folder, _surplus(model, found["unexpected_keys"]), "have what its config.json has no place for")
    return model


def read_header(path: Path) -> dict[str, Any]:
    """The header of a file of safetensors: what it holds, by name."""
    with path.open("rb") as file:  # the header alone: mapping the file needs address space for all of it
        header: dict[str, Any] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return header


def stated_dtype(folder: Path, config: Any) -> torch.dtype | None:
    """The dtype of a checkpoint: its configuration's, or where that states none, that of its weights.

    Args:
        folder: The checkpoint's folder.
        config: Its configuration.

    Returns:
        The dtype; None if neither says it.
    """
    import torch

    if isinstance(config.dtype, torch.dtype):
        return config.dtype
    file = min(folder.glob("*.safetensors"), default=None)
    tensors = {} if file is None else {name: each for name, each in read_header(file).items() if "dtype" in each}
    largest: dict[str, Any] = max(tensors.values(), key=lambda each: math.prod(each["shape"]), default={})
    return {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}.get(largest.get("dtype", ""))


def _check_safe(folder: Path) -> None:
    """Check that transformers will load safetensors of this folder and nothing else.

    Arguments of `from_pretrained` do not see to that: of those that config.json has, too, transformers takes no notice.

    Raises:
        ModelUnavailable: If it would not.
    """
    if is_adapter(folder):  # transformers would load what it names, from wherever that is
        raise ModelUnavailable(f"{folder} is an adapter of another model: give that model, or merge the two")
    if wrong := weights_elsewhere(folder):
        raise ModelUnavailable(f"{wrong}: put them into it and name them there, or download the model again")
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    named = said.get("transformers_weights") or ""
    places = [folder / name for name in ("model.safetensors", "model.safetensors.index.json")]
    if not (
        str(named).endswith((".safetensors", ".safetensors.index.json")) if named else any(map(Path.is_file, places))
    ):
        raise ModelUnavailable(f"{folder} holds no weights as safetensors: convert them, or download the model again")


def _surplus(model: Any, unexpected: set[str]) -> list[str]:
    """Parameters of further layers, or that the model's layers do not have, but for those that its class skips."""
    stacks = {name: len(each) for name, each in model.named_modules() if type(each).__name__ == "ModuleList"}
    buffers = {name for name, _ in model.named_buffers()}
    quantized = getattr(model, "hf_quantizer", None) is not None  # and has tensors of its own beside each weight
    found = {name: match for name in unexpected if (match := _IN_LAYER.fullmatch(name))}
    predicting = {(m["stack"], m["number"]) for m in found.values() if _PREDICTS.search(m["rest"])}
    surplus = []
    for name, match in sorted(found.items()):
        stack = next((each for each in stacks if f".{each}".endswith(f".{match['stack']}")), None)
        if (
            stack is None
            or not stacks[stack]
            or (match["stack"], match["number"]) in predicting
            or _NO_PARAMETER.search(match["rest"])
        ):
            continue
        beyond = int(match["number"]) >= stacks[stack]
        of_layer = not quantized and name.endswith((".weight", ".bias")) and not any(b.endswith(name) for b in buffers)
        if beyond or of_layer:
            surplus.append(name)
    return surplus


def _refuse(folder: Path, names: list[str], fault: str) -> None:
    if not names:
        return
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    raise ModelUnavailable(
        f"the weights in {folder} {fault}: {', '.join(names[:_NAMED])}{more}; give the configuration that belongs to "
        "them, or download the model again"
    )
