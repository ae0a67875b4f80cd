from .discovery import FoundFile, discover
from .pipeline import IngestCallback, IngestOptions, ingest_files

__all__ = [
    "FoundFile",
    "IngestCallback",
    "IngestOptions",
    "discover",
    "ingest_files",
]
