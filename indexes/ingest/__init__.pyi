from .discovery import FoundFile, discover
from .files import IngestOptions, ingest_files
from .pipeline import IngestCallback, are_stored, check_documents, ingest_documents

__all__ = [
    "FoundFile",
    "IngestCallback",
    "IngestOptions",
    "are_stored",
    "check_documents",
    "discover",
    "ingest_documents",
    "ingest_files",
]
