from .checksums import check_vector, checksum, vector_checksum
from .conditions import (
    ANYTHING,
    MOST_TERMS,
    Condition,
    all_of,
    any_of,
    compares,
    compares_in_json,
    contains,
    of_any_source,
    source_lies_in,
)
from .database import Database, ReadTransaction, Superseded
from .documents import DerivedFile
from .nodes import NodeRow, NodeRows
from .reader import StoreReader
from .schema import check_format
from .store import Store
from .vectors import VectorRows

__all__ = [
    "ANYTHING",
    "MOST_TERMS",
    "Condition",
    "Database",
    "DerivedFile",
    "NodeRow",
    "NodeRows",
    "ReadTransaction",
    "Store",
    "StoreReader",
    "Superseded",
    "VectorRows",
    "all_of",
    "any_of",
    "check_format",
    "check_vector",
    "checksum",
    "compares",
    "compares_in_json",
    "contains",
    "of_any_source",
    "source_lies_in",
    "vector_checksum",
]
