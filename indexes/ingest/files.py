"""Ingesting files: unchanged ones are skipped, others are read and stored, and deleted ones can be removed.

A file whose status has not changed is not opened, and one whose bytes have not changed is not parsed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from os.path import realpath
from pathlib import Path

from indexes.chunking import DEFAULT_CHUNKING, Chunking
from indexes.errors import EmptyFile, UnreadableFile
from indexes.ingest.discovery import (
    NO_RULES,
    FileStatus,
    Found,
    FoundFile,
    IgnoredPath,
    SkippedFile,
    discover,
    file_status,
    version_of,
)
from indexes.ingest.ignore_rules import WalkRules
from indexes.ingest.pipeline import Copy, IngestCallback, Pipeline, Prepared
from indexes.readers import (
    DEFAULT_LIMITS,
    READER_VERSION,
    ReadLimits,
    end_sandbox,
    format_name,
    read_bytes,
    read_document,
)
from indexes.sources import is_file
from indexes.storage import IndexWriter, StoreReader
from indexes.types import Encoder, Failure, IngestReport

_PARTIAL = "pages without text"  # part of the hash of a document that has some


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """Options of an ingest of files.

    Attributes:
        prune: Whether to remove the documents whose files have gone.
        limits: What a file may cost to be read.
        progress: A function to call with the progress; None for none.
        chunking: How to split documents into chunks.
        rules: Which files and folders to leave out.
    """

    prune: bool = False
    limits: ReadLimits = DEFAULT_LIMITS
    progress: IngestCallback | None = None
    chunking: Chunking = DEFAULT_CHUNKING
    rules: WalkRules = NO_RULES


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
        every = discover(roots, exclude=own, rules=options.rules)
        run.total = sum(isinstance(found, FoundFile) for found in every)
        run.tell(doing="reading files")
    try:
        for found in discover(roots, exclude=own, rules=options.rules):
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
        self._version = reading_version(options.chunking)
        self._touched: dict[str, FileStatus] = {}

    def take(self, found: Found) -> None:
        """Count a file that is not read, note a failure, or read a file that has changed."""
        if isinstance(found, SkippedFile):
            self.count["skipped"] += 1
            if found.kind:
                self.skipped_kinds[found.kind] += 1
        elif isinstance(found, IgnoredPath):
            self.ignored[found.rule] += 1
        elif isinstance(found, Failure):
            self.failed.append(found)
        else:
            self._take_file(found)

    def _take_file(self, found: FoundFile) -> None:
        try:
            self._read_if_changed(found)
        except EmptyFile:
            self.count["empty"] += 1
            self.count["removed"] += self.remove(found.source)
            self.finish(found.source)
        except UnreadableFile as error:
            self.failed.append(Failure(found.source, error.reason))
            self.finish(found.source)

    def restamp(self) -> None:
        """Record the new status of files whose content is unchanged, so that they are not opened the next time."""
        if self._touched:
            with self.writer.batch():
                for source, status in self._touched.items():
                    self.store.set_stamp(source, *status)

    def prune(self, roots: Sequence[Path]) -> None:
        """Remove the documents under `roots` whose files have been deleted."""
        self.count["removed"] += prune_files(self.writer, roots)

    def _read_if_changed(self, found: FoundFile) -> None:
        """Put the file's document into the next batch, unless the store has it. Raises UnreadableFile."""
        # A user who names an encoding wants the files read again: they were not recognised, or wrongly.
        known = self.store.stamp(found.source) if self._limits.encoding is None else None
        status = file_status(found.status, self._version)
        if known and known.stamp is not None and known.stamp == status.stamp:
            self.skip(found.source)
            return
        data = found.read(self._limits)
        content_hash = hash_content(found.path, data, self._version)
        partial_hash = hash_content(found.path, data, self._version + _PARTIAL)
        is_enough = (content_hash,) if self._limits.ocr else (content_hash, partial_hash)
        if known and known.content_hash in is_enough:
            if known.content_hash == partial_hash:
                status = status._replace(stamp=None)
            if (known.stamp, known.modified) != status:
                self._touched[found.source] = status
            self.skip(found.source)
        elif self._limits.encoding is not None or not self._is_elsewhere(found, content_hash, status):
            document = replace(read_document(found.path, data, self._limits), modified=status.modified)
            if document.unreadable:  # without a stamp it is looked at again: with OCR, there is more in it
                self.put(Prepared(document, partial_hash))
            else:
                self.put(Prepared(document, content_hash, status.stamp))

    def _is_elsewhere(self, found: FoundFile, content_hash: str, status: FileStatus) -> bool:
        """Record the file as another name of a document with the same content, if there is one."""
        is_new = self.store.stamp(found.source) is None
        if (pending := self.pending_contents.get(content_hash)) is not None:
            self.put_copy(Copy(pending, found.source, *status))
        else:
            others = [source for source in self.store.sources_of_content(content_hash) if source != found.source]
            if not others:
                return False
            old = next((source for source in others if _is_gone(Path(source))), None)
            with self.writer.batch() as generation:
                if old is None:
                    self.add_copy(Copy(others[0], found.source, *status), generation)
                else:
                    self.store.remove_document(found.source, generation)
                    self.store.rename_document(old, found.source, *status, generation)
            if old is not None:
                self.count["renamed"] += 1
                self.finish(found.source)
                return True
        self.count["copies"] += 1
        self.count["added" if is_new else "changed"] += 1
        self.finish(found.source)
        return True


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
    digest = hashlib.sha256(data)
    digest.update(version.encode() + format_name(path).encode())
    return digest.hexdigest()


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
    data = read_bytes(real, limits, root=str(real.parent))
    whole, kind = hashlib.sha256(data), format_name(Path(source)).encode()
    for version in _versions(stamp, chunking):
        for partial in ("", _PARTIAL):
            digest = whole.copy()
            digest.update(f"{version}{partial}".encode() + kind)
            if digest.hexdigest() == content_hash:
                return data
    raise UnreadableFile("not as it was when it was read: ingest it again")


def _versions(stamp: str | None, chunking: Chunking) -> Iterator[str]:
    """How a document may have been read: as its stamp says, or by any version of the readers."""
    if stamp is not None:
        yield version_of(stamp)
    for number in range(int(READER_VERSION), 0, -1):
        yield f"{number}{chunking.dump()}"


def missing_files(store: StoreReader, roots: Sequence[Path]) -> list[str]:
    """List the documents whose files have been deleted.

    Args:
        store: The store.
        roots: The files and folders, as absolute paths, that they lay in; one that does not exist counts for nothing.

    Returns:
        The sources of these documents and copies.
    """
    existing = tuple(root for root in roots if not _is_gone(root))
    sources = map(Path, filter(is_file, store.sources()))
    return sorted(str(s) for s in sources if any(s.is_relative_to(root) for root in existing) and _is_gone(s))


def prune_files(writer: IndexWriter, roots: Sequence[Path]) -> int:
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
    with writer.batch() as generation:
        return sum(writer.store.remove_document(source, generation) for source in gone)


def _is_gone(path: Path) -> bool:
    """Whether there is no such file; one in a folder without permission, which cannot be looked at, is not gone."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False
