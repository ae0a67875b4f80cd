"""What an ingest would do, found without reading anything into the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from indexes.errors import UnreadableFile
from indexes.ingest.contents import hash_content, reading_version
from indexes.ingest.discovery import FoundFile, IgnoredPath, SkippedFile
from indexes.ingest.files import IngestOptions
from indexes.ingest.gone import missing_files
from indexes.ingest.object_storage import find_files
from indexes.sources import full_source
from indexes.storage import StoreReader
from indexes.types import Failure


@dataclass(frozen=True, slots=True)
class IngestPlan:
    """What an ingest would do. All paths are absolute.

    Attributes:
        added: Files that would be read, and are not in the index. Those that turn out to be copies would not be stored.
        changed: Files that would be read again.
        unchanged: Files that are in the index as they are.
        removed: Documents that `prune` would remove: their files have gone.
        empty: Files of no bytes.
        skipped: Files whose format longctx does not read.
        ignored: (path, rule) of the files and folders that a rule leaves out; see `IngestReport.ignored`.
        failed: What cannot be read, as far as that is seen without reading.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    ignored: tuple[tuple[str, str], ...] = ()
    failed: tuple[Failure, ...] = ()


def plan_ingest(store: StoreReader | None, roots: Sequence[Path], own: Path, options: IngestOptions) -> IngestPlan:
    """Look at files and folders, and list what an ingest would do.

    Args:
        store: The store of the index; None if there is none yet.
        roots: The files and folders, as absolute paths.
        own: The folder of the index itself, which is left out.
        options: How to ingest.

    Returns:
        The lists.
    """
    lists: dict[str, list[str]] = {name: [] for name in ("added", "changed", "unchanged", "empty", "skipped")}
    ignored: list[tuple[str, str]] = []
    failed: list[Failure] = []
    for found in find_files(roots, exclude=own, rules=options.rules):
        if isinstance(found, SkippedFile):
            if found.kind:
                lists["skipped"].append(full_source(found.path))
        elif isinstance(found, IgnoredPath):
            ignored.append((full_source(found.path), found.rule))
        elif isinstance(found, Failure):
            failed.append(found)
        else:
            try:
                lists[_doing(store, found, options)].append(found.source)
            except UnreadableFile as error:
                failed.append(Failure(found.source, error.reason))
    gone = missing_files(store, roots) if store is not None and options.prune else []
    return IngestPlan(
        **{name: tuple(paths) for name, paths in lists.items()},
        removed=tuple(gone),
        ignored=tuple(ignored),
        failed=tuple(failed),
    )


def _doing(store: StoreReader | None, found: FoundFile, options: IngestOptions) -> str:
    """What would be done with a file: the name of its list."""
    if not found.status.st_size:
        return "empty"
    known = None if store is None else store.stamp(found.source)
    if known is None:
        return "added"
    version = reading_version(options.chunking)
    if options.limits.encoding is None:
        if known.stamp is not None and known.stamp == found.stamped(version).stamp:
            return "unchanged"
        if known.content_hash == hash_content(found.path, found.read(options.limits), version):
            return "unchanged"
    return "changed"
