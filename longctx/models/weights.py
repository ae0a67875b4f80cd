"""Reading a model's weights, all of them: transformers draws at random what the files lack, and says so in a log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longctx.errors import ModelUnavailable

_NAMED = 2  # tensors that a message names


def read_model(folder: Path, **given: Any) -> Any:
    """Load a causal language model whose weights are all in its files.

    Args:
        folder: The checkpoint's folder.
        given: Further arguments of transformers' `from_pretrained`.

    Returns:
        The model.

    Raises:
        ModelUnavailable: If its configuration asks for tensors that the files lack, or have in another shape.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar, get_verbosity, set_verbosity, set_verbosity_error

    disable_progress_bar()  # 'Loading weights', as for an encoder
    given = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True, **given}
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
    return model


def _refuse(folder: Path, names: list[str], fault: str) -> None:
    if not names:
        return
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    raise ModelUnavailable(
        f"the weights in {folder} {fault}: {', '.join(names[:_NAMED])}{more}; give the configuration that belongs to "
        "them, or download the model again"
    )
