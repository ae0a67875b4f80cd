from .engine import Engine, Prefix
from .generation import Generation
from .prefix_cache import shared_length
from .prefix_file import PrefixRefused, check_made_from
from .prefix_store import KV_CACHE_BYTES, KV_CACHE_FOLDER, PrefixStore
from .request import PrefillCallback, PrefillProgress, Request, make_request
from .sampling import GenerationOptions, Thinking

__all__ = [
    "KV_CACHE_BYTES",
    "KV_CACHE_FOLDER",
    "Engine",
    "Generation",
    "GenerationOptions",
    "PrefillCallback",
    "PrefillProgress",
    "Prefix",
    "PrefixRefused",
    "PrefixStore",
    "Request",
    "Thinking",
    "check_made_from",
    "make_request",
    "shared_length",
]
