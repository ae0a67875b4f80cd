from . import memory
from .cache_shape import CacheShape
from .device import Dtype
from .estimate import MemoryEstimate, estimate_model, parse_bytes
from .fingerprint import hash_tensors, hash_tokenizer, hash_tokens, hash_weights
from .loading import LoadedModel, carried, extended_window, load_model
from .memory import CacheDtype
from .naming import SERVER_PREFIX, is_address
from .quantization import Quantization, hide_bitsandbytes
from .reading_rate import attention_work, keep_rate, kept_rate, rate_key
from .windows import UNSCALED, Measured, Measurements, measured_for, scaling_for, windows_of

__all__ = [
    "SERVER_PREFIX",
    "UNSCALED",
    "CacheDtype",
    "CacheShape",
    "Dtype",
    "LoadedModel",
    "Measured",
    "Measurements",
    "MemoryEstimate",
    "Quantization",
    "attention_work",
    "carried",
    "estimate_model",
    "extended_window",
    "hash_tensors",
    "hash_tokenizer",
    "hash_tokens",
    "hash_weights",
    "hide_bitsandbytes",
    "is_address",
    "keep_rate",
    "kept_rate",
    "load_model",
    "measured_for",
    "memory",
    "parse_bytes",
    "rate_key",
    "scaling_for",
    "windows_of",
]
