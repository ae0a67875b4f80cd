"""The chunks that a llama-index query may find: by node ids, by documents, by metadata filters.

They are selected before the search, and exactly, so that no match is lost behind better ones that do not pass.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import MetadataFilters

from indexes.llama_index.filters import check_filters, file_condition, filter_keys, matches, node_condition
from indexes.llama_index.nodes import (
    PLACE_KEYS,
    NodeRecord,
    chunk_node,
    filterable,
    parse_chunk_node_id,
    passage_metadata,
    place_metadata,
    restore,
)
from indexes.sources import NAMESPACE, is_file
from indexes.storage import NodeRow, Store
from indexes.types import Chunk, DocumentInfo


@dataclass(frozen=True, slots=True)
class NodeSelection:
    """The nodes that a query may find. All conditions that are given must hold; None is no condition.

    Attributes:
        node_ids: The ids of the nodes.
        doc_ids: The ids of their documents (`ref_doc_id`); of a file, its path.
        filters: Conditions on their metadata.
    """

    node_ids: Sequence[str] | None = None
    doc_ids: Sequence[str] | None = None
    filters: MetadataFilters | None = None

    def chunk_ids(self, store: Store) -> set[int] | None:
        """The ids of the nodes' chunks; None for all. Raises CorpusError for a filter that is wrong."""
        chosen = []
        if self.node_ids is not None:
            chosen.append(_with_node_ids(store, self.node_ids))
        if self.doc_ids is not None:
            sources = {source for doc_id in self.doc_ids for source in (doc_id, NAMESPACE + doc_id)}
            documents = filter(None, map(store.document, sources))
            chosen.append(store.chunk_ids_of(document_id for document_id, _ in documents))
        if self.filters is not None and self.filters.filters:
            check_filters(self.filters)
            chosen.append({*_passing_nodes(store, self.filters), *_passing_passages(store, self.filters)})
        return set.intersection(*chosen) if chosen else None


def nodes_of(store: Store, chunks: Iterable[Chunk]) -> list[BaseNode]:
    """The node of each chunk: as it was added through llama-index, or the passage of a file."""
    given = list(chunks)
    rows = store.nodes.of_chunks(chunk.id for chunk in given)
    return [_node(chunk, rows.get(chunk.id)) for chunk in given]


def passages_by_document(store: Store, chunk_ids: Iterable[int]) -> dict[DocumentInfo, int]:
    """The documents that chunks belong to, and how many of the chunks each has."""
    sources = Counter(chunk.source for chunk in store.chunks(chunk_ids).values())
    found = ((store.document(source), count) for source, count in sources.items())
    return {document[1]: count for document, count in found if document is not None}


def _node(chunk: Chunk, row: NodeRow | None) -> BaseNode:
    if row is None:
        return chunk_node(chunk)
    return restore(NodeRecord(row.node_id, chunk.source.removeprefix(NAMESPACE), chunk.text, row.metadata, row.rest))


def _with_node_ids(store: Store, node_ids: Iterable[str]) -> set[int]:
    wanted = set(node_ids)
    chunk_ids = {chunk_id for chunk_id, _ in store.nodes.places(wanted)}
    for source, *span in filter(None, map(parse_chunk_node_id, wanted)):  # passages of files
        if is_file(source) and (document := store.document(source)):
            positions = store.nodes.chunk_positions(document[0])
            chunk_ids |= {position.id for position in positions if [position.start, position.end] == span}
    return chunk_ids


def _passing_nodes(store: Store, filters: MetadataFilters) -> Iterator[int]:
    decided: dict[tuple[str, str | None], bool] = {}  # most nodes of a document have its metadata and no other
    for chunk_id, node_id, source, metadata in store.nodes.scan(node_condition(filters)):
        document = source.removeprefix(NAMESPACE)
        facts = (metadata, None if document == node_id else document)
        if facts not in decided:
            decided[facts] = matches(filterable(json.loads(metadata), facts[1]), filters)
        if decided[facts]:
            yield chunk_id


def _passing_passages(store: Store, filters: MetadataFilters) -> Iterator[int]:
    is_of_files = filter_keys(filters).isdisjoint(PLACE_KEYS)  # then all passages of a file pass, or none
    # The rows are not checked here: those of passages that are found, or removed, are checked when they are read.
    for document_id, document in store.documents_where(file_condition(filters), check=False):
        metadata = filterable(passage_metadata(document), document.source)
        if not is_of_files:
            for position in store.nodes.chunk_positions(document_id):
                if matches(metadata | place_metadata(position), filters):
                    yield position.id
        elif matches(metadata, filters):
            yield from store.chunk_ids_of([document_id])
