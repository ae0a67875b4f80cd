"""An index as a llama-index vector store: nodes go in and come out whole, beside what was ingested from files.

Nothing is kept here: what is added is in the index's store, searched by its dense and lexical indexes, and as safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)

from indexes.encoders import DEFAULT_ENCODER
from indexes.errors import CorpusError
from indexes.index import CorpusIndex
from indexes.llama_index.documents import drop_nodes, encoded, put_nodes
from indexes.llama_index.embedding import CorpusEmbedding
from indexes.llama_index.query import answer
from indexes.llama_index.selection import NodeSelection, nodes_of, passages_by_document
from indexes.search import Retrieval
from indexes.sources import NAMESPACE
from indexes.storage import Store

_WAIT = 60.0  # seconds


class CorpusVectorStore(BasePydanticVectorStore):
    """The index in the folder `path`, made with `encoder`, for llama-index's indexes, pipelines and retrievers.

    The nodes of one llama-index document (`ref_doc_id`) are one document of the index, whose source is
    "llama-index:" and that id; a node without one is a document of its own. Passages of ingested files are found, too:
    their `ref_doc_id` is the file's path, and they are removed with all of their file only.

    A change waits up to `wait` seconds for another writer to finish, or for ever if that is true; then it raises
    IndexBusy. The index is opened when it is first used, and `client` is it.

    >>> store = CorpusVectorStore.from_params("my-index")
    >>> index = VectorStoreIndex.from_vector_store(store, embed_model=store.embed_model)
    """

    path: str
    encoder: str | None = DEFAULT_ENCODER
    wait: bool | float = _WAIT
    stores_text: bool = True
    is_embedding_query: bool = True

    _index: CorpusIndex | None = PrivateAttr(default=None)

    @classmethod
    def from_params(
        cls, path: str, encoder: str | None = DEFAULT_ENCODER, wait: bool | float = _WAIT
    ) -> CorpusVectorStore:
        """Open the index at `path`, or make it; raises what `CorpusIndex.open` raises."""
        return cls.from_index(CorpusIndex.open(path, encoder), wait)

    @classmethod
    def from_index(cls, index: CorpusIndex, wait: bool | float = _WAIT) -> CorpusVectorStore:
        """An index that is open already, and that its owner closes."""
        store = cls(path=str(index.path), encoder=index.encoder.name, wait=wait)
        store._index = index
        return store

    @classmethod
    def class_name(cls) -> str:
        """The name that llama-index knows the class by."""
        return "CorpusVectorStore"

    @property
    def client(self) -> CorpusIndex:
        """The index."""
        if self._index is None:
            self._index = CorpusIndex.open(self.path, self.encoder)
        return self._index

    @property
    def embed_model(self) -> CorpusEmbedding:
        """The index's own encoder, for the nodes that are added and the queries that are asked."""
        return CorpusEmbedding(self.client.encoder)

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes, all or none, to their documents; one whose id is there already is replaced. Returns their ids.

        A node without an embedding is embedded by the index's encoder. Raises CorpusError for an embedding that does
        not fit the encoder's, IndexBusy, IndexMismatch.
        """
        with self.client.changing(self.wait) as (store, generation):
            encoder = self.client.bound_encoder(store)
            put_nodes(store, encoded(nodes, encoder, store.vectors.dimension()), generation)
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Remove a document: all nodes that came from it, the node that has this id and came from none, or a file."""
        with self.client.changing(self.wait) as (store, generation):
            for source in (NAMESPACE + ref_doc_id, ref_doc_id):
                store.remove_document(source, generation)

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        """Remove the nodes that have one of the ids and pass the filters. Raises CorpusError if neither is given.

        And for a part of a file: a file is in an index wholly or not at all.
        """
        if node_ids is None and (filters is None or not filters.filters):
            raise CorpusError("delete_nodes() without node_ids or filters: say which nodes, or remove all with clear()")
        selection = NodeSelection(node_ids=node_ids, filters=filters)
        with self.client.changing(self.wait) as (store, generation):
            chosen = selection.chunk_ids(store)
            _remove(store, chosen or set(), generation)

    def clear(self) -> None:
        """Remove everything, files' passages, too. The files themselves are left alone."""
        with self.client.changing(self.wait) as (store, generation):
            for source in [document.source for _, document in store.documents()]:
                store.remove_document(source, generation)

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """The nodes that have one of the ids and pass the filters, in the order in which they were added."""
        selection = NodeSelection(node_ids=node_ids, filters=filters)

        def read(retrieval: Retrieval) -> list[BaseNode]:
            store = retrieval.store
            chosen = selection.chunk_ids(store)
            ids = store.nodes.all_chunk_ids() if chosen is None else sorted(chosen)
            return nodes_of(store, store.chunks(ids).values())

        return self.client.read(read)

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nodes that answer best, best first; see `indexes.llama_index.query` for what each mode does.

        Raises CorpusError for a mode that there is not, and for a query without what its mode needs.
        """
        return self.client.read(lambda retrieval: answer(retrieval, query))

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """`add`, in a thread."""
        return await asyncio.to_thread(self.add, nodes, **kwargs)

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """`delete`, in a thread."""
        await asyncio.to_thread(self.delete, ref_doc_id, **delete_kwargs)

    async def adelete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        """`delete_nodes`, in a thread."""
        await asyncio.to_thread(self.delete_nodes, node_ids, filters, **delete_kwargs)

    async def aclear(self) -> None:
        """`clear`, in a thread."""
        await asyncio.to_thread(self.clear)

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """`get_nodes`, in a thread."""
        return await asyncio.to_thread(self.get_nodes, node_ids, filters)

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """`query`, in a thread."""
        return await asyncio.to_thread(self.query, query, **kwargs)


def _remove(store: Store, chunk_ids: set[int], generation: int) -> None:
    """Take out nodes, and files whose passages are all among the chunks."""
    rows = store.nodes.of_chunks(chunk_ids)
    files = passages_by_document(store, chunk_ids - rows.keys())
    for document, passages in files.items():
        if passages < document.chunks:
            raise CorpusError(
                f"{document.source} is a file with {document.chunks} passages, of which {passages} would go: remove "
                "it wholly with delete(ref_doc_id=its path)"
            )
    drop_nodes(store, (row.node_id for row in rows.values()), generation)
    for document in files:
        store.remove_document(document.source, generation)
