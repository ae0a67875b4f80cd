from .checksums import checksum
from .database import Database, Superseded
from .nodes import NodeRow
from .reader import Condition, DerivedFile, StoreReader, in_place
from .store import Store

__all__ = [
    "Condition",
    "Database",
    "DerivedFile",
    "NodeRow",
    "Store",
    "StoreReader",
    "Superseded",
    "checksum",
    "in_place",
]
