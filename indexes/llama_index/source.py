"""A llama-index retriever as the source of passages for `longctx.DocumentQA`, in place of an index.

Nothing is known of the documents but the nodes that are retrieved for a question.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from llama_index.core import VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore

from indexes.errors import CorpusError
from indexes.llama_index.nodes import describe
from indexes.offsets import Shifts, original_span
from indexes.search import SearchFilter
from indexes.storage import idf_of
from indexes.text import content_terms, on_one_line, query_language, serves, terms, text_language
from indexes.types import Chunk, DocumentInfo, Encoder, SearchHit

_SOURCE_KEYS = ("file_path", "source", "file_name", "url", "URL")


class RetrieverSource:
    """A llama-index retriever, where `longctx.DocumentQA` takes an index.

    Args:
        retriever: The retriever; a `VectorStoreIndex` is asked for as many nodes as a question wants.
        encoder: Compares the sentences of the nodes with a question.

    Attributes:
        passages_only: True: whole documents cannot be read.
        name: The name of the retriever's class.
        encoder: The encoder.

    Raises:
        CorpusError: If it is neither a `BaseRetriever` nor a `VectorStoreIndex`.
    """

    passages_only = True

    def __init__(self, retriever: BaseRetriever | VectorStoreIndex, encoder: Encoder) -> None:
        self.name = type(retriever).__name__
        if not isinstance(retriever, BaseRetriever | VectorStoreIndex):
            raise CorpusError(f"the retriever is a {self.name}: give a llama-index BaseRetriever or VectorStoreIndex")
        self.encoder = encoder
        self._retriever = retriever
        self._numbers: dict[tuple[object, ...], dict[tuple[object, ...], int]] = {}
        self._numbering = threading.Lock()

    @contextmanager
    def snapshot(self) -> Iterator[RetrievedPassages]:
        """Read for one question.

        Yields:
            What is retrieved for it.
        """
        yield RetrievedPassages(self)

    def close(self) -> None:
        """Do nothing: the retriever remains the caller's."""

    def number(self, passage: Chunk) -> int:
        """Number a passage: the same one alike in each search, and those of a document in the order of their offsets.

        Args:
            passage: A passage without a number.

        Returns:
            Its number.
        """
        with self._numbering:
            documents = self._numbers.setdefault((), {})
            document = documents.setdefault((passage.source,), len(documents))
            there = self._numbers.setdefault((document, passage.start), {})
            place = there.setdefault((passage.end, passage.node, hash(passage.text)), len(there))
        return (document << 64) + (passage.start << 24) + place

    def retrieve(self, query: str, k: int) -> list[NodeWithScore]:
        """Ask the retriever.

        Args:
            query: The query.
            k: How many nodes to ask a `VectorStoreIndex` for.

        Returns:
            The nodes, in the retriever's order.

        Raises:
            CorpusError: If the retriever fails; the cause is its own error.
        """
        given = self._retriever
        retriever = given if isinstance(given, BaseRetriever) else given.as_retriever(similarity_top_k=k)
        try:
            try:
                return list(retriever.retrieve(query))
            except NotImplementedError:
                if type(retriever)._aretrieve is BaseRetriever._aretrieve:
                    raise
            # one that is asynchronous only; the caller's thread may have an event loop that runs
            with ThreadPoolExecutor(1) as thread:
                return list(thread.submit(asyncio.run, retriever.aretrieve(query)).result())
        except Exception as error:
            what = on_one_line(f"{type(error).__name__}: {error}").rstrip(": ")
            raise CorpusError(f"the retriever {self.name} failed: {what}") from error


class RetrievedPassages:
    """What a retriever has found for a question; the reading methods are those of `Snapshot`, as far as they can be.

    Args:
        source: The retriever.

    Attributes:
        passages_only: True: whole documents cannot be read.
        own_scores: False: the scores are the retriever's.
        encoder: Compares sentences with a question.
    """

    passages_only = True
    own_scores = False

    def __init__(self, source: RetrieverSource) -> None:
        self.encoder = source.encoder
        self._source = source
        self._found: Sequence[Chunk] = ()

    def search(
        self, query: str, k: int = 10, mode: str = "hybrid", *, filters: SearchFilter | None = None, expand: int = 0
    ) -> list[SearchHit]:
        """Retrieve passages: at most `k`, in the retriever's order, and each once.

        Args:
            query: The query.
            k: The maximum number of passages.
            mode: Has no effect: the retriever has its own.
            filters: Have no effect.
            expand: Has no effect.

        Returns:
            The passages; those of a document are numbered in the order of their offsets.
        """
        found: dict[object, tuple[BaseNode, float]] = {}
        for each in self._source.retrieve(query, k):
            if (text := _text(each.node)).strip():
                found.setdefault((_source(each.node), _place(each.node), text), (each.node, each.score or 0.0))
        first = list(found.values())[:k]
        passages = [_chunk(node) for node, _ in first]
        self._found = [replace(passage, id=self._source.number(passage)) for passage in passages]
        return [SearchHit(chunk, score) for chunk, (_, score) in zip(self._found, first, strict=True)]

    def similarity(self, query: str, texts: Sequence[str]) -> list[float] | None:
        """Cosine similarity of texts to a query; see `IndexReader.similarity`."""
        if not serves(self.encoder.languages, query, self.languages()):
            return None
        return [float(cosine) for cosine in self.encoder.encode_passages(texts) @ self.encoder.encode_query(query)]

    def languages(self) -> dict[str, int]:
        """The languages of the passages found, with the number of passages in each."""
        told = Counter(language for chunk in self._found if (language := text_language(chunk.text)))
        return dict(sorted(told.items()))

    def language_of(self, query: str) -> str | None:
        """The language of a query, if it is one of the passages'; see `IndexReader.language_of`."""
        return query_language(query, self.languages())

    def content_idf(self, text: str, language: str = "en") -> dict[str, float]:
        """Inverse document frequencies of content words over the passages found; see `IndexReader.content_idf`."""
        bags = [
            set(terms(f"{chunk.title}\n{chunk.heading}\n{chunk.text}", text_language(chunk.text) or language))
            for chunk in self._found
        ]
        counts = {term: sum(term in bag for bag in bags) for term in content_terms(text, language)}
        return idf_of(counts, len(bags))

    def documents(self, filters: SearchFilter | None = None) -> list[DocumentInfo]:
        """None: whole documents are not known; see `IndexReader.documents`."""
        return []

    def chunks(self, filters: SearchFilter | None = None) -> list[Chunk]:
        """None: whole documents are not known; see `IndexReader.chunks`."""
        return []

    def chunks_by_id(self, ids: Sequence[int], filters: SearchFilter | None = None) -> dict[int, Chunk]:
        """Those of the passages found; see `IndexReader.chunks_by_id`."""
        return {chunk.id: chunk for chunk in self._found if chunk.id in ids}

    def neighbours(self, chunk: Chunk, count: int) -> tuple[list[Chunk], list[Chunk]]:
        """None on either side: what stands around a node is not known; see `IndexReader.neighbours`."""
        return [], []


def _chunk(node: BaseNode) -> Chunk:
    """A node as a passage. Without offsets in its document, it is a text of its own."""
    text, place = _text(node), _place(node)
    title, heading, page = describe(node.metadata)
    source, line = _source(node), node.metadata.get("line")
    title = title or ("" if source in (node.ref_doc_id, node.node_id) else source)
    if place is None:
        return Chunk(text, source, title, heading, page, 0, len(text), 1, 0, node=node.node_id)
    line = line if isinstance(line, int) else 0
    return Chunk(text, source, title, heading, page, *place, line, 0, shifts=_shifts(node))


def _text(node: BaseNode) -> str:
    return node.get_content(MetadataMode.NONE).encode("utf-8", "replace").decode()


def _place(node: BaseNode) -> tuple[int, int] | None:
    """Where a node stands in its document; None if it does not say, or its text has been changed since."""
    start, end = getattr(node, "start_char_idx", None), getattr(node, "end_char_idx", None)
    if isinstance(start, int) and isinstance(end, int):
        length = original_span(_shifts(node), 0, len(_text(node)))[1]
        return (start, end) if end - start == length else None
    return None


def _shifts(node: BaseNode) -> Shifts:
    """Where a passage of an index differs in length from its document; see `Chunk.shifts`."""
    try:
        return tuple((int(clean), int(original)) for clean, original in node.metadata.get("shifts", ()))
    except (TypeError, ValueError):
        return ()


def _source(node: BaseNode) -> str:
    """The name of a node's document: a file or an address, or else an id."""
    named: Iterable[Any] = (node.metadata.get(key) for key in _SOURCE_KEYS)
    return next((name for name in named if isinstance(name, str) and name), node.ref_doc_id or node.node_id)
