from .index import DenseIndex, DenseSearcher

__all__ = [
    "DenseIndex",
    "DenseSearcher",
]
