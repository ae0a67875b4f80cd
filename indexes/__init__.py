"""Read, chunk, embed, store and search a corpus. It knows no language model and no prompt.

>>> from indexes import CorpusIndex
>>> with CorpusIndex.open("my-index") as index:
...     index.ingest(["papers/"])
...     hits = index.search("How is RoPE scaled?", k=5)
"""

from indexes.errors import (
    CorpusError,
    EncoderUnavailable,
    IndexBusy,
    IndexDamaged,
    IndexMismatch,
    IndexNotFound,
    RerankerUnavailable,
    UnreadableFile,
)
from indexes.filters import SearchFilter
from indexes.index import CorpusIndex
from indexes.metadata import Metadata
from indexes.readers import ReadLimits
from indexes.rerankers import Reranker
from indexes.types import (
    Chunk,
    Document,
    DocumentInfo,
    Encoder,
    Failure,
    IndexInfo,
    IngestProgress,
    IngestReport,
    SearchHit,
    VerifyReport,
)

__all__ = [
    "Chunk",
    "CorpusError",
    "CorpusIndex",
    "Document",
    "DocumentInfo",
    "Encoder",
    "EncoderUnavailable",
    "Failure",
    "IndexBusy",
    "IndexDamaged",
    "IndexInfo",
    "IndexMismatch",
    "IndexNotFound",
    "IngestProgress",
    "IngestReport",
    "Metadata",
    "ReadLimits",
    "Reranker",
    "RerankerUnavailable",
    "SearchFilter",
    "SearchHit",
    "UnreadableFile",
    "VerifyReport",
]
