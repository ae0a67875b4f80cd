from .discovery import FoundFile, discover
from .files import IngestOptions, ingest_files
from .pipeline import IngestCallback, ingest_documents

__all__ = [
    "FoundFile",
    "IngestCallback",
    "IngestOptions",
    "discover",
    "ingest_documents",
    "ingest_files",
]
