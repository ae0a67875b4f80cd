from .contents import read_unchanged
from .discovery import FoundFile, discover
from .documents import are_stored, check_documents, ingest_documents
from .dry_run import IngestPlan, plan_ingest
from .file_status import version_of
from .files import IngestOptions, ingest_files
from .gone import emptied_folders, missing_files, prune_files
from .ignore_rules import WalkRules
from .pipeline import IngestCallback
from .ray_workers import RayWorkers
from .workers import ProcessWorkers

__all__ = [
    "FoundFile",
    "IngestCallback",
    "IngestOptions",
    "IngestPlan",
    "ProcessWorkers",
    "RayWorkers",
    "WalkRules",
    "are_stored",
    "check_documents",
    "discover",
    "emptied_folders",
    "ingest_documents",
    "ingest_files",
    "missing_files",
    "plan_ingest",
    "prune_files",
    "read_unchanged",
    "version_of",
]
