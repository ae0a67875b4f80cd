from .index import DenseIndex

__all__ = [
    "DenseIndex",
]
