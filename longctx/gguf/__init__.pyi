from .engine import GgufEngine
from .model import GgufModel
from .tokenizer import choose_gguf_template

__all__ = [
    "GgufEngine",
    "GgufModel",
    "choose_gguf_template",
]
