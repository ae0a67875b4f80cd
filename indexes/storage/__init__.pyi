from .dense import DenseIndex
from .index_folder import IndexFolder, IndexWriter
from .lexical import LexicalIndex
from .sqlite import Condition, NodeRow, Store, StoreReader, checksum, in_place
from .verify import verify

__all__ = [
    "Condition",
    "DenseIndex",
    "IndexFolder",
    "IndexWriter",
    "LexicalIndex",
    "NodeRow",
    "Store",
    "StoreReader",
    "checksum",
    "in_place",
    "verify",
]
