from .encoders import Reranker
from .errors import (
    CorpusError,
    EmptyFile,
    EncoderUnavailable,
    IndexBusy,
    IndexDamaged,
    IndexMismatch,
    IndexNotFound,
    RerankerUnavailable,
    UnreadableFile,
)
from .index import CorpusIndex
from .ingest import IngestPlan, ProcessWorkers, RayWorkers
from .metadata import Metadata
from .readers import ReadLimits
from .search import SearchFilter
from .snapshot import Snapshot
from .types import (
    Chunk,
    Document,
    DocumentInfo,
    Encoder,
    Failure,
    FileText,
    IndexInfo,
    IngestProgress,
    IngestReport,
    SearchHit,
    Table,
    VerifyReport,
)

__all__ = [
    "Chunk",
    "CorpusError",
    "CorpusIndex",
    "Document",
    "DocumentInfo",
    "EmptyFile",
    "Encoder",
    "EncoderUnavailable",
    "Failure",
    "FileText",
    "IndexBusy",
    "IndexDamaged",
    "IndexInfo",
    "IndexMismatch",
    "IndexNotFound",
    "IngestPlan",
    "IngestProgress",
    "IngestReport",
    "Metadata",
    "ProcessWorkers",
    "RayWorkers",
    "ReadLimits",
    "Reranker",
    "RerankerUnavailable",
    "SearchFilter",
    "SearchHit",
    "Snapshot",
    "Table",
    "UnreadableFile",
    "VerifyReport",
]
