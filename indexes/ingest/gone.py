"""Documents whose files have gone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from indexes.sources import is_file
from indexes.storage import StoreReader, Writer


def missing_files(store: StoreReader, roots: Sequence[Path]) -> list[str]:
    """List the documents whose files have been deleted.

    Args:
        store: The store.
        roots: The files and folders, as absolute paths, that they lay in; one that does not exist counts for nothing.

    Returns:
        The sources of these documents and copies.
    """
    existing = tuple(root for root in roots if not is_gone(root))
    sources = map(Path, filter(is_file, store.sources()))
    return sorted(str(s) for s in sources if any(s.is_relative_to(root) for root in existing) and is_gone(s))


def prune_files(writer: Writer, roots: Sequence[Path]) -> int:
    """Remove the documents that `missing_files` lists.

    Args:
        writer: The writer of the index.
        roots: The files and folders, as absolute paths, that they lay in.

    Returns:
        How many were removed.
    """
    gone = missing_files(writer.store, roots)
    if not gone:
        return 0
    with writer.batch(gone) as generation:
        return sum(writer.store.remove_document(source, generation) for source in gone)


def is_gone(path: Path) -> bool:
    """Whether there is no such file; one in a folder without permission, which cannot be looked at, is not gone."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False
