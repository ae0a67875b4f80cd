"""Files to the store: read, skip what has not changed, chunk, embed, write.

It streams: memory does not grow with the corpus. A file whose status is what it was is not opened, one whose bytes are
what they were is not read, and the encoder is not touched until there is something to embed. Knows the writer's store
and an encoder; knows nothing of the dense and lexical indexes, which follow the store.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

from indexes.chunking import DEFAULT_CHUNKING, Chunking, Passage, chunk_document
from indexes.errors import UnreadableFile
from indexes.ingest.discovery import FileStatus, FoundFile, SkippedFile, discover
from indexes.readers import DEFAULT_LIMITS, READER_VERSION, ReadLimits, end_sandbox, read_bytes, read_document
from indexes.storage import IndexWriter
from indexes.types import Document, Encoder, Failure, IngestProgress, IngestReport

_PENDING_CHARACTERS = 150_000  # documents are embedded, and committed, together until they hold this many
_DOCUMENT_OVERHEAD = 200  # what an empty document counts, so that many small ones are no exception
_PASSAGES_AT_ONCE = 512  # embedded in one call: enough to sort by length

IngestCallback = Callable[[IngestProgress], None]


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How to ingest: whether to prune, what a file may be, whom to tell, how to chunk."""

    prune: bool = False
    limits: ReadLimits = DEFAULT_LIMITS
    progress: IngestCallback | None = None
    chunking: Chunking = DEFAULT_CHUNKING


def ingest_files(
    writer: IndexWriter, encoder: Callable[[], Encoder], roots: Sequence[Path], own: Path, options: IngestOptions
) -> IngestReport:
    """Bring the writer's store up to date with the files under `roots`, leaving out the index's `own` folder.

    `encoder` gives the encoder that the store is bound to; it is called inside a batch, when there is something to
    embed.
    """
    run = _Ingest(writer, encoder, options)
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


class _Waiting(NamedTuple):
    document: Document
    content_hash: str
    stamp: str | None


class _Ingest:
    """The counts of one ingest, and the documents that wait to be embedded together."""

    def __init__(self, writer: IndexWriter, encoder: Callable[[], Encoder], options: IngestOptions) -> None:
        self.total = 0
        self._writer, self._encoder, self._options = writer, encoder, options
        self._store = writer.store
        self._version = READER_VERSION.decode() + options.chunking.dump()
        self._began = time.monotonic()
        self._pending: list[_Waiting] = []
        self._touched: dict[str, FileStatus] = {}
        self._waiting = 0
        self._failed: list[Failure] = []
        self._warnings: list[Failure] = []
        self._source = ""
        self._count = dict.fromkeys(("added", "changed", "unchanged", "removed", "skipped", "chunks", "tokens"), 0)
        self._done = 0

    def take(self, found: FoundFile | Failure | SkippedFile) -> None:
        """Deal with one thing that was found: skip it, note its failure, or read it and keep it for the next flush."""
        if isinstance(found, SkippedFile):
            self._count["skipped"] += 1
        elif isinstance(found, Failure):
            self._failed.append(found)
        else:
            self._read(found)

    def flush(self) -> None:
        """Embed and store the documents that wait, all of them or none."""
        if not self._pending:
            return
        with self._writer.batch() as generation:
            if not self._count["chunks"]:
                self.tell(doing="loading the encoder")
            encoder, chunking = self._encoder(), self._options.chunking
            self._store.set_meta("chunking", chunking.dump())
            ids = {}
            for document, content_hash, stamp in self._pending:
                replaced = self._store.remove_document(document.source, generation)
                self._count["changed" if replaced else "added"] += 1
                ids[document.source] = self._store.add_document(document, content_hash, generation, stamp)
            passages = (
                passage for each in self._pending for passage in chunk_document(each.document, encoder, chunking)
            )
            for batch in _batches(passages, _PASSAGES_AT_ONCE):
                self._embed(encoder, batch, ids)
            self.tell(doing="writing the index")
        for waiting in self._pending:
            self._dealt_with(waiting.document.source)
        self._pending.clear()
        self._waiting = 0

    def restamp(self) -> None:
        """Remember the new status of the files that have it and are unchanged, so that they are not opened again."""
        if self._touched:
            with self._writer.batch():
                for source, status in self._touched.items():
                    self._store.set_stamp(source, status.stamp, status.modified)

    def prune(self, roots: Sequence[Path]) -> None:
        """Remove the documents under `roots` whose files are no more."""
        existing = tuple(root for root in roots if not _is_gone(root))
        sources = (Path(document.source) for _, document in self._store.documents())
        gone = [str(s) for s in sources if any(s.is_relative_to(root) for root in existing) and _is_gone(s)]
        if gone:
            with self._writer.batch() as generation:
                self._count["removed"] = sum(self._store.remove_document(source, generation) for source in gone)

    def report(self) -> IngestReport:
        """What was done so far."""
        seconds = time.monotonic() - self._began
        return IngestReport(**self._count, failed=tuple(self._failed), seconds=seconds, warnings=tuple(self._warnings))

    def tell(self, source: str | None = None, *, doing: str) -> None:
        """Tell the caller what is being done, to the file `source` or to the one named last."""
        self._source = self._source if source is None else source
        if self._options.progress is not None:
            chunks = self._count["chunks"]
            self._options.progress(IngestProgress(self._done, self.total, self._source, chunks, doing))

    def _read(self, found: FoundFile) -> None:
        try:
            waiting = self._if_changed(found)
        except UnreadableFile as error:
            self._failed.append(Failure(found.source, error.reason))
            self._dealt_with(found.source)
            return
        if waiting is None:
            self._count["unchanged"] += 1
            self._dealt_with(found.source)
            return
        self._pending.append(waiting)
        self._waiting += len(waiting.document.text) + _DOCUMENT_OVERHEAD
        if self._waiting >= _PENDING_CHARACTERS:
            self.flush()

    def _if_changed(self, found: FoundFile) -> _Waiting | None:
        """The file's document; None if it is in the store already. Raises UnreadableFile."""
        # A user who names an encoding wants the files read again: they were not recognised, or wrongly.
        known = self._store.stamp(found.source) if self._options.limits.encoding is None else None
        status = FileStatus.of(found.status, self._version)
        if known and known.stamp is not None and known.stamp == status.stamp:
            return None
        data = read_bytes(found.path, self._options.limits)
        content_hash = _hash(data, self._version)
        if known and known.content_hash == content_hash:
            if (known.stamp, known.modified) != (status.stamp, status.modified):
                self._touched[found.source] = status
            return None
        document = replace(read_document(found.path, data, self._options.limits), modified=status.modified)
        self._warnings += (Failure(found.source, warning) for warning in document.warnings)
        return _Waiting(document, content_hash, status.stamp)

    def _embed(self, encoder: Encoder, batch: Sequence[Passage], ids: dict[str, int]) -> None:
        self.tell(batch[0].chunk.source, doing="embedding")
        vectors = encoder.encode_passages([passage.embedded for passage in batch])
        first = 0
        for source, group in groupby(batch, key=lambda passage: passage.chunk.source):
            chunks = [passage.chunk for passage in group]
            self._store.add_chunks(ids[source], chunks, vectors[first : first + len(chunks)])
            first += len(chunks)
        self._count["chunks"] += len(batch)
        self._count["tokens"] += sum(passage.chunk.tokens for passage in batch)
        self.tell(batch[-1].chunk.source, doing="embedding")

    def _dealt_with(self, source: str) -> None:
        self._done += 1
        self.tell(source, doing="reading files")


def _hash(data: bytes, version: str) -> str:
    digest = hashlib.sha256(data)
    digest.update(version.encode())
    return digest.hexdigest()


def _is_gone(path: Path) -> bool:
    """Whether there is no such file: one that cannot be looked at, in a folder without permission, is not gone."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _batches(passages: Iterable[Passage], size: int) -> Iterator[list[Passage]]:
    iterator = iter(passages)
    while batch := list(islice(iterator, size)):
        yield batch
