from .cpu_inference import has_bf16
from .cross_encoder import Reranker, load_reranker
from .hub import SAFE_LOADING, weights_elsewhere
from .rotation import rotate
from .sentence_encoder import DEFAULT_ENCODER, load_encoder

__all__ = [
    "DEFAULT_ENCODER",
    "SAFE_LOADING",
    "Reranker",
    "has_bf16",
    "load_encoder",
    "load_reranker",
    "rotate",
    "weights_elsewhere",
]
