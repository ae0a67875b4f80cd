"""The device and the dtype that a model runs with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from longctx.errors import BadRequest

if TYPE_CHECKING:
    import torch

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


def dtype_named(name: Dtype) -> torch.dtype | Literal["auto"]:
    """The torch dtype of a name; "auto" leaves it to the checkpoint. Raises BadRequest for any other name."""
    import torch

    if name not in get_args(Dtype):
        raise BadRequest(f"dtype is {name!r}: use {', '.join(get_args(Dtype))}")
    return "auto" if name == "auto" else getattr(torch, name)


def device_named(name: str) -> torch.device:
    """The torch device of a name such as "cuda:1"; "auto" is the first GPU, or the CPU. Raises BadRequest if absent."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    present = _devices()
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or not {str(device), f"{device.type}:{device.index or 0}"} & {*present}:
        raise BadRequest(f"device is {name!r}, and what is here is {', '.join(present)}: use one of these, or auto")
    return device


def _devices() -> list[str]:
    import torch

    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    count = 0 if accelerator is None else torch.accelerator.device_count()
    return ["cpu", *(f"{accelerator.type}:{number}" for number in range(count) if accelerator is not None)]
