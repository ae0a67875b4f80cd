"""What a document was made from: the content of its file, by which an unchanged one is recognized."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from os.path import realpath
from pathlib import Path

from indexes.chunking import Chunking
from indexes.errors import UnreadableFile
from indexes.ingest.file_status import version_of
from indexes.ingest.object_storage import read_stored
from indexes.readers import READER_VERSION, ReadLimits, format_name, read_bytes
from indexes.sources import is_file, is_stored

PARTIAL = "pages without text"  # part of the hash of a document that has some


def reading_version(chunking: Chunking) -> str:
    """How files are read and chunked: a part of the stamps and the hashes of their documents."""
    return READER_VERSION.decode() + chunking.dump()


def hash_content(path: Path, data: bytes, version: str) -> str:
    """Hash what a document is made from: the file's bytes, its kind, and how it is read.

    Args:
        path: The file; its suffix selects the reader.
        data: Its bytes.
        version: How files are read and chunked.

    Returns:
        The hash: equal for files of equal content.
    """
    return _with_version(hashlib.sha256(data), path, version)


def read_unchanged(source: str, content_hash: str, stamp: str | None, chunking: Chunking, limits: ReadLimits) -> bytes:
    """Read the file that a document was made from, and no other that has taken its place, such as a link.

    Args:
        source: The document's source.
        content_hash: The hash of what it was made from, by this or an older version of longctx.
        stamp: The stamp of its file, if it has one.
        chunking: How documents of the index are split.
        limits: The longest file.

    Returns:
        The file's bytes.

    Raises:
        UnreadableFile: If it has gone or changed, or cannot be read.
    """
    if not is_file(source):
        raise UnreadableFile("it was not made from a file")
    real = Path(realpath(source))
    data = read_stored(source, limits) if is_stored(source) else read_bytes(real, limits, root=str(real.parent))
    whole = hashlib.sha256(data)  # once, for all versions
    for version in _versions(stamp, chunking):
        if content_hash in (_with_version(whole, Path(source), version + partial) for partial in ("", PARTIAL)):
            return data
    raise UnreadableFile("not as it was when it was read: ingest it again")


def _with_version(whole: hashlib._Hash, path: Path, version: str) -> str:
    digest = whole.copy()
    digest.update(version.encode() + format_name(path).encode())
    return digest.hexdigest()


def _versions(stamp: str | None, chunking: Chunking) -> Iterator[str]:
    """How a document may have been read: as its stamp says, or by any version of the readers."""
    if stamp is not None:
        yield version_of(stamp)
    for number in range(int(READER_VERSION), 0, -1):
        yield f"{number}{chunking.dump()}"
