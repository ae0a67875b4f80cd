from .engine import Engine, Prefix
from .generation import Generation
from .prefix_file import PrefixRefused
from .request import PrefillCallback, PrefillProgress, Request, make_request
from .sampling import GenerationOptions

__all__ = [
    "Engine",
    "Generation",
    "GenerationOptions",
    "PrefillCallback",
    "PrefillProgress",
    "Prefix",
    "PrefixRefused",
    "Request",
    "make_request",
]
