"""Documents whose files have gone."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from indexes.ingest.object_storage import is_stored_no_more, stored_sources
from indexes.sources import full_source, is_file, is_stored, lies_in
from indexes.storage import StoreReader, Writer


def missing_files(store: StoreReader, roots: Sequence[Path]) -> list[str]:
    """List the documents whose files have been deleted.

    Args:
        store: The store.
        roots: The files and folders, as absolute paths, that they lay in; one that does not exist counts for nothing.

    Returns:
        The sources of these documents and copies.
    """
    sources = [source for source in store.sources() if is_file(source)]
    gone = set[str]()
    for root in map(full_source, roots):
        inside = [source for source in sources if lies_in(source, root)]
        if is_stored(root):
            held = stored_sources(root)
            gone |= {source for source in inside if held and source not in held}
        elif not is_gone(root):
            gone |= {source for source in inside if is_gone(source)}
    return sorted(gone)


def emptied_folders(missing: Collection[str], root: Path) -> list[str]:
    """List the folders that held documents and now hold no file, as the places of drives that are not mounted do.

    Args:
        missing: The sources whose files have gone.
        root: A folder.

    Returns:
        It, or folders in it, that are there and hold nothing but perhaps hidden files and empty folders, or are links
        to nothing.
    """
    root = Path(full_source(root))
    held = {parent for source in missing for parent in Path(source).parents if parent.is_relative_to(root)}
    return sorted(str(folder) for folder in held if _is_bare(folder))


def _is_bare(folder: Path) -> bool:
    """Whether a folder holds no file, also not in folders of it, or is a link to nothing."""
    with suppress(OSError):
        if not folder.is_dir():
            return folder.is_symlink() and not folder.exists()
        for _, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            if not all(name.startswith(".") for name in files):
                return False
        return True
    return False


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


def is_gone(source: str) -> bool:
    """Whether there is no such file; one in a folder without permission, which cannot be looked at, is not gone."""
    if is_stored(source):
        return is_stored_no_more(source)
    try:
        Path(source).lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False
