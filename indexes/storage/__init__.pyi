from .dense import DenseIndex, DenseSearcher
from .derived_files import Searchers
from .file_access import DISK_FAILS, READ_AGAIN, error_has_passed, read_failure
from .index_folder import IndexFolder, IndexWriter
from .lexical import FILLER, LexicalIndex, LexicalSearcher, idf_of, indexed_terms
from .lexical_query import UNKNOWN, telling, term_groups
from .read_session import ReadSession
from .repair import repair
from .sqlite import (
    ANYTHING,
    MOST_TERMS,
    Condition,
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
    source_lies_in,
)
from .verify import verify

__all__ = [
    "ANYTHING",
    "DISK_FAILS",
    "FILLER",
    "MOST_TERMS",
    "READ_AGAIN",
    "UNKNOWN",
    "Condition",
    "DenseIndex",
    "DenseSearcher",
    "IndexFolder",
    "IndexWriter",
    "LexicalIndex",
    "LexicalSearcher",
    "NodeRow",
    "ReadSession",
    "Searchers",
    "Store",
    "StoreReader",
    "all_of",
    "any_of",
    "checksum",
    "compares",
    "compares_in_json",
    "contains",
    "error_has_passed",
    "idf_of",
    "indexed_terms",
    "of_any_source",
    "read_failure",
    "repair",
    "source_lies_in",
    "telling",
    "term_groups",
    "verify",
]
