from .index import FLAT_BELOW, DenseIndex, DenseSearcher

__all__ = [
    "FLAT_BELOW",
    "DenseIndex",
    "DenseSearcher",
]
