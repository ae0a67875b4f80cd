"""Ingesting files: unchanged ones are skipped, others are read and stored, and deleted ones can be removed.

A file whose status has not changed is not opened, and one whose bytes have not changed is not parsed.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from indexes.chunking import DEFAULT_CHUNKING, Chunking
from indexes.errors import EmptyFile, UnreadableFile
from indexes.ingest.contents import PARTIAL, hash_content, reading_version
from indexes.ingest.discovery import NO_RULES, Found, FoundFile, IgnoredPath, SkippedFile
from indexes.ingest.file_status import FileStatus
from indexes.ingest.gone import is_gone, prune_files
from indexes.ingest.ignore_rules import WalkRules
from indexes.ingest.object_storage import StoredFile, find_files
from indexes.ingest.parts import Fetched, FileToRead, fetch_file, own_code, read_file
from indexes.ingest.pipeline import Copy, IngestCallback, Pipeline, Prepared
from indexes.ingest.workers import Task, WorkerLost
from indexes.readers import DEFAULT_LIMITS, ReadLimits, end_sandbox, is_read_by_lines, read_document
from indexes.storage import KnownFile, Writer
from indexes.types import Document, Encoder, Failure, IngestReport

_MOST_FILES = 256  # that were looked at, and wait behind one that a worker reads
_MOST_BYTES = 100_000_000  # in them


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """Options of an ingest of files.

    Attributes:
        prune: Whether to remove the documents whose files have gone.
        limits: What a file may cost to be read.
        progress: A function to call with the progress; None for none.
        chunking: How to split documents into chunks.
        rules: Which files and folders to leave out.
        executor: The workers that read and embed; None for this process alone.
    """

    prune: bool = False
    limits: ReadLimits = DEFAULT_LIMITS
    progress: IngestCallback | None = None
    chunking: Chunking = DEFAULT_CHUNKING
    rules: WalkRules = NO_RULES
    executor: Executor | None = None


class _Changed(NamedTuple):
    """A file to read, the hashes of its bytes, and its status before it was read."""

    found: FoundFile
    content_hash: str
    partial_hash: str
    status: FileStatus


class _Waiting(NamedTuple):
    """What is to be done with a file, after all files before it: what depends on `reading`, if a worker does that."""

    do: Callable[[], None]
    reading: Task[Any] | None = None
    bytes: int = 0


def ingest_files(
    writer: Writer, encoder: Callable[[], Encoder], roots: Sequence[Path], own: Path, options: IngestOptions
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
    every: Iterable[Found] = find_files(roots, exclude=own, rules=options.rules)
    if options.progress is not None:
        run.tell(doing="looking for files")
        every = list(every)
        run.total = sum(isinstance(found, FoundFile) for found in every)
        run.tell(doing="reading files")
    try:
        for found in every:
            run.take(found)
        run.do_waiting(all_of_it=True)
        run.flush()
        run.drain()
    finally:
        run.cancel()
        end_sandbox()
    run.restamp()
    if options.prune:
        run.prune(roots)
    run.tell(doing="writing the index")  # the writer publishes when it is left
    return run.report()


class _FileIngest(Pipeline):
    def __init__(self, writer: Writer, encoder: Callable[[], Encoder], options: IngestOptions) -> None:
        super().__init__(writer, encoder, options.chunking, options.progress, options.executor)
        self._limits = options.limits
        self._version = reading_version(options.chunking)
        self._touched: dict[str, FileStatus] = {}
        self._waiting: deque[_Waiting] = deque()
        self._see_files = True  # whether the workers do, as far as is known

    def take(self, found: Found) -> None:
        """Count a file that is not read, note a failure, or read a file that has changed."""
        if not isinstance(found, FoundFile):
            self._later(partial(self._note, found))
            return
        try:
            self._read_if_changed(found)
        except UnreadableFile as error:
            self._later(partial(self._refuse, found.source, error))

    def cancel(self) -> None:
        """Give up what the workers have not begun."""
        for waiting in self._waiting:
            if waiting.reading is not None:
                waiting.reading.cancel()
        self._waiting.clear()
        super().cancel()

    def _later(self, do: Callable[[], None], reading: Task[Any] | None = None, size: int = 0) -> None:
        """Do something when all files before are done with: at once, unless a worker reads one."""
        self._waiting.append(_Waiting(do, reading, size))
        self.do_waiting()

    def do_waiting(self, *, all_of_it: bool = False) -> None:
        """Do what waits for files that workers read, as far as these are read, or all of it."""
        while self._waiting:
            first, held = self._waiting[0].reading, sum(waiting.bytes for waiting in self._waiting)
            has_room = len(self._waiting) <= _MOST_FILES and held <= _MOST_BYTES
            if first is not None and not first.is_done and has_room and not all_of_it:
                break
            self._waiting.popleft().do()
            for waiting in self._waiting if first is not None else ():
                if waiting.reading is not None:
                    waiting.reading.revive()

    def _note(self, found: SkippedFile | IgnoredPath | Failure) -> None:
        if isinstance(found, SkippedFile):
            self.count["skipped"] += 1
            if found.kind:
                self.skipped_kinds[found.kind] += 1
        elif isinstance(found, IgnoredPath):
            self.ignored[found.rule] += 1
        else:
            self.failed.append(found)

    def _refuse(self, source: str, error: UnreadableFile | WorkerLost) -> None:
        """Count a file that cannot be read, or is empty."""
        if isinstance(error, EmptyFile):
            self.count["empty"] += 1
            self.drain()
            self.count["removed"] += self.remove(source)
        else:
            self.failed.append(Failure(source, str(error)))
        self.finish(source)

    def restamp(self) -> None:
        """Record the new status of files whose content is unchanged, so that they are not opened the next time."""
        if self._touched:
            with self.writer.batch(self._touched):
                for source, status in self._touched.items():
                    self.store.set_stamp(source, *status)

    def prune(self, roots: Sequence[Path]) -> None:
        """Remove the documents under `roots` whose files have been deleted."""
        self.count["removed"] += prune_files(self.writer, roots)

    def _read_if_changed(self, found: FoundFile) -> None:
        """Have the file's document put into the next batch, unless the store has it. Raises UnreadableFile."""
        # A user who names an encoding wants the files read again: they were not recognised, or wrongly.
        known = self.store.stamp(found.source) if self._limits.encoding is None else None
        status = found.stamped(self._version)
        if known and known.stamp is not None and known.stamp == status.stamp:
            self._later(partial(self.skip, found.source))
            return
        if self.executor is not None and isinstance(found, StoredFile):
            fetching = Task(self.executor, fetch_file, own_code(), found, self._version, self._limits)
            do = partial(self._put_fetched, found, known, status, fetching)
            self._later(do, fetching, found.status.st_size)
            return
        data = found.read(self._limits)
        content_hash, partial_hash = (hash_content(found.path, data, self._version + part) for part in ("", PARTIAL))
        file = _Changed(found, content_hash, partial_hash, status)
        if self._is_unchanged(file, known):
            self._later(partial(self.skip, found.source))
        elif self.executor is None or is_read_by_lines(found.path, data):  # which takes no time
            read = partial(read_document, found.path, data, self._limits)
            self._later(partial(self._put_file, file, read), size=len(data))
        else:
            reading = self._reading(found, data)
            read = partial(self._document, found, data, reading)
            self._later(partial(self._put_file, file, read), reading, len(data))

    def _is_unchanged(self, file: _Changed, known: KnownFile | None) -> bool:
        """Whether a file has the content that the store knows; then its new status is noted."""
        is_enough = (file.content_hash,) if self._limits.ocr else (file.content_hash, file.partial_hash)
        if known is None or known.content_hash not in is_enough:
            return False
        is_partial = known.content_hash == file.partial_hash
        status = file.status._replace(stamp=None) if is_partial else file.status
        if (known.stamp, known.modified) != status:
            self._touched[file.found.source] = status
        return True

    def _reading(self, found: FoundFile, data: bytes) -> Task[Document | None]:
        """Have a worker read a file: from the same path if it is there, too, otherwise from the bytes."""
        assert self.executor is not None
        sent = None if self._see_files else data
        wanted = FileToRead(found.source, found.real, found.root, hashlib.sha256(data).digest(), sent, self._limits)
        return Task(self.executor, read_file, own_code(), wanted)

    def _put_fetched(
        self, found: StoredFile, known: KnownFile | None, status: FileStatus, fetching: Task[Fetched]
    ) -> None:
        """Put the document of a file that a worker has fetched into the next batch, unless the store has it."""
        try:
            content_hash, partial_hash, document = fetching.result()
        except (UnreadableFile, WorkerLost) as error:
            self._refuse(found.source, error)
            return
        file = _Changed(found, content_hash, partial_hash, status)
        self.skip(found.source) if self._is_unchanged(file, known) else self._put_file(file, lambda: document)

    def _put_file(self, file: _Changed, read: Callable[[], Document]) -> None:
        source, status = file.found.source, file.status
        try:
            if self._limits.encoding is None and self._is_elsewhere(file.found, file.content_hash, status):
                return
            document = replace(read(), source=source, modified=status.modified)
        except (UnreadableFile, WorkerLost) as error:
            self._refuse(source, error)
            return
        if document.unreadable:  # without a stamp it is looked at again: with OCR, there is more in it
            self.put(Prepared(document, file.partial_hash))
        else:
            self.put(Prepared(document, file.content_hash, status.stamp))

    def _document(self, found: FoundFile, data: bytes, reading: Task[Document | None]) -> Document:
        """The document of a file that a worker reads. Raises UnreadableFile and WorkerLost."""
        document = reading.result()
        if document is None and self._see_files:
            self._see_files = False
            document = self._reading(found, data).result()
        return document or read_document(found.path, data, self._limits)

    def _is_elsewhere(self, found: FoundFile, content_hash: str, status: FileStatus) -> bool:
        """Record the file as another name of a document with the same content, if there is one."""
        is_new = self.store.stamp(found.source) is None
        if (pending := self.pending_contents.get(content_hash)) is not None:
            self.put_copy(Copy(pending, found.source, *status))
        else:
            others = [source for source in self.store.sources_of_content(content_hash) if source != found.source]
            if not others:
                return False
            old = next((source for source in others if is_gone(source)), None)
            self.drain()
            with self.writer.batch([found.source, *others]) as generation:
                if (others[0] if old is None else old) not in self.store.sources_of_content(content_hash):
                    return False  # another writer has changed it meanwhile
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
