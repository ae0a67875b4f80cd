from .bm25 import idf, saturated
from .copying import copy_documents
from .dense import DenseIndex, DenseSearcher
from .file_access import DISK_FAILS, file_mode, odd_file_beside, read_failure, second_look
from .held_folder import HeldFolder, reachable
from .index_folder import IndexFolder
from .lexical import FILLER, LexicalIndex, LexicalSearcher, idf_of, indexed_terms
from .lexical_query import UNKNOWN, telling, term_groups
from .postgres import DatabaseAddress, PostgresIndex, is_database, kept_beside, shown
from .protocols import DenseSearch, IndexStorage, LexicalSearch, Searchers, Session, Writer
from .repair import repair
from .sqlite import (
    ANYTHING,
    MOST_TERMS,
    Condition,
    KnownFile,
    NodeRow,
    Store,
    StoreReader,
    all_of,
    any_of,
    checksum,
    compares,
    compares_in_json,
    contains,
    of_any_source,
    settings_checksum,
    source_lies_in,
)

__all__ = [
    "ANYTHING",
    "DISK_FAILS",
    "FILLER",
    "MOST_TERMS",
    "UNKNOWN",
    "Condition",
    "DatabaseAddress",
    "DenseIndex",
    "DenseSearch",
    "DenseSearcher",
    "HeldFolder",
    "IndexFolder",
    "IndexStorage",
    "KnownFile",
    "LexicalIndex",
    "LexicalSearch",
    "LexicalSearcher",
    "NodeRow",
    "PostgresIndex",
    "Searchers",
    "Session",
    "Store",
    "StoreReader",
    "Writer",
    "all_of",
    "any_of",
    "checksum",
    "compares",
    "compares_in_json",
    "contains",
    "copy_documents",
    "file_mode",
    "idf",
    "idf_of",
    "indexed_terms",
    "is_database",
    "kept_beside",
    "odd_file_beside",
    "of_any_source",
    "reachable",
    "read_failure",
    "repair",
    "saturated",
    "second_look",
    "settings_checksum",
    "shown",
    "source_lies_in",
    "telling",
    "term_groups",
]
