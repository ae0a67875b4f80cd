from .cpu_inference import has_bf16
from .cross_encoder import Reranker, load_reranker
from .sentence_encoder import DEFAULT_ENCODER, load_encoder

__all__ = [
    "DEFAULT_ENCODER",
    "Reranker",
    "has_bf16",
    "load_encoder",
    "load_reranker",
]
