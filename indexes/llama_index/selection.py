"""Which chunks a llama-index query may find: by node ids, by documents, by metadata filters. Knows no search.

Chosen before the search and exactly, so that no match is lost among the nearest ones that do not pass.
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
    """What to choose by; a part that is None chooses all."""

    node_ids: Sequence[str] | None = None
    doc_ids: Sequence[str] | None = None
    filters: MetadataFilters | None = None

    def chunk_ids(self, store: Store) -> set[int] | None:
        """The chunks that each part chooses; None for all of them. Raises CorpusError for a filter that is wrong."""
        chosen = []
        if self.node_ids is not None:
            chosen.append(_with_node_ids(store, self.node_ids))
        if self.doc_ids is not None:
            chosen.append(_of_documents(store, self.doc_ids))
        if self.filters is not None and self.filters.filters:
            check_filters(self.filters)
            chosen.append(set(_passing(store, self.filters)))
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
    return {chunk_id for chunk_id, _ in store.nodes.places(wanted)} | set(_with_places(store, wanted))


def _with_places(store: Store, node_ids: Iterable[str]) -> Iterator[int]:
    """The passages of files among them: a passage's node id says where it stands."""
    for place in filter(None, map(parse_chunk_node_id, node_ids)):
        source, start, end = place
        if (found := store.document(source)) and is_file(source):
            yield from (
                position.id
                for position in store.nodes.chunk_positions(found[0])
                if (position.start, position.end) == (start, end)
            )


def _of_documents(store: Store, doc_ids: Iterable[str]) -> set[int]:
    """The chunks of files with those paths, and of llama-index documents with those ids."""
    sources = {source for doc_id in doc_ids for source in (doc_id, NAMESPACE + doc_id)}
    found = filter(None, map(store.document, sources))
    return {chunk_id for document_id, _ in found for chunk_id in store.nodes.chunk_ids(document_id)}


def _passing(store: Store, filters: MetadataFilters) -> Iterator[int]:
    yield from _passing_nodes(store, filters)
    # Their rows are not checked: those of the passages that are found, or removed, are when they are read.
    for document_id, document in store.documents_where(file_condition(filters), check=False):
        yield from _passing_passages(store, document_id, document, filters)


def _passing_nodes(store: Store, filters: MetadataFilters) -> Iterator[int]:
    decided: dict[tuple[str, str | None], bool] = {}  # most nodes of a document have its metadata and no other
    for node in store.nodes.scan(node_condition(filters)):
        document = node.source.removeprefix(NAMESPACE)
        facts = (node.metadata, None if document == node.node_id else document)
        if facts not in decided:
            decided[facts] = matches(filterable(json.loads(facts[0]), facts[1]), filters)
        if decided[facts]:
            yield node.chunk_id


def _passing_passages(
    store: Store, document_id: int, document: DocumentInfo, filters: MetadataFilters
) -> Iterator[int]:
    about = passage_metadata(document)
    if filter_keys(filters).isdisjoint(PLACE_KEYS):
        if matches(filterable(about, document.source), filters):
            yield from store.nodes.chunk_ids(document_id)
        return
    for position in store.nodes.chunk_positions(document_id):
        if matches(filterable({**about, **place_metadata(position)}, document.source), filters):
            yield position.id
