"""Copying an index, from a folder or a database into another: documents and vectors as they are, and nothing anew.

What is read and what is written are apart, so that an error names the one of the two indexes that it is about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from indexes.errors import CorpusError
from indexes.storage.protocols import Session, Writer
from indexes.storage.sqlite import KnownFile, NodeRow, Store
from indexes.types import Chunk, Document, DocumentInfo, Vectors

_SETTINGS = ("encoder", "encoder_fingerprint", "chunking")
_AT_ONCE = 4096  # chunks, with their vectors in memory


class _Whole(NamedTuple):
    """A document with its chunks, and the files that it was read from: itself, and copies of it."""

    document: Document
    chunks: list[Chunk]
    files: list[KnownFile]


def copy_documents(source: Session, writer: Writer, name: str) -> int:
    """Copy all documents into an empty index, all or none of them.

    Args:
        source: The index to read from.
        writer: The writer of the other index.
        name: What that is called in messages.

    Returns:
        How many documents were copied; copies of files are not counted.

    Raises:
        CorpusError: If the other index holds documents.
    """
    documents = source.read(lambda store: sorted(store.documents(), key=lambda each: each[0]))
    settings = source.read(lambda store: {key: store.meta(key) for key in _SETTINGS})
    names = [name for _, each in documents for name in (each.source, *each.copies)]
    target = writer.store
    with writer.batch(names) as generation:
        target.hold_settings()
        if not target.is_empty():
            raise CorpusError(f"{name} holds documents already: name a new or an empty index to copy into")
        for key, value in settings.items():
            if value is not None:
                target.set_meta(key, value)
        for document_id, document in documents:
            _copy(source, document_id, document, target, generation)
    return len(documents)


def _copy(source: Session, document_id: int, info: DocumentInfo, target: Store, generation: int) -> None:
    whole = source.read(partial(_read, document_id, info))
    own, *others = whole.files
    new_id = target.add_document(whole.document, own.content_hash, generation, own.stamp)
    for first in range(0, len(whole.chunks), _AT_ONCE):
        some = whole.chunks[first : first + _AT_ONCE]
        old = [chunk.id for chunk in some]
        vectors, nodes = source.read(partial(_read_vectors, old))
        new = dict(zip(old, target.add_chunks(new_id, some, vectors), strict=True))
        target.nodes.add(NodeRow(new[i], *row[1:]) for i, row in nodes.items())
    for copy, known in zip(info.copies, others, strict=True):
        target.add_copy(info.source, copy, known.stamp, known.modified)


def _read(document_id: int, info: DocumentInfo, store: Store) -> _Whole:
    text, tables = store.whole_text(document_id), store.tables(document_id)
    document = Document(info.source, text, info.title, metadata=info.metadata, modified=info.modified, tables=tables)
    files = [known for name in (info.source, *info.copies) if (known := store.stamp(name)) is not None]
    return _Whole(document, list(store.chunks_of(document_id)), files)


def _read_vectors(chunk_ids: Sequence[int], store: Store) -> tuple[Vectors, Mapping[int, NodeRow]]:
    return store.vectors.of(chunk_ids), store.nodes.of_chunks(chunk_ids)
