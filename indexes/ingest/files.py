"""Ingesting files: unchanged ones are skipped, others are read and stored, and deleted ones can be removed.

A file whose status has not changed is not opened, and one whose bytes have not changed is not parsed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from indexes.chunking import DEFAULT_CHUNKING, Chunking
from indexes.errors import UnreadableFile
from indexes.ingest.discovery import FileStatus, FoundFile, SkippedFile, discover, file_status
from indexes.ingest.pipeline import IngestCallback, Pipeline, Prepared
from indexes.readers import DEFAULT_LIMITS, READER_VERSION, ReadLimits, end_sandbox, read_bytes, read_document
from indexes.storage import IndexWriter
from indexes.types import Encoder, Failure, IngestReport

_PARTIAL = b"pages without text"  # part of the hash of a document that has some


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """Options of an ingest of files.

    Attributes:
        prune: Whether to remove the documents whose files have gone.
        limits: What a file may cost to be read.
        progress: A function to call with the progress; None for none.
        chunking: How to split documents into chunks.
    """

    prune: bool = False
    limits: ReadLimits = DEFAULT_LIMITS
    progress: IngestCallback | None = None
    chunking: Chunking = DEFAULT_CHUNKING


def ingest_files(
    writer: IndexWriter, encoder: Callable[[], Encoder], roots: Sequence[Path], own: Path, options: IngestOptions
) -> IngestReport:
    """Bring the index up to date with files and folders.

    Args:
        writer: The writer of the index.
        encoder: Returns the encoder that the index is bound to. Called within a batch, once there is text to embed.
        roots: The files and folders, as absolute paths.
        own: The folder of the index itself, which is left out.
        options: How to ingest.

    Returns:
        What was done, with the files that could not be read in `failed`.
    """
    run = _FileIngest(writer, encoder, options)
    if options.progress is not None:
        run.tell(doing="looking for files")
        run.total = sum(isinstance(found, FoundFile) for found in discover(roots, exclude=own))
        run.tell(doing="reading files")
    try:
        for found in discover(roots, exclude=own):
            run.take(found)
    finally:
        end_sandbox()
    run.flush()
    run.restamp()
    if options.prune:
        run.prune(roots)
    run.tell(doing="writing the index")  # the writer publishes when it is left
    return run.report()


class _FileIngest(Pipeline):
    def __init__(self, writer: IndexWriter, encoder: Callable[[], Encoder], options: IngestOptions) -> None:
        super().__init__(writer, encoder, options.chunking, options.progress)
        self._limits = options.limits
        self._version = READER_VERSION.decode() + options.chunking.dump()
        self._touched: dict[str, FileStatus] = {}

    def take(self, found: FoundFile | Failure | SkippedFile) -> None:
        """Count a file that is skipped, note a failure, or read a file that has changed."""
        if isinstance(found, SkippedFile):
            self.count["skipped"] += 1
            return
        if isinstance(found, Failure):
            self.failed.append(found)
            return
        try:
            prepared = self._if_changed(found)
        except UnreadableFile as error:
            self.failed.append(Failure(found.source, error.reason))
            self.finish(found.source)
            return
        if prepared is None:
            self.skip(found.source)
        else:
            self.put(prepared)

    def restamp(self) -> None:
        """Record the new status of files whose content is unchanged, so that they are not opened the next time."""
        if self._touched:
            with self.writer.batch():
                for source, status in self._touched.items():
                    self.store.set_stamp(source, *status)

    def prune(self, roots: Sequence[Path]) -> None:
        """Remove the documents under `roots` whose files have been deleted."""
        existing = tuple(root for root in roots if not _is_gone(root))
        sources = (Path(document.source) for _, document in self.store.documents())
        gone = [str(s) for s in sources if any(s.is_relative_to(root) for root in existing) and _is_gone(s)]
        if gone:
            with self.writer.batch() as generation:
                self.count["removed"] = sum(self.store.remove_document(source, generation) for source in gone)

    def _if_changed(self, found: FoundFile) -> Prepared | None:
        """The file's document; None if it is in the store already. Raises UnreadableFile."""
        # A user who names an encoding wants the files read again: they were not recognised, or wrongly.
        known = self.store.stamp(found.source) if self._limits.encoding is None else None
        status = file_status(found.status, self._version)
        if known and known.stamp is not None and known.stamp == status.stamp:
            return None
        data = read_bytes(found.path, self._limits)
        content_hash, partial_hash = (self._hash(data, addition) for addition in (b"", _PARTIAL))
        is_enough = (content_hash,) if self._limits.ocr else (content_hash, partial_hash)
        if known and known.content_hash in is_enough:
            if known.content_hash == partial_hash:
                status = status._replace(stamp=None)
            if (known.stamp, known.modified) != status:
                self._touched[found.source] = status
            return None
        document = replace(read_document(found.path, data, self._limits), modified=status.modified)
        if document.unreadable:  # without a stamp it is looked at again: with OCR, there is more in it
            return Prepared(document, partial_hash)
        return Prepared(document, content_hash, status.stamp)

    def _hash(self, data: bytes, addition: bytes) -> str:
        digest = hashlib.sha256(data)
        digest.update(self._version.encode() + addition)
        return digest.hexdigest()


def _is_gone(path: Path) -> bool:
    """Whether there is no such file; one in a folder without permission, which cannot be looked at, is not gone."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False
