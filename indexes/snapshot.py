"""Reading an index: searches, lists and texts of one generation, for a single call or for a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from indexes.encoders import Reranker
from indexes.errors import CorpusError
from indexes.manifest import check_weights
from indexes.near import near_source
from indexes.search import (
    Retrieval,
    SearchFilter,
    SearchRequest,
    allowed_chunks,
    allowed_documents,
    each_name,
    named_as_allowed,
    search,
)
from indexes.storage import Searchers, Session, Store
from indexes.text import content_terms, query_language, serves
from indexes.types import Chunk, DocumentInfo, Encoder, SearchHit

T = TypeVar("T")


class IndexReader:
    """The reading methods that `CorpusIndex` and `Snapshot` share.

    Args:
        session: Returns the read transaction of one call.
        path: The folder of the index.
        name: What the index is called in messages.
        encoder: The model that embeds chunks and queries.
        reranker: The model that reorders the hits of a search; None for none.

    Attributes:
        passages_only: False: whole documents can be read, unlike those of a llama-index retriever.
    """

    passages_only = False

    def __init__(
        self,
        session: Callable[[], AbstractContextManager[Session]],
        path: Path,
        name: str,
        encoder: Encoder,
        reranker: Reranker | None,
    ) -> None:
        self._session = session
        self.path = path
        self.name = name
        self.encoder = encoder
        self.reranker = reranker

    @property
    def own_scores(self) -> bool:
        """Whether hits have scores of this package, of which 0 says nothing; a reranker's can mean anything."""
        return self.reranker is None

    def search(
        self,
        query: str,
        k: int = 10,
        mode: str = "hybrid",
        *,
        filters: SearchFilter | None = None,
        expand: int = 0,
    ) -> list[SearchHit]:
        """Find the chunks that answer a query best.

        Args:
            query: The query, in words.
            k: The maximum number of hits.
            mode: "dense" (embedding similarity), "lexical" (BM25) or "hybrid" (both, with their scores fused; BM25
                alone for a query in a language that the encoder was not trained for).
            filters: Which documents may be found; None for all. They are applied before the search, so that no match
                is lost behind better ones that are not allowed.
            expand: How many neighbouring chunks of its document to widen each hit by, on either side.

        Returns:
            The hits, best first. Their texts do not overlap: what a better hit contains is cut off the others. Scores
            are inner products ("dense"), BM25 ("lexical") or between 0 and 1 ("hybrid"); with a reranker, its own.

        Raises:
            CorpusError: If the query is empty, `k` or `expand` is too small, or there is no such mode.
            IndexMismatch: If the encoder's weights are not those that made the index.
        """
        request = SearchRequest(query, k, mode, filters, expand)
        return self.read(lambda retrieval: search(retrieval, request, self.reranker))

    def similarity(self, query: str, texts: Sequence[str]) -> list[float] | None:
        """Cosine similarity of texts to a query.

        Args:
            query: The query.
            texts: The texts, which need not be in the index.

        Returns:
            The cosine of each text's embedding to the query's; None if the encoder was not trained for the query's
            language.

        Raises:
            IndexMismatch: If the encoder's weights are not those that made the index.
        """
        if not serves(self.encoder.languages, query, self.languages()):
            return None
        self._read(self._check_encoder)
        cosines = self.encoder.encode_passages(texts) @ self.encoder.encode_query(query)
        return [float(cosine) for cosine in cosines]

    def languages(self) -> dict[str, int]:
        """List the languages of the chunks.

        Returns:
            ISO 639-1 codes with the number of chunks in each; chunks whose language cannot be told are not counted.
        """
        return self.read(lambda retrieval: retrieval.lexical.languages)

    def language_of(self, query: str) -> str | None:
        """Tell which of the index's languages a query is in.

        Args:
            query: The query.

        Returns:
            An ISO 639-1 code; None if it is in none of them.
        """
        return query_language(query, self.languages())

    def content_idf(self, text: str, language: str = "en") -> dict[str, float]:
        """Inverse document frequencies of the content words of a text.

        Args:
            text: The text, such as a question.
            language: The language to stem its words in.

        Returns:
            For each distinct lexical term, its inverse document frequency over the chunks of the index.
        """
        return self.read(lambda retrieval: retrieval.lexical.idf(content_terms(text, language)))

    def documents(self, filters: SearchFilter | None = None) -> list[DocumentInfo]:
        """List documents.

        Args:
            filters: Which documents; None for all.

        Returns:
            The documents, sorted by source; a file with the content of another is one of its own.
        """
        found = self._read(lambda store: [*allowed_documents(store, filters).values()])
        named = [name for document in found for name in each_name(document, filters)]
        return sorted(named, key=lambda document: document.source)

    def chunks(self, filters: SearchFilter | None = None) -> list[Chunk]:
        """List the chunks of documents.

        Args:
            filters: Which documents; None for all.

        Returns:
            The chunks in reading order, with the documents sorted by source; those of a copy are not repeated.
        """

        def read(store: Store) -> list[Chunk]:
            documents = allowed_documents(store, filters)
            return [*named_as_allowed((chunk for i in documents for chunk in store.chunks_of(i)), filters)]

        return self._read(read)

    def chunks_by_id(self, ids: Sequence[int], filters: SearchFilter | None = None) -> dict[int, Chunk]:
        """Read chunks by their ids.

        Args:
            ids: The ids of chunks that were found in this index.
            filters: Which documents; None for all.

        Returns:
            The chunks by id, without those that have been removed or are not allowed.
        """

        def read(store: Store) -> list[Chunk]:
            there = store.chunk_ids_among(ids)
            if filters is not None and (allowed := allowed_chunks(store, filters)) is not None:
                there &= allowed
            return [*named_as_allowed(store.chunks(there).values(), filters)]

        return {chunk.id: chunk for chunk in self._read(read)}

    def neighbours(self, chunk: Chunk, count: int) -> tuple[list[Chunk], list[Chunk]]:
        """Read the chunks around a chunk in its document.

        Args:
            chunk: A chunk that was found in this index. If its document has been removed since, it has no neighbours.
            count: The maximum number of chunks on either side.

        Returns:
            The chunks before it and the chunks after it, both in reading order.
        """

        def read(store: Store) -> list[Chunk]:
            document = store.document(chunk.source)
            there = document is not None and chunk.id in store.chunk_ids_of([document[0]])
            return store.chunks_around(chunk, count) if there else []

        parts = [replace(part, source=chunk.source, copies=chunk.copies) for part in self._read(read)]
        return [part for part in parts if part.id < chunk.id], [part for part in parts if part.id > chunk.id]

    def text(self, source: str | Path) -> str:
        """Read the text of a document, in which the `start` and `end` of chunks and citations are offsets.

        Args:
            source: The name of a document or a copy, or a path.

        Returns:
            The whole text.

        Raises:
            CorpusError: If there is no such document.
        """
        target, text = self._read(lambda store: (found := store.find_source(source), store.text_of(found)))
        if text is None:
            raise CorpusError(f"{target} is not in the index {self.name}: {self.instead_of(target)}")
        return text

    def instead_of(self, source: str) -> str:
        """Say what to name instead of a document that there is not.

        Args:
            source: The name or the path that was given.

        Returns:
            The document that was probably meant, or how to list them, as the end of a sentence.
        """
        near = near_source(source, (document.source for document in self.documents()))
        return f"did you mean {near}?" if near else "see `longctx index list`"

    def read(self, read: Callable[[Retrieval], T]) -> T:
        """Read from the store and its search indexes, for `indexes.llama_index`.

        Args:
            read: Reads from one generation. It is called again if files were replaced meanwhile.

        Returns:
            What `read` returns.
        """

        def search(found: Searchers) -> T:
            check = self._check_encoder
            return read(Retrieval(found.store, found.dense, found.lexical, self.encoder, lambda: check(found.store)))

        with self._session() as session:
            return session.search(search)

    def _read(self, read: Callable[[Store], T]) -> T:
        with self._session() as session:
            return session.read(read)

    def _check_encoder(self, store: Store) -> None:
        check_weights(store, self.encoder, self.name)


class Snapshot(IndexReader):
    """An index as it was when the snapshot was taken: `CorpusIndex.snapshot` makes one.

    Whatever a writer publishes meanwhile, searches, lists and texts are of one generation, read in one transaction. It
    is for one thread, and for as long as it takes to read: while it is open, the database's log cannot shrink.

    Every method raises CorpusError after the snapshot's `with` block, and if a file of the index is damaged after
    something has been read; before that, the file is made again and the snapshot moves to the newest generation.

    Attributes:
        path: The folder of the index.
        name: What the index is called in messages.
        encoder: The model that embeds chunks and queries.
        reranker: The model that reorders the hits of a search; None for none.
    """
