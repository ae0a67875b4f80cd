"""Causal language models and their tokenizers, loaded from a local folder or the Hugging Face hub."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from indexes.near import near_path
from longctx.errors import BadRequest, LongctxError, ModelUnavailable, extra
from longctx.models.causality import check_generates
from longctx.models.device import Dtype, auto_dtype, computed_dtype, device_named, dtype_named
from longctx.models.gguf_header import is_gguf, refuse_gguf_folder
from longctx.models.loaded_model import (
    LARGEST_FACTOR,
    LoadedModel,
    carried,
    check_window_and_scaling,
    trial_scaling,
)
from longctx.models.lora import Adapter, attach_lora, is_adapter, read_adapter
from longctx.models.naming import is_address, remedy_for
from longctx.models.quantization import (
    INT8_BY_ITSELF,
    SLOW_ON_CPU,
    Quantization,
    QuantizationChoice,
    auto_quantization,
    check_scheme,
    is_quantized,
    loading_settings,
    plain_products,
    unpacked_bytes,
)
from longctx.models.tokenizer import has_tokenizer, load_tokenizer
from longctx.models.weights import read_model, stated_dtype
from rope_scaling import (
    CheckpointError,
    InvalidScaling,
    RopeScaling,
    UnsupportedConfig,
    carried_scaling,
    find_checkpoint,
    load_config,
    read_base,
    scaled_rope,
    stated_window,
)
from rope_scaling.transformers_config import steady_window

if TYPE_CHECKING:
    import torch

FASTEST: dict[str, Any] = {"packed": True, "quantization": "auto"}  # options for a model that is only to be asked
_Loaded = tuple[Any, bool, "str | None"]  # a model, whether transformers quantizes it, and what to say of its dtype
_DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")  # transformers' own words
_NO_LIMIT = 10**9  # what tokenizers say who know no limit is larger


def load_model(
    name_or_path: str | Path,
    *,
    dtype: Dtype = "auto",
    device: str = "auto",
    scaling: str | RopeScaling | None = None,
    quantization: QuantizationChoice | None = None,
    adapter: str | Path | None = None,
    native_window: int | None = None,
    device_map: str | None = None,
    packed: bool = False,
) -> LoadedModel:
    """Load a causal language model from a folder, or by its name on the hub.

    Only safetensors are read, and no code that a checkpoint brings is run.

    Args:
        name_or_path: The folder of a checkpoint or of a LoRA adapter, or a name on the hub. An adapter brings the model
            that it was trained on.
        dtype: "auto", "float32", "bfloat16" or "float16". "auto" is the checkpoint's own; on a processor without
            fast arithmetic for it, float32, where the memory allows (see `LoadedModel.note`).
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", ….
        scaling: A RoPE scaling, or the name of a method such as "yarn"; see `LoadedModel.scaling` for the difference.
        quantization: "4bit" or "8bit" quantizes the weights as they are loaded, and so does "int8", which on a CPU is
            also faster; a checkpoint that is quantized already needs none. "auto" is "int8" for half precision on a
            processor that has no fast arithmetic for it, and from half a billion parameters on; otherwise it is "none".
        adapter: A LoRA adapter's folder or hub name, for a model.
        native_window: The native context length in tokens, in place of the configuration's.
        device_map: "auto" spreads the layers over all GPUs, and over memory if those are full (accelerate does); None
            puts all of them on `device`.
        packed: Keep the weights of linear layers in the form in which a CPU multiplies several tokens fastest. Such a
            model is for an engine: it cannot be trained or saved.

    Returns:
        The model with its tokenizer.

    Raises:
        BadRequest: For an option that does not exist, or does not go with the checkpoint.
        ModelUnavailable: If no causal language model can be loaded.
        RopeScalingError: If the model cannot be scaled so.
        InvalidScaling: If its configuration states RoPE parameters that make no scaling.
    """
    if is_gguf(name_or_path):
        raise ModelUnavailable(
            f"{name_or_path} is a GGUF file, which llama.cpp runs: open it with GgufEngine.open or DocumentQA.open, or "
            "make a transformers folder of it (docs/models.md)"
        )
    from longctx.models.packing import pack_model, pack_quantized, quantize_model

    held = dtype_named(dtype), device_named(device)
    check_scheme(quantization)
    _check_device_map(device_map, device)
    check_window_and_scaling(native_window, scaling)
    name, folder, lora = _parts(str(name_or_path), None if adapter is None else str(adapter))
    if not (folder / "config.json").is_file():
        refuse_gguf_folder(folder)
        raise ModelUnavailable(f"{folder} holds no config.json: give the folder of a transformers checkpoint")
    scheme = _scheme(quantization, folder, dtype, held[1], device_map)
    on_cpu = _is_int8_on_cpu(scheme, dtype, held[1], device_map)
    load: Callable[[Path, Any], _Loaded] = (
        partial(_load_for_int8, kept=lora is None, note=INT8_BY_ITSELF if quantization == "auto" else None)
        if on_cpu
        else partial(_load, held=held, quantization=scheme, device_map=device_map)
    )
    tokenizer, (model, quantized, note) = _opened(folder, lora, load)
    if lora is not None:
        if len(tokenizer) > model.get_input_embeddings().num_embeddings:  # tokens that the adapter was trained with
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        model = attach_lora(model.float() if on_cpu else model, lora, merge=not quantized)
    if on_cpu:
        quantize_model(model)  # what is kept is quantized already
        pack_quantized(model)
    elif packed and not quantized and device_map is None:  # accelerate's hooks are on the modules
        pack_model(model)
    window = native_window or _usable(checkpoint_window(folder, model.config) or tokenizer.model_max_length)
    if window is None:
        raise ModelUnavailable(
            f"the configuration in {folder} states no window above 0 tokens: give native_window (--window)"
        )
    if (steady := _read_right(model.config)) is not None and steady < window:
        said = f"its RoPE changes past {steady} tokens in a way that is not understood here"
        if native_window is not None:
            raise BadRequest(f"native_window is {native_window}, and {said}: give {steady} or less")
        window, note = steady, "; ".join(filter(None, [note, f"{said}, so that this is its window"]))
    tried = None if scaling is None else _tried(scaling, model, window)
    put_on = None if lora is None else str(lora.folder)
    return LoadedModel(name, model, tokenizer, window, tried, scheme, put_on, note)


def _check_device_map(device_map: str | None, device: str) -> None:
    if device_map is None:
        return
    if device_map not in _DEVICE_MAPS:
        raise BadRequest(f"device_map is {device_map!r}: use {', '.join(_DEVICE_MAPS)}")
    if device != "auto":
        raise BadRequest(f"device_map is {device_map!r} and device is {device!r}: give one of them")
    if importlib.util.find_spec("accelerate") is None:
        raise BadRequest(
            f"device_map is {device_map!r}, which needs accelerate, from {extra('quant')}; or leave it out"
        )


def _parts(name: str, adapter: str | None) -> tuple[str, Path, Adapter | None]:
    """The name and the folder of the model itself, and the adapter that goes onto it."""
    folder = model_folder(name)
    if not is_adapter(folder):
        return name, folder, None if adapter is None else read_adapter(model_folder(adapter))
    if adapter is not None:
        raise BadRequest(f"{name} is an adapter itself: give its base model with the adapter {adapter}, or no other")
    lora = read_adapter(folder)
    remedy = f"give that model, and {name} as its adapter"
    if not lora.base:
        raise ModelUnavailable(f"the adapter {name} does not say what model it was trained on: {remedy}")
    try:
        base = model_folder(lora.base)
    except ModelUnavailable as error:
        raise ModelUnavailable(f"the adapter {name} was trained on {lora.base}: {error}; or {remedy}") from error
    return lora.base, base, lora


def model_folder(name: str) -> Path:
    """The local folder of a checkpoint that is given as a path or a hub name. Raises ModelUnavailable."""
    if is_address(name):
        raise ModelUnavailable(f"{name} is a server, whose model cannot be loaded here: it can be asked (longctx ask)")
    try:
        folder = find_checkpoint(name, "safetensors")
        if "gguf" in name.lower() and not Path(name).expanduser().is_dir() and not (folder / "config.json").is_file():
            raise CheckpointError(f"{name!r} has no config.json on the hub")
        return folder
    except CheckpointError as error:
        near = near_path(Path(name).expanduser(), Path.is_dir)
        remedy = f"did you mean {near}?" if near else remedy_for(name)
        raise ModelUnavailable("; ".join(filter(None, [str(error), remedy]))) from error


def _opened(folder: Path, lora: Adapter | None, load: Callable[[Path, Any], _Loaded]) -> tuple[Any, _Loaded]:
    """The tokenizer, and what `load` makes of the folder and its configuration. Raises ModelUnavailable."""
    strange: UnsupportedConfig | None = None
    try:
        config = load_config(folder)
        strange = _check_rope(config)
        tokenizer = load_tokenizer(lora.folder if lora is not None and has_tokenizer(lora.folder) else folder)
        return tokenizer, load(folder, config)
    except (InvalidScaling, LongctxError):
        raise
    except Exception as error:  # every family raises its own errors
        if isinstance(error, ArithmeticError | LookupError | TypeError):  # of a value that makes no sense
            error = strange or ModelUnavailable(f"a value in its config.json cannot be used: {error!r}")
        reason = " ".join(str(error).split())
        raise ModelUnavailable(f"no causal language model could be loaded from {folder}: {reason}") from error


def _load(
    folder: Path,
    config: Any,
    *,
    held: tuple[torch.dtype | Literal["auto"], torch.device],
    quantization: Quantization | None,
    device_map: str | None,
) -> _Loaded:
    """The model on its device, whether its weights are quantized, and what to say of its dtype."""
    import torch

    dtype, device = held
    given: dict[str, Any] = {}
    quantized, note = is_quantized(folder, quantization), None
    own = stated_dtype(folder, config)
    stated = own or torch.float32
    unpacked = unpacked_bytes(folder, stated if dtype == "auto" else dtype, device)
    if dtype == "auto":
        if quantization is not None:
            dtype = computed_dtype(stated, device)
        elif not quantized or unpacked is not None:
            dtype, note = auto_dtype(folder, own, device, unpacked)
    if quantization is not None:
        assert isinstance(dtype, torch.dtype)
        given["quantization_config"] = loading_settings(quantization, dtype)
        note = SLOW_ON_CPU if device.type == "cpu" else None
    if device_map is not None:
        given["device_map"] = device_map
    elif quantized:  # which is done where they are to stay
        given["device_map"] = {"": device}
    model = read_model(folder, dtype=dtype, **given)
    if unpacked is not None:  # some to bfloat16, whatever the dtype
        model = model.to(stated if dtype == "auto" else dtype)
    plain_products(model)
    model = (model if quantized or device_map else model.to(device)).eval()
    check_generates(model, folder)
    return model, quantized, note


def _scheme(
    quantization: QuantizationChoice | None, folder: Path, dtype: Any, device: torch.device, device_map: str | None
) -> Quantization | None:
    """The quantization that a choice means for a checkpoint."""
    if quantization == "auto":
        return auto_quantization(folder, device) if dtype == "auto" and device_map is None else None
    return None if quantization == "none" else quantization


def _is_int8_on_cpu(quantization: str | None, dtype: Any, device: torch.device, device_map: str | None) -> bool:
    """Whether `quantize_model` quantizes the weights, and not bitsandbytes. Raises BadRequest for a dtype beside it."""
    if quantization != "int8" or device.type != "cpu" or device_map is not None:
        return False
    if dtype not in ("auto", "float32"):
        raise BadRequest(f"dtype is {dtype!r}, and int8 on a CPU is float32 but for its products: leave dtype out")
    return True


def _load_for_int8(folder: Path, config: Any, *, kept: bool, note: str | None) -> _Loaded:
    # Quantized where it may be kept so; else in the dtype of its checkpoint, as float32 would take twice that
    from longctx.models import kept_int8
    from longctx.models.packing import quantize_model

    if is_quantized(folder, None):
        raise BadRequest(f"{folder} is quantised already: leave quantization='int8' out")
    if kept and (model := kept_int8.load_kept(folder, config)) is not None:
        return model, False, note
    model = read_model(folder, dtype="auto").eval()
    check_generates(model, folder)
    if kept:
        quantize_model(model)
        kept_int8.keep(model, folder)
    return model, False, note


def _check_rope(config: Any) -> UnsupportedConfig | None:
    """What is not understood of the RoPE parameters, which may be a family's own; InvalidScaling for no rotation."""
    try:
        carried_scaling(config)
        read_base(config)
    except UnsupportedConfig as error:
        return error
    return None


def _read_right(config: Any) -> int | None:
    """The longest sequence in tokens that is read with one set of frequencies; None where every one is."""
    return None if _check_rope(config) is None else steady_window(config)


def _tried(scaling: str | RopeScaling, model: Any, window: int) -> str | RopeScaling:
    """The scaling, with the native window in it; the model has been under it once, so that what cannot be is said."""
    if carried(model.config) is not None:  # the window is the extended one, and the scaling states the native one
        window = read_base(model.config).window
    trial = trial_scaling(scaling, window)
    with scaled_rope(model, trial, LARGEST_FACTOR * window):
        return trial.method if isinstance(scaling, str) else trial


def checkpoint_window(folder: Path, config: Any) -> int | None:
    """The context length of a checkpoint, by its config.json.

    Args:
        folder: The checkpoint's folder.
        config: Its configuration as transformers reads it.

    Returns:
        The window in tokens; None if the configuration states none.
    """
    # config.json itself, where it states the window: transformers fills in an original window that is missing
    written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    states = "max_position_embeddings" in (written.get("text_config") or written)
    return stated_window(written if states else config)


def _usable(window: float | None) -> int | None:
    return int(window) if window and 0 < window < _NO_LIMIT else None
