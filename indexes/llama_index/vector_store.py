"""An index as a llama-index vector store: nodes are kept whole in the index's store, beside ingested files."""

from __future__ import annotations

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
from indexes.llama_index.embedding import CorpusEmbedding, in_thread
from indexes.llama_index.query import answer
from indexes.llama_index.selection import NodeSelection, nodes_of, passages_by_document
from indexes.search import Retrieval
from indexes.sources import NAMESPACE
from indexes.storage import Store

_WAIT = 60.0  # seconds


class CorpusVectorStore(BasePydanticVectorStore):
    """An index as a vector store, for llama-index's indexes, pipelines and retrievers.

    The nodes of one llama-index document (`ref_doc_id`) are one document of the index, whose source is
    "llama-index:" and that id; a node without one is a document of its own. Passages of ingested files are found, too:
    their `ref_doc_id` is the file's path, and they can only be removed with their whole file.

    >>> store = CorpusVectorStore.from_params("my-index")
    >>> index = VectorStoreIndex.from_vector_store(store, embed_model=store.embed_model)

    Attributes:
        path: The folder of the index, or the address of one in a database without its password; it is opened when it
            is first used.
        encoder: The encoder, as in `CorpusIndex.open`.
        wait: How many seconds a change waits for another writer, before it raises IndexBusy; true for no limit.
        stores_text: True: llama-index need not keep the nodes itself.
        is_embedding_query: True: llama-index embeds the query.
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
        """Open an index, or create one.

        Args:
            path: The folder of the index, or the address of one in a database.
            encoder: The encoder, as in `CorpusIndex.open`.
            wait: How many seconds a change waits for another writer; true for no limit.

        Returns:
            The vector store. What `CorpusIndex.open` raises is raised here.
        """
        return cls.from_index(CorpusIndex.open(path, encoder), wait)

    @classmethod
    def from_index(cls, index: CorpusIndex, wait: bool | float = _WAIT) -> CorpusVectorStore:
        """Use an index that is open already.

        Args:
            index: The index, which remains the caller's to close.
            wait: How many seconds a change waits for another writer; true for no limit.

        Returns:
            The vector store.
        """
        store = cls(path=index.name, encoder=index.encoder.name, wait=wait)
        store._index = index
        return store

    @classmethod
    def class_name(cls) -> str:
        """The name of the class in llama-index's serialized objects."""
        return "CorpusVectorStore"

    @property
    def client(self) -> CorpusIndex:
        """The open index."""
        if self._index is None:
            self._index = CorpusIndex.open(self.path, self.encoder)
        return self._index

    @property
    def embed_model(self) -> CorpusEmbedding:
        """The index's encoder, with which nodes and queries have to be embedded."""
        return CorpusEmbedding(self.client.encoder)

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes to their documents, all or none. A node whose id is there already is replaced.

        Args:
            nodes: The nodes. One without an embedding is embedded by the index's encoder.
            kwargs: Ignored.

        Returns:
            The ids of the nodes.

        Raises:
            CorpusError: If an embedding has another dimension than the encoder's, or a node cannot be stored.
            IndexBusy: If another process writes for longer than `wait`.
            IndexMismatch: If the encoder's weights are not those that made the index.
        """
        with self.client.changing(self.wait) as (store, generation):
            encoder = self.client.bound_encoder(store)
            put_nodes(store, encoded(nodes, encoder, store.vectors.dimension()), generation)
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Remove a document with its nodes; a file is left alone on the disk.

        Args:
            ref_doc_id: The id of the document, the id of a node that is of no document, or the path of a file.
            delete_kwargs: Ignored.
        """
        with self.client.changing(self.wait) as (store, generation):
            for source in (NAMESPACE + ref_doc_id, ref_doc_id):
                store.remove_document(source, generation)

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        """Remove the nodes that have one of the ids and pass the filters.

        Args:
            node_ids: The ids; None for any.
            filters: The filters; None for any.
            delete_kwargs: Ignored.

        Raises:
            CorpusError: If neither is given, or only some passages of a file would be removed.
        """
        if node_ids is None and (filters is None or not filters.filters):
            raise CorpusError("delete_nodes() without node_ids or filters: say which nodes, or remove all with clear()")
        selection = NodeSelection(node_ids=node_ids, filters=filters)
        with self.client.changing(self.wait) as (store, generation):
            _remove(store, selection.chunk_ids(store) or set(), generation)

    def clear(self) -> None:
        """Remove all nodes and all files from the index; files are left alone on the disk."""
        with self.client.changing(self.wait) as (store, generation):
            for source in [document.source for _, document in store.documents()]:
                store.remove_document(source, generation)

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """List nodes, among them the passages of files.

        Args:
            node_ids: Their ids; None for any.
            filters: Filters that they pass; None for any.

        Returns:
            The nodes, without embeddings, in the order in which they were added.
        """
        selection = NodeSelection(node_ids=node_ids, filters=filters)

        def read(retrieval: Retrieval) -> list[BaseNode]:
            store = retrieval.store
            chosen = selection.chunk_ids(store)
            ids = store.vectors.chunk_ids().tolist() if chosen is None else sorted(chosen)
            return nodes_of(store, store.chunks(ids).values())

        return self.client.read(read)

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Answer a query: see `indexes.llama_index.query` for what each mode does.

        Args:
            query: The query.
            kwargs: Ignored.

        Returns:
            The nodes, best first, with their scores and ids.

        Raises:
            CorpusError: If the mode is not supported, or the query lacks the vector or the text that its mode needs.
        """
        return self.client.read(lambda retrieval: answer(retrieval, query))

    async_add = in_thread(add)
    adelete = in_thread(delete)
    adelete_nodes = in_thread(delete_nodes)
    aclear = in_thread(clear)
    aget_nodes = in_thread(get_nodes)
    aquery = in_thread(query)


def _remove(store: Store, chunk_ids: set[int], generation: int) -> None:
    """Remove nodes, and files whose passages are all among the chunks."""
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
