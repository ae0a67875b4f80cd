from .checksums import check_row, check_vector, checksum, settings_checksum, vector_checksum
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
from .documents import DerivedFile, KnownFile, read_document
from .nodes import NodeRow, NodeRows
from .reader import TEXT_BLOCK, StoreReader, read_chunk, unpacked
from .schema import CHUNK_FACTS, DOCUMENT_FACTS, check_format
from .store import Store
from .vectors import VectorRows

__all__ = [
    "ANYTHING",
    "CHUNK_FACTS",
    "DOCUMENT_FACTS",
    "MOST_TERMS",
    "TEXT_BLOCK",
    "Condition",
    "Database",
    "DerivedFile",
    "KnownFile",
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
    "check_row",
    "check_vector",
    "checksum",
    "compares",
    "compares_in_json",
    "contains",
    "of_any_source",
    "read_chunk",
    "read_document",
    "settings_checksum",
    "source_lies_in",
    "unpacked",
    "vector_checksum",
]
