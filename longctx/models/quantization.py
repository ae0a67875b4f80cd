"""Quantised weights: what bitsandbytes makes of a matrix, and what checkpoints that have them already need.

Knows configurations and which packages are installed; reads no weights and runs no model.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import math
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from longctx.errors import BadRequest, ModelUnavailable, NotEnoughMemory, extra
from longctx.models.device import computed_dtype
from longctx.models.memory import available_bytes
from longctx.models.weights import read_header, stated_dtype

if TYPE_CHECKING:
    import torch

Quantization = Literal["4bit", "8bit", "int8"]
QuantizationChoice = Literal["auto", "none", "4bit", "8bit", "int8"]


@dataclass(frozen=True, slots=True)
class Scheme:
    """A quantization: by bitsandbytes, but for int8 on a CPU.

    Attributes:
        nbytes: Gives the bytes of a quantized matrix.
        settings: Gives the arguments of transformers' BitsAndBytesConfig, for a dtype of the products.
    """

    nbytes: Callable[[torch.Tensor], float]
    settings: Callable[[torch.dtype], dict[str, Any]]


SCHEMES: dict[str, Scheme] = {
    # NF4 (Dettmers et al., "QLoRA", arXiv 2305.14314): half a byte, and a float32 scale for each 64. The scales are
    # not quantised in their turn: that would save 8 % of the weights, and cost a step more at every token.
    "4bit": Scheme(
        lambda matrix: matrix.numel() * (0.5 + 4 / 64),
        lambda dtype: {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype},
    ),
    # LLM.int8 (Dettmers et al., arXiv 2208.07339): a byte, and a float32 scale for each row.
    "8bit": Scheme(lambda matrix: matrix.numel() + 4 * matrix.shape[0], lambda _: {"load_in_8bit": True}),
    # On a CPU, dynamic int8 (see `longctx.models.cpu_products`); elsewhere the same as 8bit.
    "int8": Scheme(lambda matrix: matrix.numel() + 4 * matrix.shape[0], lambda _: {"load_in_8bit": True}),
}

_BITSANDBYTES, _GPTQMODEL, _COMPRESSED = "bitsandbytes", "gptqmodel", "compressed_tensors"
_LEAST_FOR_INT8 = 500_000_000  # parameters of the linear layers: smaller models are fast enough as they are
_LEAST_SHARE = 0.95  # of all parameters in int8: what remains is kept in float32
_UNPACKED = ("mxfp4", "fp8", "mxfp8")  # which transformers computes with on GPUs only
INT8_BY_ITSELF = (
    "this processor has no fast arithmetic for the model's dtype: its weights are kept in int8, which is faster and "
    "four times smaller than float32 (quantization='none' takes float32)"
)
SLOW_ON_CPU = (
    "bitsandbytes unpacks every matrix for every token on a CPU, and is several times slower than float32 there: "
    "quantization='int8', or a GGUF file of the model, is faster"
)
_HIDDEN: Any = None  # what makes Python say of a module that it is not there
_PACKAGES = {  # what transformers loads such checkpoints with
    _BITSANDBYTES: (_BITSANDBYTES, "accelerate"),
    "gptq": (_GPTQMODEL, "optimum"),
    "awq": (_GPTQMODEL, "accelerate"),
    "compressed-tensors": (_COMPRESSED,),
}

_INSTALL = {
    _BITSANDBYTES: extra("quant"),
    _GPTQMODEL: "pip install gptqmodel==7.6.0 optimum==2.3.0 accelerate",
    _COMPRESSED: "pip install compressed-tensors==0.20.1",
}


def check_scheme(quantization: QuantizationChoice | None) -> None:
    """Raise BadRequest for a quantization that does not exist."""
    if quantization is not None and not (isinstance(quantization, str) and quantization in ("auto", "none", *SCHEMES)):
        raise BadRequest(f"quantization is {quantization!r}: use {', '.join(SCHEMES)}, auto or none")


def auto_quantization(folder: Path, device: torch.device) -> Quantization | None:
    """The quantization for `auto`.

    Args:
        folder: The checkpoint's folder.
        device: Where the model is to run.

    Returns:
        "int8" for a large model in half precision on a processor that has no fast arithmetic for that: in float32 it
        would take four times the memory, and be several times slower. None for any other, and for what cannot be
        loaded.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from longctx.models.cpu_products import why_not_int8
    from rope_scaling import load_config

    try:
        config = load_config(folder)
        stated = stated_dtype(folder, config)
        if getattr(config, "quantization_config", None) or stated is None or computed_dtype(stated, device) == stated:
            return None
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(config)
    except Exception:  # every family raises its own errors, which are said where the model is loaded
        return None
    linears = [module.weight for module in model.modules() if type(module) is torch.nn.Linear]
    held = {id(matrix): matrix.numel() for matrix in (*linears, model.get_input_embeddings().weight)}
    whole = sum(parameter.numel() for parameter in model.parameters())
    if sum(matrix.numel() for matrix in linears) < _LEAST_FOR_INT8 or sum(held.values()) < _LEAST_SHARE * whole:
        return None
    return None if why_not_int8() else "int8"


def matrix_bytes(config: Any, quantization: Quantization | None) -> Callable[[torch.Tensor], float] | None:
    """How many bytes a quantized matrix takes.

    Args:
        config: The model's configuration, which may state a quantization of its own.
        quantization: The one that it is loaded with.

    Returns:
        A function from a matrix to bytes; None if nothing is quantized.
    """
    carried = getattr(config, "quantization_config", None) or {}
    if quantization is None and carried.get("quant_method") == _BITSANDBYTES:
        quantization = "4bit" if carried.get("load_in_4bit") else "8bit"
    if quantization is not None:
        return SCHEMES[quantization].nbytes
    if not carried.get("bits"):
        return None
    order = 4 if carried.get("quant_method") == "gptq" else 0
    return _grouped(carried["bits"], carried.get("group_size") or 128, order)


def _grouped(bits: int, group: int, order: int) -> Callable[[torch.Tensor], float]:
    # GPTQ and AWQ have a float16 scale and a zero point for each `group` of a row's numbers; a group of -1 is the whole
    # row. `order` is the bytes that say which group a column belongs to.

    def nbytes(matrix: torch.Tensor) -> float:
        rows, columns = matrix.shape
        groups = -(-columns // group) if group > 0 else 1
        return rows * columns * bits / 8 + rows * groups * (2 + bits / 8) + order * columns

    return nbytes


def is_quantized(folder: Path, quantization: Quantization | None) -> bool:
    """Whether transformers will quantize a checkpoint's weights: by its own configuration, or as they are loaded.

    Args:
        folder: The checkpoint's folder.
        quantization: The quantization to load it with.

    Returns:
        True if either is the case.

    Raises:
        BadRequest: For both at once.
        ModelUnavailable: If a package that it needs is missing.
    """
    carried = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("quantization_config") or {}
    method = carried.get("quant_method")
    if method and quantization:
        raise BadRequest(f"{folder} is quantised already, by {method}: leave quantization={quantization!r} out")
    if quantization and (missing := _missing(_BITSANDBYTES)):
        raise ModelUnavailable(
            f"quantization is {quantization!r}, which needs {missing}, from {extra('quant')}; or leave it out"
        )
    if method and (missing := _missing(method)):
        raise ModelUnavailable(
            f"{folder} is quantised by {method}, which needs {missing}: {_INSTALL[_PACKAGES[method][0]]}"
        )
    if quantization or method == _BITSANDBYTES:
        _import_bitsandbytes()
    if method and _GPTQMODEL in _PACKAGES.get(method, ()):
        _import_gptqmodel()
    return bool(carried or quantization)


def unpacked_bytes(folder: Path, dtype: torch.dtype, device: torch.device) -> int | None:
    """Bytes of a checkpoint whose weights transformers unpacks as it loads: one in MXFP4 or in 8-bit floats, on a CPU.

    Args:
        folder: The checkpoint's folder.
        dtype: What the weights are unpacked to.
        device: Where the model is to run.

    Returns:
        Bytes; None for any other checkpoint.

    Raises:
        NotEnoughMemory: If they do not fit into the free memory.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("quantization_config") or {}
    method = config.get("quant_method")
    if device.type != "cpu" or method not in _UNPACKED:
        return None
    numbers = 0
    for path in folder.glob("*.safetensors"):
        for name, tensor in read_header(path).items():
            size = 0 if name == "__metadata__" or "_scale" in name else math.prod(tensor["shape"])
            numbers += 2 * size if name.endswith("_blocks") else size
    needed, free = numbers * dtype.itemsize, available_bytes(device)
    if needed > free:
        raise NotEnoughMemory(
            f"{folder} is quantised by {method}, which is unpacked on a CPU: the weights would take "
            f"{needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free; take a GGUF file of the model, which "
            "llama.cpp runs as it is"
        )
    return needed


def loading_settings(quantization: Quantization, dtype: torch.dtype) -> Any:
    """The BitsAndBytesConfig with which transformers quantizes as it loads; products are computed in `dtype`."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(**SCHEMES[quantization].settings(dtype))


def plain_products(model: Any) -> None:
    """Let bitsandbytes multiply on every CPU as on any other: by the numbers that its 4 bits stand for, in their dtype.

    Where a processor has bfloat16, its release 0.50 lays weights out anew at the first call, and multiplies in
    bfloat16 whatever was asked for; when the state of such a model has been read once, its scales are in disorder.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def hide_bitsandbytes() -> None:
    """Keep it from being imported until weights are quantised.

    Whatever imports transformers imports peft where it is installed, and with it bitsandbytes, which takes a second.
    """
    sys.modules.setdefault(_BITSANDBYTES, _HIDDEN)


def _import_bitsandbytes() -> None:
    """Import it without the code that it fetches from the hub and runs where the package `kernels` is installed."""
    _show_bitsandbytes()
    logging.getLogger(_BITSANDBYTES).setLevel(logging.ERROR)  # it warns at every product, of what it does by design
    kernels = {name: module for name, module in sys.modules.items() if name == "kernels"}
    sys.modules["kernels"] = _HIDDEN
    try:
        importlib.import_module(_BITSANDBYTES)
    finally:
        del sys.modules["kernels"]
        sys.modules.update(kernels)


def _import_gptqmodel() -> None:
    """Import it without its reports, which go to standard output, and the handler that it leaves on the root logger."""
    if importlib.util.find_spec(_BITSANDBYTES):  # which it imports
        _import_bitsandbytes()
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    with redirect_stdout(sys.stderr):
        if importlib.util.find_spec("logbar"):
            importlib.import_module("logbar").LogBar.shared().setLevel(logging.ERROR)
        importlib.import_module(_GPTQMODEL)
    root.setLevel(level)
    root.handlers[:] = handlers


def _show_bitsandbytes() -> None:
    if sys.modules.get(_BITSANDBYTES, sys) is _HIDDEN:
        del sys.modules[_BITSANDBYTES]


def _missing(method: str) -> str:
    _show_bitsandbytes()
    return " and ".join(name for name in _PACKAGES.get(method, ()) if importlib.util.find_spec(name) is None)
