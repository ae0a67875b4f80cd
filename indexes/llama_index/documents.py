"""Adding llama-index nodes to the store, and removing them.

The nodes of one llama-index document are one document of the index: its text is theirs, one after another, and each
node is a chunk of it. To change one of them, the document is written anew, as for a file that has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from llama_index.core.schema import BaseNode, MetadataMode

from indexes.llama_index.long_texts import embed_whole
from indexes.llama_index.nodes import NodeRecord, common_metadata, describe, record, unit_vector
from indexes.sources import NAMESPACE
from indexes.storage import NodeRow, Store
from indexes.types import Chunk, Document, Encoder, Vectors

_AT_ONCE = 512  # nodes that are embedded together: enough to sort by length
_BETWEEN = "\n\n"  # two nodes' texts


@dataclass(frozen=True, slots=True)
class StoredNode:
    """A node with its embedding, of shape (dimension,), and the length of its text in the encoder's tokens."""

    record: NodeRecord
    vector: Vectors
    tokens: int


def encoded(nodes: Sequence[BaseNode], encoder: Encoder, dimension: int | None) -> Iterator[StoredNode]:
    """Embed the nodes that have no embedding, and check those that have one.

    The encoder embeds a node's text with the metadata that are not excluded from embedding, as llama-index does; a text
    that is longer than it reads is embedded in parts.

    Args:
        nodes: The nodes.
        encoder: The encoder of the index.
        dimension: The dimension of the vectors in the store; None while there is none.

    Yields:
        The nodes.

    Raises:
        CorpusError: If an embedding has another dimension, or its length cannot be made 1.
    """
    for first in range(0, len(nodes), _AT_ONCE):
        batch = nodes[first : first + _AT_ONCE]
        records = [record(node) for node in batch]
        bare = [node.get_content(MetadataMode.EMBED) for node in batch if node.embedding is None]
        made = iter(embed_whole(encoder, bare) if bare else ())
        tokens = encoder.token_offsets([each.text for each in records])
        for node, kept, offsets in zip(batch, records, tokens, strict=True):
            if node.embedding is None:
                yield StoredNode(kept, next(made), len(offsets))
            else:
                dimension = dimension or encoder.encode_query(kept.text).shape[0]
                what = f"the embedding of the node {node.node_id!r}"
                yield StoredNode(kept, unit_vector(node.embedding, dimension, what), len(offsets))


def put_nodes(store: Store, nodes: Iterable[StoredNode], generation: int) -> None:
    """Add nodes to their documents; a node with the same id is replaced, in whichever document it is."""
    latest = {node.record.node_id: node for node in nodes}
    documents = _taken_out(store, map(_source, latest.values()), latest, generation)
    for source, old in documents.items():
        for node_id in latest.keys() & old.keys():
            if _source(latest[node_id]) != source:
                del old[node_id]
    for node_id, node in latest.items():
        documents[_source(node)][node_id] = node
    for source, kept in documents.items():
        _put_in(store, source, [*kept.values()], generation)


def drop_nodes(store: Store, node_ids: Iterable[str], generation: int) -> None:
    """Remove nodes, and documents that have none left."""
    gone = set(node_ids)
    for source, old in _taken_out(store, (), gone, generation).items():
        _put_in(store, source, [node for node_id, node in old.items() if node_id not in gone], generation)


def _source(node: StoredNode) -> str:
    return NAMESPACE + node.record.document


def _sources(store: Store, node_ids: Iterable[str]) -> set[str]:
    return {source for _, source in store.nodes.places(node_ids)}


def _taken_out(
    store: Store, named: Iterable[str], node_ids: Collection[str], generation: int
) -> dict[str, dict[str, StoredNode]]:
    """Remove the documents that are named and those of nodes, and return the nodes of each by id."""
    sources, held = {*named, *_sources(store, node_ids)}, {}
    store.lock(sources)
    for source in sorted(sources | _sources(store, node_ids)):  # another writer may have changed them before
        held[source] = {node.record.node_id: node for node in _nodes_of(store, source)}
        store.remove_document(source, generation)
    return held


def _nodes_of(store: Store, source: str) -> Iterator[StoredNode]:
    found = store.document(source)
    chunks = list(store.chunks_of(found[0])) if found else []
    rows = store.nodes.of_chunks(chunk.id for chunk in chunks)
    vectors = store.vectors.of([chunk.id for chunk in chunks])
    for chunk, vector in zip(chunks, vectors, strict=True):
        row = rows[chunk.id]
        kept = NodeRecord(row.node_id, source.removeprefix(NAMESPACE), chunk.text, row.metadata, row.rest)
        yield StoredNode(kept, vector, chunk.tokens)


def _put_in(store: Store, source: str, nodes: Sequence[StoredNode], generation: int) -> None:
    if not nodes:
        return
    records = [node.record for node in nodes]
    title = describe(json.loads(records[0].metadata))[0] or records[0].document
    text = _BETWEEN.join(each.text for each in records)
    document = Document(source, text, title, metadata=common_metadata(records))
    parts = [[each.node_id, each.text, each.metadata, each.rest] for each in records]
    content_hash = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    document_id = store.add_document(document, content_hash, generation)
    vectors = np.stack([node.vector for node in nodes])
    ids = store.add_chunks(document_id, list(_chunks(document, nodes)), vectors)
    rows = (NodeRow(i, each.node_id, each.metadata, each.rest) for i, each in zip(ids, records, strict=True))
    store.nodes.add(rows)


def _chunks(document: Document, nodes: Iterable[StoredNode]) -> Iterator[Chunk]:
    start, line = 0, 1
    for node in nodes:
        text = node.record.text
        _, heading, page = describe(json.loads(node.record.metadata))
        end = start + len(text)
        yield Chunk(text, document.source, document.title, heading, page, start, end, line, node.tokens)
        line += text.count("\n") + _BETWEEN.count("\n")
        start = end + len(_BETWEEN)
