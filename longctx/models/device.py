"""The device and the dtype that a model runs with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from longctx.errors import BadRequest
from longctx.models.memory import available_bytes

if TYPE_CHECKING:
    import torch

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


def dtype_named(name: Dtype) -> torch.dtype | Literal["auto"]:
    """The torch dtype of a name; "auto" leaves it to the checkpoint. Raises BadRequest for any other name."""
    import torch

    if name not in get_args(Dtype):
        raise BadRequest(f"dtype is {name!r}: use {', '.join(get_args(Dtype))}")
    return "auto" if name == "auto" else getattr(torch, name)


def computed_dtype(stated: torch.dtype, device: torch.device) -> torch.dtype:
    """The dtype in which numbers of a checkpoint's dtype are multiplied fastest on a device.

    Args:
        stated: The checkpoint's dtype.
        device: Where the model is to run.

    Returns:
        float32 for half precision on a processor that has no fast arithmetic for it, where it would take several
        times as long; otherwise the dtype itself.
    """
    import torch

    if device.type != "cpu" or stated not in (torch.bfloat16, torch.float16):
        return stated
    return stated if _has_arithmetic(stated) else torch.float32


def _has_arithmetic(dtype: torch.dtype) -> bool:
    """Whether oneDNN multiplies matrices of a dtype in hardware, and bf16 faster than float32."""
    import torch

    if dtype == torch.bfloat16:
        from indexes.encoders import has_bf16

        return has_bf16()
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    if not (capabilities.get("avx512_fp16") or capabilities.get("amx_fp16")):
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())


def auto_dtype(
    folder: Path, stated: torch.dtype | None, device: torch.device, unpacked: int | None = None
) -> tuple[torch.dtype | Literal["auto"], str | None]:
    """The dtype for `auto`: the checkpoint's own, or float32 where that is faster and fits into memory.

    Args:
        folder: The checkpoint's folder.
        stated: The dtype that its configuration states.
        device: Where the model is to run.
        unpacked: Bytes of the weights in the stated dtype; None if they are those of the files.

    Returns:
        The dtype, and a sentence that says so where it is not the checkpoint's own, or slow.
    """
    if stated is None or (faster := computed_dtype(stated, device)) == stated:
        return "auto", None
    named = str(stated).removeprefix("torch.")
    held = sum(file.stat().st_size for file in folder.glob("*.safetensors")) if unpacked is None else unpacked
    needed = held * faster.itemsize // stated.itemsize
    if needed > available_bytes(device):
        return "auto", (
            f"this processor has no fast {named} arithmetic: in float32 the weights would take "
            f"{needed / 2**30:.1f} GiB, which are not free (dtype='float32' loads them all the same)"
        )
    return faster, (
        f"this processor has no fast {named} arithmetic: the model runs in float32 (dtype='{named}' keeps its own "
        "dtype, in half the memory)"
    )


def device_named(name: str) -> torch.device:
    """The torch device of a name such as "cuda:1"; "auto" is the first GPU, or the CPU. Raises BadRequest if absent."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    present = _devices()
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError, ValueError):
        device = None
    if device is None or not {str(device), f"{device.type}:{device.index or 0}"} & {*present}:
        raise BadRequest(f"device is {name!r}, and what is here is {', '.join(present)}: use one of these, or auto")
    return device


def _devices() -> list[str]:
    import torch

    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    count = 0 if accelerator is None else torch.accelerator.device_count()
    return ["cpu", *(f"{accelerator.type}:{number}" for number in range(count) if accelerator is not None)]
