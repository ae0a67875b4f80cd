"""`Snapshot`: an index at one generation, for whoever reads from it more than once and wants the parts to fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from indexes.encoders import Reranker
from indexes.errors import CorpusError
from indexes.manifest import check_weights
from indexes.search import Retrieval, SearchFilter, SearchRequest, allowed_documents, search
from indexes.storage import ReadSession, Searchers, Store
from indexes.text import serves
from indexes.types import Chunk, DocumentInfo, Encoder, SearchHit

T = TypeVar("T")


class Snapshot:
    """An index as it was when the snapshot was taken: `CorpusIndex.snapshot` makes one.

    Whatever a writer publishes meanwhile, searches, lists and texts are of one generation, read in one transaction. It
    is for one thread, and for as long as it takes to read: while it is open, the database's log cannot shrink.

    Every method raises CorpusError after the snapshot's `with` block, and if a file of the index is damaged after
    something has been read; before that, the snapshot has it made again and goes on with the newest generation.
    """

    def __init__(self, session: ReadSession, path: Path, encoder: Encoder, reranker: Reranker | None) -> None:
        self._session, self._path = session, path
        self._encoder, self._reranker = encoder, reranker

    def search(
        self,
        query: str,
        k: int = 10,
        mode: str = "hybrid",
        *,
        filters: SearchFilter | None = None,
        expand: int = 0,
    ) -> list[SearchHit]:
        """Find the chunks that answer a query best: see `CorpusIndex.search`.

        Args:
            query: What to look for.
            k: How many hits to return, at most.
            mode: "hybrid", "dense" or "lexical".
            filters: Which documents may be found; None for all.
            expand: How many neighbouring chunks to widen each hit by, on either side.

        Returns:
            The hits, best first.

        Raises:
            CorpusError: For a request that cannot be answered.
        """
        request = SearchRequest(query, k, mode, filters, expand)
        return self.retrieve(lambda retrieval: search(retrieval, request, self._reranker))

    def similarity(self, query: str, texts: Sequence[str]) -> list[float] | None:
        """Compare texts with a query by their meaning.

        Args:
            query: What to compare with.
            texts: The texts.

        Returns:
            The cosine of each text's vector to the query's; None if the encoder does not know the query's language.

        Raises:
            IndexMismatch: If the encoder's weights are not those that made the index.
        """
        if not serves(self._encoder.languages, query):
            return None
        self._session.read(self._check_encoder)
        cosines = self._encoder.encode_passages(texts) @ self._encoder.encode_query(query)
        return [float(cosine) for cosine in cosines]

    def documents(self, filters: SearchFilter | None = None) -> list[DocumentInfo]:
        """List the documents.

        Args:
            filters: Which of them; None for all.

        Returns:
            The documents, sorted by source.
        """
        return self._session.read(lambda store: [*allowed_documents(store, filters).values()])

    def chunks(self, filters: SearchFilter | None = None) -> list[Chunk]:
        """List the chunks of documents.

        Args:
            filters: Which documents; None for all.

        Returns:
            The chunks, document by document, in order.
        """

        def read(store: Store) -> list[Chunk]:
            return [chunk for i in allowed_documents(store, filters) for chunk in store.chunks_of(i)]

        return self._session.read(read)

    def neighbours(self, chunk: Chunk, count: int) -> tuple[list[Chunk], list[Chunk]]:
        """Get what stands around a chunk in its document.

        Args:
            chunk: A chunk that was found in this index; its document may have gone since.
            count: How many chunks to get on either side, at most.

        Returns:
            The chunks before it and the chunks after it, both in the order of the document.
        """

        def read(store: Store) -> list[Chunk]:
            document = store.document(chunk.source)
            there = document is not None and chunk.id in store.chunk_ids_of([document[0]])
            return store.chunks_around(chunk, count) if there else []

        parts = self._session.read(read)
        return [part for part in parts if part.id < chunk.id], [part for part in parts if part.id > chunk.id]

    def text(self, source: str | Path) -> str:
        """Get the text of a document, which the `start` and `end` of chunks and citations count in.

        Args:
            source: The name of a document, or a path.

        Returns:
            The text.

        Raises:
            CorpusError: If there is no such document.
        """
        target, text = self._session.read(lambda store: (found := store.find_source(source), store.text_of(found)))
        if text is None:
            raise CorpusError(f"{target} is not in the index {self._path}: see `longctx index list`")
        return text

    def retrieve(self, retrieve: Callable[[Retrieval], T]) -> T:
        """What `retrieve` returns for what a search reads. For `indexes.llama_index`."""
        return self._session.search(lambda searchers: retrieve(self._retrieval(searchers)))

    def _retrieval(self, found: Searchers) -> Retrieval:
        return Retrieval(
            found.store, found.dense, found.lexical, self._encoder, lambda: self._check_encoder(found.store)
        )

    def _check_encoder(self, store: Store) -> None:
        check_weights(store, self._encoder, self._path)
