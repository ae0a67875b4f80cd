from .engine import Engine, Prefix
from .generation import Generation
from .request import PrefillCallback, PrefillProgress
from .sampling import GenerationOptions, Thinking

__all__ = [
    "Engine",
    "Generation",
    "GenerationOptions",
    "PrefillCallback",
    "PrefillProgress",
    "Prefix",
    "Thinking",
]
