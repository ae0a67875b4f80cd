"""Files to the store: read, skip what has not changed, chunk, embed, write.

It streams: memory does not grow with the corpus. Knows the store and an encoder; knows nothing of the dense and
lexical indexes, which follow the store afterwards.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import groupby, islice
from pathlib import Path

from indexes.chunking import Passage, chunk_document
from indexes.discovery import Found, Skipped, discover
from indexes.errors import UnreadableFile
from indexes.readers import DEFAULT_LIMITS, READER_VERSION, ReadLimits, read_bytes, read_document
from indexes.store import Store
from indexes.types import Document, Encoder, Failure, IngestProgress, IngestReport

_PENDING_CHARACTERS = 150_000  # documents are embedded, and committed, together until they hold this many
_DOCUMENT_OVERHEAD = 200  # what an empty document counts, so that many small ones are no exception
_PASSAGES_AT_ONCE = 512  # embedded in one call: enough to sort by length

ProgressCallback = Callable[[IngestProgress], None]


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How to ingest: whether documents whose file has gone are removed, what a file may be, whom to tell."""

    prune: bool = False
    limits: ReadLimits = DEFAULT_LIMITS
    progress: ProgressCallback | None = None


def ingest_files(
    store: Store, encoder: Encoder, roots: Sequence[Path], own: Path, options: IngestOptions
) -> IngestReport:
    """Bring the store up to date with the files under `roots`, leaving out the index's `own` folder."""
    run = _Ingest(store, encoder, options)
    if options.progress is not None:
        run.total = sum(isinstance(found, Found) for found in discover(roots, exclude=own))
    for found in discover(roots, exclude=own):
        run.take(found)
    run.flush()
    if options.prune:
        run.prune(roots)
    return run.report()


class _Ingest:
    """The counts of one ingest, and the documents that wait to be embedded together."""

    def __init__(self, store: Store, encoder: Encoder, options: IngestOptions) -> None:
        self.total = 0
        self._store, self._encoder, self._options = store, encoder, options
        self._began = time.monotonic()
        self._pending: list[tuple[Document, str]] = []
        self._waiting = 0
        self._failed: list[Failure] = []
        self._count = dict.fromkeys(("added", "changed", "unchanged", "removed", "skipped", "chunks", "tokens"), 0)
        self._done = 0

    def take(self, found: Found | Failure | Skipped) -> None:
        """Deal with one thing that was found: skip it, note its failure, or read it and keep it for the next flush."""
        if isinstance(found, Skipped):
            self._count["skipped"] += 1
        elif isinstance(found, Failure):
            self._failed.append(found)
        else:
            self._read(found.path)

    def flush(self) -> None:
        """Embed and store the documents that wait, all in one transaction."""
        if not self._pending:
            return
        with self._store.transaction() as generation:
            ids = {}
            for document, content_hash in self._pending:
                replaced = self._store.remove_document(document.source, generation)
                self._count["changed" if replaced else "added"] += 1
                ids[document.source] = self._store.add_document(document, content_hash, generation)
            for batch in _batches(self._passages(), _PASSAGES_AT_ONCE):
                self._embed(batch, ids, generation)
        for document, _ in self._pending:
            self._dealt_with(document.source)
        self._pending.clear()
        self._waiting = 0

    def prune(self, roots: Sequence[Path]) -> None:
        """Remove the documents under `roots` whose files are no more."""
        existing = tuple(root for root in roots if not _is_gone(root))
        sources = (Path(document.source) for _, document in self._store.documents())
        gone = [str(s) for s in sources if any(s.is_relative_to(root) for root in existing) and _is_gone(s)]
        if gone:
            with self._store.transaction() as generation:
                self._count["removed"] = sum(self._store.remove_document(source, generation) for source in gone)

    def report(self) -> IngestReport:
        """What was done so far."""
        return IngestReport(**self._count, failed=tuple(self._failed), seconds=time.monotonic() - self._began)

    def _read(self, path: Path) -> None:
        try:
            data = read_bytes(path, self._options.limits)
            content_hash = hashlib.sha256(data + READER_VERSION).hexdigest()
            known = self._store.document(str(path))
            # A user who names an encoding wants the files read again: they were not recognised, or wrongly.
            if known and known[1].content_hash == content_hash and self._options.limits.encoding is None:
                self._count["unchanged"] += 1
                self._dealt_with(str(path))
                return
            document = replace(read_document(path, data, self._options.limits), modified=_modified(path))
        except UnreadableFile as error:
            self._failed.append(Failure(str(path), error.reason))
            self._dealt_with(str(path))
            return
        self._pending.append((document, content_hash))
        self._waiting += len(document.text) + _DOCUMENT_OVERHEAD
        if self._waiting >= _PENDING_CHARACTERS:
            self.flush()

    def _passages(self) -> Iterator[Passage]:
        for document, _ in self._pending:
            yield from chunk_document(document, self._encoder)

    def _embed(self, batch: Sequence[Passage], ids: dict[str, int], generation: int) -> None:
        vectors = self._encoder.encode_passages([passage.embedded for passage in batch])
        first = 0
        for source, group in groupby(batch, key=lambda passage: passage.chunk.source):
            chunks = [passage.chunk for passage in group]
            self._store.add_chunks(ids[source], chunks, vectors[first : first + len(chunks)], generation)
            first += len(chunks)
        self._count["chunks"] += len(batch)
        self._count["tokens"] += sum(passage.chunk.tokens for passage in batch)
        self._tell(batch[-1].chunk.source)

    def _dealt_with(self, source: str) -> None:
        self._done += 1
        self._tell(source)

    def _tell(self, source: str) -> None:
        if self._options.progress is not None:
            self._options.progress(IngestProgress(self._done, self.total, source, self._count["chunks"]))


def _modified(path: Path) -> str | None:
    """When the file was last written, in UTC; None if it has gone or its date is beyond the calendar."""
    try:
        moment = datetime.fromtimestamp(int(path.stat().st_mtime), timezone.utc)
    except (OSError, OverflowError, ValueError):
        return None
    return moment.isoformat().replace("+00:00", "Z")


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
