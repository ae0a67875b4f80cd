"""Documents to the store: chunk, embed, write. Text in memory takes this way, and files once they are read.

It streams: memory does not grow with the corpus, and the encoder is not touched until there is something to embed.
Knows the writer's store and an encoder; knows nothing of the dense and lexical indexes, which follow the store.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby, islice
from typing import NamedTuple

from indexes.chunking import Chunking, Passage, chunk_document
from indexes.errors import CorpusError
from indexes.sources import NAMESPACE
from indexes.storage import IndexWriter, Store
from indexes.types import Document, Encoder, Failure, IngestProgress, IngestReport

_PENDING_CHARACTERS = 150_000  # documents are embedded, and committed, together until they hold this many
_DOCUMENT_OVERHEAD = 200  # what an empty document counts, so that many small ones are no exception
_PASSAGES_AT_ONCE = 512  # embedded in one call: enough to sort by length

IngestCallback = Callable[[IngestProgress], None]


def ingest_documents(
    writer: IndexWriter, encoder: Callable[[], Encoder], documents: Iterable[Document], chunking: Chunking
) -> IngestReport:
    """Add documents that are in memory, or replace them where they have changed.

    Args:
        writer: The writer of the index.
        encoder: Returns the encoder that the index is bound to. Called within a batch, once there is text to embed.
        documents: The documents. Of two with the same source, the later one stays.
        chunking: How to split them into chunks.

    Returns:
        What was done.

    Raises:
        CorpusError: If a document cannot be stored; then none is.
    """
    given = list(documents)
    check_documents(given)
    pipeline = Pipeline(writer, encoder, chunking)
    for document in given:
        if pipeline.holds(document.source):
            pipeline.flush()
        content_hash = _content_hash(document, chunking)
        if _is_stored(writer.store, document, content_hash):
            pipeline.skip(document.source)
        else:
            pipeline.put(Prepared(document, content_hash))
    pipeline.flush()
    return pipeline.report()


def check_documents(documents: Iterable[Document]) -> None:
    """Raise CorpusError for a document in memory that cannot be stored."""
    for document in documents:
        _check(document)


def are_stored(store: Store, documents: Iterable[Document], chunking: Chunking) -> bool:
    """Whether an index holds documents as they are, so that adding them needs no writer.

    Args:
        store: The store of the index, for reading.
        documents: Documents that `check_documents` has passed.
        chunking: How they would be split into chunks.
    """
    return all(_is_stored(store, document, _content_hash(document, chunking)) for document in documents)


class Prepared(NamedTuple):
    """A document to be embedded and written.

    Attributes:
        document: The document.
        content_hash: A hash of what its chunks are made from, to recognize it by when it comes again.
        stamp: The status of its file, if an equal one means that the file has not changed.
    """

    document: Document
    content_hash: str
    stamp: str | None = None


class Pipeline:
    """Embeds and writes documents in batches, and counts what it does.

    Attributes:
        total: How many documents there will be, for the progress.
        writer: The writer of the index.
        store: The writer's store.
        count: The counts of the report, by name.
        failed: Documents that could not be ingested.
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
        self.count = dict.fromkeys(("added", "changed", "unchanged", "removed", "skipped", "chunks", "tokens"), 0)
        self.failed: list[Failure] = []
        self._encoder, self._chunking, self._progress = encoder, chunking, progress
        self._began = time.monotonic()
        self._pending: dict[str, Prepared] = {}
        self._waiting = 0
        self._warnings: list[Failure] = []
        self._source = ""
        self._done = 0

    def holds(self, source: str) -> bool:
        """Whether a document with that source waits to be written."""
        return source in self._pending

    def put(self, prepared: Prepared) -> None:
        """Add a document to those that wait, and flush them when they are enough for a batch."""
        document = prepared.document
        self._warnings += (Failure(document.source, warning) for warning in document.warnings)
        self._pending[document.source] = prepared
        self._waiting += len(document.text) + _DOCUMENT_OVERHEAD
        if self._waiting >= _PENDING_CHARACTERS:
            self.flush()

    def skip(self, source: str) -> None:
        """Count a document that has not changed."""
        self.count["unchanged"] += 1
        self.finish(source)

    def flush(self) -> None:
        """Embed and store the documents that wait, all of them or none."""
        if not self._pending:
            return
        with self.writer.batch() as generation:
            if not self.count["chunks"]:
                self.tell(doing="loading the encoder")
            encoder = self._encoder()
            self.store.set_meta("chunking", self._chunking.dump())
            ids = {}
            for document, content_hash, stamp in self._pending.values():
                replaced = self.store.remove_document(document.source, generation)
                self.count["changed" if replaced else "added"] += 1
                ids[document.source] = self.store.add_document(document, content_hash, generation, stamp)
            passages = (
                passage
                for prepared in self._pending.values()
                for passage in chunk_document(prepared.document, encoder, self._chunking)
            )
            for batch in _batches(passages, _PASSAGES_AT_ONCE):
                self._embed(encoder, batch, ids)
            self.tell(doing="writing the index")
        for source in self._pending:
            self.finish(source)
        self._pending.clear()
        self._waiting = 0

    def finish(self, source: str) -> None:
        """Note that a document is done with."""
        self._done += 1
        self.tell(source, doing="reading files")

    def report(self) -> IngestReport:
        """What was done so far."""
        seconds = time.monotonic() - self._began
        return IngestReport(**self.count, failed=tuple(self.failed), seconds=seconds, warnings=tuple(self._warnings))

    def tell(self, source: str | None = None, *, doing: str) -> None:
        """Tell the caller what is being done, to the file `source` or to the one named last."""
        self._source = self._source if source is None else source
        if self._progress is not None:
            chunks = self.count["chunks"]
            self._progress(IngestProgress(self._done, self.total, self._source, chunks, doing))

    def _embed(self, encoder: Encoder, batch: Sequence[Passage], ids: dict[str, int]) -> None:
        self.tell(batch[0].chunk.source, doing="embedding")
        vectors = encoder.encode_passages([passage.embedded for passage in batch])
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


def _check(document: Document) -> None:
    if not document.source or document.source.startswith(NAMESPACE):
        raise CorpusError(
            f"a document has the source {document.source!r}: give it a name, which does not begin with {NAMESPACE!r} "
            "(llama-index's documents are added with CorpusVectorStore)"
        )
    try:
        _content(document).encode()
    except UnicodeEncodeError as error:
        raise CorpusError(f"the document {document.source!r} is not valid Unicode ({error}): decode it anew") from error


def _content(document: Document) -> str:
    """All that the chunks of a document, and what the index says of it, are made from."""
    return json.dumps({**asdict(document), "metadata": document.metadata.json, "warnings": ()}, ensure_ascii=False)


def _content_hash(document: Document, chunking: Chunking) -> str:
    return hashlib.sha256((_content(document) + chunking.dump()).encode()).hexdigest()


def _batches(passages: Iterable[Passage], size: int) -> Iterator[list[Passage]]:
    iterator = iter(passages)
    while batch := list(islice(iterator, size)):
        yield batch
