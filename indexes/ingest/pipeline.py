"""Chunking, embedding and storing documents, whether they are in memory or were read from files.

Documents are processed in batches, so that memory does not grow with the corpus, and the encoder is not loaded until
there is something to embed.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from itertools import groupby, islice
from typing import NamedTuple

from indexes.chunking import Chunking, Passage, chunk_document
from indexes.errors import CorpusError
from indexes.sources import NAMESPACE
from indexes.storage import IndexWriter, Store
from indexes.types import Document, Encoder, Failure, FileText, IngestProgress, IngestReport

_PENDING_CHARACTERS = 150_000  # documents are embedded, and committed, together until they hold this many
_DOCUMENT_OVERHEAD = 200  # what an empty document counts, so that many small ones are no exception
_PASSAGES_AT_ONCE = 512  # embedded in one call: enough to sort by length

_COUNTS = (
    *("added", "changed", "unchanged", "removed", "copies", "renamed", "empty", "skipped"),
    *("chunks", "tokens"),
)

IngestCallback = Callable[[IngestProgress], None]


def ingest_documents(
    writer: IndexWriter, encoder: Callable[[], Encoder], documents: Iterable[Document], chunking: Chunking
) -> IngestReport:
    """Add documents that are in memory, or replace them where they have changed.

    Args:
        writer: The writer of the index.
        encoder: Returns the encoder that the index is bound to. Called within a batch, once there is text to embed.
        documents: Documents that `check_documents` has passed. Of two with the same source, the later one stays.
        chunking: How to split them into chunks.

    Returns:
        What was done.
    """
    pipeline = Pipeline(writer, encoder, chunking)
    for document in documents:
        if document.source in pipeline.pending:
            pipeline.flush()
        content_hash = _content_hash(document, chunking)
        if _is_stored(writer.store, document, content_hash):
            pipeline.skip(document.source)
        else:
            pipeline.put(Prepared(document, content_hash))
    pipeline.flush()
    return pipeline.report()


def check_documents(documents: Iterable[Document]) -> None:
    """Check that documents in memory can be stored.

    Args:
        documents: The documents.

    Raises:
        CorpusError: If a document has no source, or one that is reserved, or its text is not valid Unicode.
    """
    for document in documents:
        source = document.source
        if not source or source.startswith(NAMESPACE):
            raise CorpusError(
                f"a document has the source {source!r}: give it a name, which does not begin with {NAMESPACE!r} "
                "(llama-index's documents are added with CorpusVectorStore)"
            )
        try:
            _content(document).encode()
        except UnicodeEncodeError as error:
            raise CorpusError(f"the document {source!r} is not valid Unicode ({error}): decode it anew") from error


def are_stored(store: Store, documents: Iterable[Document], chunking: Chunking) -> bool:
    """Whether an index holds documents unchanged, so that adding them needs no writer.

    Args:
        store: The store of the index, for reading.
        documents: Documents that `check_documents` has passed.
        chunking: How they would be split into chunks.

    Returns:
        Whether there is nothing to do for any of them.
    """
    return all(_is_stored(store, document, _content_hash(document, chunking)) for document in documents)


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
        pending_contents: Their sources, by content hash.
    """

    def __init__(
        self,
        writer: IndexWriter,
        encoder: Callable[[], Encoder],
        chunking: Chunking,
        progress: IngestCallback | None = None,
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
        self._warnings: list[Failure] = []
        self._texts: list[FileText] = []
        self._source = ""
        self._done = 0

    def put(self, prepared: Prepared) -> None:
        """Add a document to the next batch, and store the batch when it is large enough."""
        document = prepared.document
        self._warnings += (Failure(document.source, warning) for warning in document.warnings)
        self._texts.append(FileText(document.source, len(document.text), document.unreadable))
        self.pending[document.source] = prepared
        self.pending_contents[prepared.content_hash] = document.source
        self._pending_characters += len(document.text) + _DOCUMENT_OVERHEAD
        if self._pending_characters >= _PENDING_CHARACTERS:
            self.flush()

    def put_copy(self, copy: Copy) -> None:
        """Add another name of a document in the next batch."""
        self._pending_copies.append(copy)

    def skip(self, source: str) -> None:
        """Count a document that has not changed."""
        self.count["unchanged"] += 1
        self.finish(source)

    def flush(self) -> None:
        """Embed and store the pending documents, all of them or none."""
        if not self.pending:
            return
        with self.writer.batch() as generation:
            if not self.count["chunks"]:
                self.tell(doing="loading the encoder")
            encoder = self._encoder()
            self.store.set_meta("chunking", self._chunking.dump())
            ids = {}
            for document, content_hash, stamp in self.pending.values():
                replaced = self.store.remove_document(document.source, generation)
                self.count["changed" if replaced else "added"] += 1
                ids[document.source] = self.store.add_document(document, content_hash, generation, stamp)
            for copy in self._pending_copies:
                self.add_copy(copy, generation)
            passages = (
                passage
                for prepared in self.pending.values()
                for passage in chunk_document(prepared.document, encoder, self._chunking)
            )
            while batch := list(islice(passages, _PASSAGES_AT_ONCE)):
                self._embed(encoder, batch, ids)
            self.tell(doing="writing the index")
        for source in self.pending:
            self.finish(source)
        self.pending.clear()
        self.pending_contents.clear()
        self._pending_copies.clear()
        self._pending_characters = 0

    def remove(self, source: str) -> bool:
        """Remove a document; return whether there was one."""
        if self.store.stamp(source) is None:
            return False
        with self.writer.batch() as generation:
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
        return IngestReport(
            **self.count,
            failed=tuple(self.failed),
            seconds=seconds,
            warnings=tuple(self._warnings),
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

    def _embed(self, encoder: Encoder, batch: Sequence[Passage], ids: dict[str, int]) -> None:
        self.tell(batch[0].chunk.source, doing="embedding")
        texts = {text: number for number, text in enumerate(dict.fromkeys(passage.embedded for passage in batch))}
        distinct = encoder.encode_passages([*texts])  # of a file of dots, a thousand chunks are the same
        vectors = distinct[[texts[passage.embedded] for passage in batch]]
        first = 0
        for source, group in groupby(batch, key=lambda passage: passage.chunk.source):
            chunks = [passage.chunk for passage in group]
            self.store.add_chunks(ids[source], chunks, vectors[first : first + len(chunks)])
            first += len(chunks)
        self.count["chunks"] += len(batch)
        self.count["tokens"] += sum(passage.chunk.tokens for passage in batch)
        self.tell(batch[-1].chunk.source, doing="embedding")


def _is_stored(store: Store, document: Document, content_hash: str) -> bool:
    known = store.stamp(document.source)
    return known is not None and known.content_hash == content_hash


def _content(document: Document) -> str:
    """All fields of a document that are stored or that its chunks depend on, as JSON."""
    facts = {**asdict(document), "metadata": document.metadata.json, "warnings": (), "unreadable": ()}
    if not document.tables:
        del facts["tables"]  # so that what older versions have added counts as unchanged
    return json.dumps(facts, ensure_ascii=False)


def _content_hash(document: Document, chunking: Chunking) -> str:
    return hashlib.sha256((_content(document) + chunking.dump()).encode()).hexdigest()
