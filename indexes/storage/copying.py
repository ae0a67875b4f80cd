"""Copying an index, from a folder or a database into another: documents and vectors as they are, and nothing anew."""

from __future__ import annotations

from indexes.errors import CorpusError
from indexes.storage.protocols import Writer
from indexes.storage.sqlite import NodeRow, Store
from indexes.types import Document, DocumentInfo

_SETTINGS = ("encoder", "encoder_fingerprint", "chunking")
_AT_ONCE = 4096  # chunks, with their vectors in memory


def copy_documents(source: Store, writer: Writer, name: str) -> int:
    """Copy all documents into an empty index, all or none of them.

    Args:
        source: The store to read from.
        writer: The writer of the other index.
        name: What that is called in messages.

    Returns:
        How many documents were copied; copies of files are not counted.

    Raises:
        CorpusError: If the other index holds documents.
    """
    documents = sorted(source.documents(), key=lambda each: each[0])
    names = [name for _, each in documents for name in (each.source, *each.copies)]
    target = writer.store
    with writer.batch(names) as generation:
        target.hold_settings()
        if not target.is_empty():
            raise CorpusError(f"{name} holds documents already: name a new or an empty index to copy into")
        for key in _SETTINGS:
            if (value := source.meta(key)) is not None:
                target.set_meta(key, value)
        for document_id, document in documents:
            _copy(source, document_id, document, target, generation)
    return len(documents)


def _copy(source: Store, document_id: int, info: DocumentInfo, target: Store, generation: int) -> None:
    known = source.stamp(info.source)
    assert known is not None
    document = Document(
        info.source,
        source.whole_text(document_id),
        info.title,
        metadata=info.metadata,
        modified=info.modified,
        tables=source.tables(document_id),
    )
    new_id = target.add_document(document, known.content_hash, generation, known.stamp)
    chunks = list(source.chunks_of(document_id))
    for first in range(0, len(chunks), _AT_ONCE):
        some = chunks[first : first + _AT_ONCE]
        old = [chunk.id for chunk in some]
        new = dict(zip(old, target.add_chunks(new_id, some, source.vectors.of(old)), strict=True))
        target.nodes.add(NodeRow(new[i], *row[1:]) for i, row in source.nodes.of_chunks(old).items())
    for copy in info.copies:
        of_copy = source.stamp(copy)
        assert of_copy is not None
        target.add_copy(info.source, copy, of_copy.stamp, of_copy.modified)
