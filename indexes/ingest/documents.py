"""Ingesting documents that are in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict

from indexes.chunking import Chunking
from indexes.errors import CorpusError
from indexes.ingest.pipeline import Pipeline, Prepared
from indexes.sources import NAMESPACE
from indexes.storage import Store, Writer
from indexes.types import Document, Encoder, IngestReport


def ingest_documents(
    writer: Writer, encoder: Callable[[], Encoder], documents: Iterable[Document], chunking: Chunking
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


def _is_stored(store: Store, document: Document, content_hash: str) -> bool:
    known = store.stamp(document.source)
    return known is not None and known.content_hash == content_hash


def _content(document: Document) -> str:
    """All fields of a document that are stored or that its chunks depend on, as JSON."""
    facts = {**asdict(document), "metadata": document.metadata.json, "warnings": (), "unreadable": ()}
    del facts["includes"]
    if not document.tables:
        del facts["tables"]  # so that what older versions have added counts as unchanged
    return json.dumps(facts, ensure_ascii=False)


def _content_hash(document: Document, chunking: Chunking) -> str:
    return hashlib.sha256((_content(document) + chunking.dump()).encode()).hexdigest()
