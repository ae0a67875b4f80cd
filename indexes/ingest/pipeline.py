"""Embedding and storing documents in batches, whether they are in memory or were read from files.

Documents are processed in batches, so that memory does not grow with the corpus, and the encoder is not loaded until
there is something to embed. With workers, batches are embedded there, a bounded number of them at a time, and stored in
their order; what is in a batch does not depend on who embeds it.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NamedTuple

from indexes.chunking import Chunking
from indexes.ingest.included import Included
from indexes.ingest.parts import ChunksOf, Work, embed_part, embedded, work_with
from indexes.ingest.workers import Task, WorkerLost
from indexes.storage import Writer
from indexes.types import Document, Encoder, Failure, FileText, IngestProgress, IngestReport

_PENDING_CHARACTERS = 150_000  # documents are embedded, and committed, together until they hold this many
_DOCUMENT_OVERHEAD = 200  # what an empty document counts, so that many small ones are no exception
_MOST_PARTS = 64  # batches with the workers
_MOST_CHARACTERS = 10_000_000  # in them; a larger document is embedded here, piece by piece

_COUNTS = (
    *("added", "changed", "unchanged", "removed", "copies", "renamed", "empty", "skipped"),
    *("chunks", "tokens"),
)

IngestCallback = Callable[[IngestProgress], None]


class Prepared(NamedTuple):
    """A document to embed and store.

    Attributes:
        document: The document.
        content_hash: A hash of what its chunks are made from, to recognize it by when it comes again.
        stamp: The status of its file, if an equal one means that the file has not changed.
    """

    document: Document
    content_hash: str
    stamp: str | None = None


class Copy(NamedTuple):
    """Another file with the content of a document.

    Attributes:
        of: The source of the document.
        source: The path of the file.
        stamp: Its status, if an equal one means that it has not changed.
        modified: When it was last written.
    """

    of: str
    source: str
    stamp: str | None
    modified: str | None


@dataclass(slots=True)
class _Part:
    """A batch of documents that the workers embed, by source; and other names of these."""

    documents: dict[str, Prepared]
    copies: list[Copy]
    characters: int


class Pipeline:
    """Embeds and stores documents in batches, and counts them.

    Attributes:
        total: The number of documents to come, for the progress.
        writer: The writer of the index.
        store: The writer's store.
        count: The counts of the report, by name.
        skipped_kinds: How many files of each kind were skipped.
        ignored: How many files and folders each rule left out.
        failed: Documents that could not be ingested.
        pending: The documents of the next batch, by source.
        pending_contents: The sources of documents that are not stored yet, by content hash.
    """

    def __init__(
        self,
        writer: Writer,
        encoder: Callable[[], Encoder],
        chunking: Chunking,
        progress: IngestCallback | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.total = 0
        self.writer, self.store = writer, writer.store
        self.count = dict.fromkeys(_COUNTS, 0)
        self.skipped_kinds: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        self.failed: list[Failure] = []
        self._encoder, self._chunking, self._progress = encoder, chunking, progress
        self._began = time.monotonic()
        self.pending: dict[str, Prepared] = {}
        self.pending_contents: dict[str, str] = {}
        self._pending_copies: list[Copy] = []
        self._pending_characters = 0
        self.executor = executor
        self._work: Work | None = None
        self._embedding: deque[tuple[_Part, Task[list[ChunksOf]]]] = deque()
        self._warnings: list[Failure] = []
        self._included = Included()
        self._texts: list[FileText] = []
        self._source = ""
        self._done = 0

    def put(self, prepared: Prepared) -> None:
        """Add a document to the next batch, and store the batch when it is large enough."""
        document = prepared.document
        self._warnings += (Failure(document.source, warning) for warning in document.warnings)
        self._included.add(document)
        self._texts.append(FileText(document.source, len(document.text), document.unreadable))
        self.pending[document.source] = prepared
        self.pending_contents[prepared.content_hash] = document.source
        self._pending_characters += len(document.text) + _DOCUMENT_OVERHEAD
        if self._pending_characters >= _PENDING_CHARACTERS:
            self.flush()

    def put_copy(self, copy: Copy) -> None:
        """Add another name of a document that is not stored yet."""
        part = next((part for part, _ in self._embedding if copy.of in part.documents), None)
        (self._pending_copies if part is None else part.copies).append(copy)

    def skip(self, source: str) -> None:
        """Count a document that has not changed."""
        self.count["unchanged"] += 1
        self.finish(source)

    def flush(self) -> None:
        """Embed and store the pending documents, all of them or none; or give them to the workers."""
        if not self.pending:
            return
        part = _Part(self.pending, self._pending_copies, self._pending_characters)
        self.pending, self._pending_copies, self._pending_characters = {}, [], 0
        if self.executor is None or part.characters > _MOST_CHARACTERS:
            self.drain()
            self._store(part)
        else:
            documents = [prepared.document for prepared in part.documents.values()]
            self._embedding.append((part, Task(self.executor, embed_part, self._work_here(), documents)))
            self._take_back()

    def drain(self) -> None:
        """Store every batch that is with the workers: before anything else is changed in the store, and at the end."""
        while self._embedding:
            self._store_first()

    def cancel(self) -> None:
        """Give up what the workers have not begun."""
        for _, task in self._embedding:
            task.cancel()
        self._embedding.clear()

    def _work_here(self) -> Work:
        if self._work is None:
            with self.writer.batch():
                self._work = work_with(self._encoder(), self._chunking)
        return self._work

    def _take_back(self) -> None:
        """Store the batches that are embedded, and wait for one where the workers have enough."""
        while self._embedding:
            (_, first), characters = self._embedding[0], sum(part.characters for part, _ in self._embedding)
            if not (first.is_done or len(self._embedding) > _MOST_PARTS or characters > _MOST_CHARACTERS):
                break
            self._store_first()

    def _store_first(self) -> None:
        """Store the batch that was given to the workers first; where they all died over it, its documents failed."""
        part, task = self._embedding[0]
        self.tell(next(iter(part.documents)), doing="embedding")
        try:
            chunks = task.result()
        except WorkerLost as error:
            self._embedding.popleft()
            self._fail(part, str(error))
            return
        self._embedding.popleft()
        for _, other in self._embedding:
            other.revive()
        self._store(part, chunks)

    def _store(self, part: _Part, chunks: Iterable[ChunksOf] | None = None) -> None:
        """Store a batch, all of it or nothing; embed it first if that has not been done."""
        names = [*part.documents, *(name for copy in part.copies for name in (copy.of, copy.source))]
        with self.writer.batch(names) as generation:
            if chunks is None and not self.count["chunks"]:
                self.tell(doing="loading the encoder")
            encoder = self._encoder()
            self.store.set_meta("chunking", self._chunking.dump())
            ids = {}
            for document, content_hash, stamp in part.documents.values():
                replaced = self.store.remove_document(document.source, generation)
                self.count["changed" if replaced else "added"] += 1
                ids[document.source] = self.store.add_document(document, content_hash, generation, stamp)
            for copy in part.copies:
                self.add_copy(copy, generation)
            if chunks is None:
                self.tell(next(iter(ids)), doing="embedding")
                chunks = embedded((each.document for each in part.documents.values()), encoder, self._chunking)
            for piece in chunks:
                self.store.add_chunks(ids[piece.source], piece.chunks, piece.vectors)
                self.count["chunks"] += len(piece.chunks)
                self.count["tokens"] += sum(chunk.tokens for chunk in piece.chunks)
                self.tell(piece.source, doing="embedding")
            self.tell(doing="writing the index")
        self._finish_part(part)

    def _fail(self, part: _Part, reason: str) -> None:
        """Note that the documents of a batch could not be embedded, nor stored under any of their names."""
        for copy in part.copies:
            self.count["copies"] -= 1
            self.count["added" if self.store.stamp(copy.source) is None else "changed"] -= 1
        self.failed += (Failure(source, reason) for source in (*part.documents, *(copy.source for copy in part.copies)))
        self._finish_part(part)

    def _finish_part(self, part: _Part) -> None:
        for source, prepared in part.documents.items():
            if self.pending_contents.get(prepared.content_hash) == source:
                del self.pending_contents[prepared.content_hash]
            self.finish(source)

    def remove(self, source: str) -> bool:
        """Remove a document; return whether there was one."""
        if self.store.stamp(source) is None:
            return False
        with self.writer.batch([source]) as generation:
            return self.store.remove_document(source, generation)

    def add_copy(self, copy: Copy, generation: int) -> None:
        """Record another name of a stored document, in place of what the file held before."""
        self.store.remove_document(copy.source, generation)
        self.store.add_copy(*copy)

    def finish(self, source: str) -> None:
        """Report the progress when a document is finished."""
        self._done += 1
        self.tell(source, doing="reading files")

    def report(self) -> IngestReport:
        """The report of what was done so far."""
        seconds = time.monotonic() - self._began
        missing = self._included.warnings(lambda source: self.store.stamp(source) is not None)
        return IngestReport(
            **self.count,
            failed=tuple(self.failed),
            seconds=seconds,
            warnings=(*self._warnings, *(Failure(*each) for each in missing)),
            skipped_kinds=dict(sorted(self.skipped_kinds.items())),
            ignored=dict(sorted(self.ignored.items())),
            texts=tuple(self._texts),
        )

    def tell(self, source: str | None = None, *, doing: str) -> None:
        """Report the progress: what is being done, to the file `source` or to the one named last."""
        self._source = self._source if source is None else source
        if self._progress is not None:
            chunks = self.count["chunks"]
            self._progress(IngestProgress(self._done, self.total, self._source, chunks, doing))
