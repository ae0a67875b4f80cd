from . import memory
from .cache_shape import CacheShape, cache_argument
from .device import Dtype
from .estimate import MemoryEstimate, estimate_model
from .fingerprint import gguf_hash, hash_files, hash_tensors, hash_tokenizer, hash_tokens, hash_weights, loaded_hash
from .freed_memory import keep_freed_memory, return_freed_memory
from .gguf_file import GgufFile, read_gguf
from .gguf_header import is_gguf, refuse_gguf_folder
from .loaded_model import (
    LoadedModel,
    ScalableModel,
    carried,
    check_window_and_scaling,
    extended_window,
    scaled_window,
    trial_scaling,
)
from .loading import FASTEST, load_model
from .memory import CacheDtype, parse_bytes
from .naming import SERVER_PREFIX, is_address, remedy_for
from .packing import is_packed
from .quantization import Quantization, QuantizationChoice, hide_bitsandbytes
from .reading_rate import attention_work, config_object, keep_rate, kept_rate, rate_key, speed_of
from .windows import UNSCALED, Measured, Measurements, measured_for, scaling_for, windows_of

__all__ = [
    "FASTEST",
    "SERVER_PREFIX",
    "UNSCALED",
    "CacheDtype",
    "CacheShape",
    "Dtype",
    "GgufFile",
    "LoadedModel",
    "Measured",
    "Measurements",
    "MemoryEstimate",
    "Quantization",
    "QuantizationChoice",
    "ScalableModel",
    "attention_work",
    "cache_argument",
    "carried",
    "check_window_and_scaling",
    "config_object",
    "estimate_model",
    "extended_window",
    "gguf_hash",
    "hash_files",
    "hash_tensors",
    "hash_tokenizer",
    "hash_tokens",
    "hash_weights",
    "hide_bitsandbytes",
    "is_address",
    "is_gguf",
    "is_packed",
    "keep_freed_memory",
    "keep_rate",
    "kept_rate",
    "load_model",
    "loaded_hash",
    "measured_for",
    "memory",
    "parse_bytes",
    "rate_key",
    "read_gguf",
    "refuse_gguf_folder",
    "remedy_for",
    "return_freed_memory",
    "scaled_window",
    "scaling_for",
    "speed_of",
    "trial_scaling",
    "windows_of",
]
