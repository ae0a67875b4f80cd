from .engine import GgufEngine
from .model import GgufModel, activation_bytes, token_bytes
from .tokenizer import choose_gguf_template

__all__ = [
    "GgufEngine",
    "GgufModel",
    "activation_bytes",
    "choose_gguf_template",
    "token_bytes",
]
