"""`CorpusIndex`: a folder of documents that can be searched. Ties the store, the encoder and the derived indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from os.path import abspath
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from indexes.encoders import DEFAULT_ENCODER, Reranker, load_reranker
from indexes.errors import CorpusError
from indexes.ingest import IngestCallback, IngestOptions, ingest_files
from indexes.manifest import bind, check_weights, choose_encoder, chunking, encoder_name
from indexes.readers import DEFAULT_LIMITS, ReadLimits
from indexes.search import Retrieval, SearchFilter, SearchRequest, allowed_documents, search
from indexes.sources import full_source
from indexes.storage import IndexFolder, Store, verify
from indexes.text import serves
from indexes.types import Chunk, DocumentInfo, Encoder, IndexInfo, IngestReport, SearchHit, VerifyReport

if TYPE_CHECKING:
    from indexes.llama_index import CorpusVectorStore

T = TypeVar("T")


class CorpusIndex:
    """An index in a folder: what was ingested, and the ways to find it again.

    >>> with CorpusIndex.open("my-index") as index:
    ...     report = index.ingest(["papers/"])
    ...     hits = index.search("How is RoPE scaled?", k=5)

    One process writes at a time. Any number read meanwhile, and each search, list and text that they get is of one
    generation: all of what a writer had published, and nothing of what it is at work on.
    """

    def __init__(self, folder: IndexFolder, encoder: Encoder, reranker: Reranker | None = None) -> None:
        self.path = folder.path
        self._folder = folder
        self._encoder = encoder
        self._reranker = reranker

    @classmethod
    def open(
        cls,
        path: str | Path,
        encoder: str | Encoder | None = DEFAULT_ENCODER,
        *,
        reranker: str | Reranker | None = None,
        create: bool = True,
    ) -> CorpusIndex:
        """Open the index in the folder `path`, or make one there unless `create` is false.

        `encoder` is 'default', a sentence-transformers folder, a hub name or an `Encoder`; None means the one that
        the index was made with. `reranker`, a CrossEncoder's folder, its hub name or a `Reranker`, puts the best
        candidates of every search into its own order. An index of an older format is brought up to date. Raises
        IndexNotFound, IndexMismatch (made with another encoder or by a newer longctx), IndexDamaged.
        """
        folder = IndexFolder.open(Path(abspath(Path(path).expanduser())), create=create)
        try:
            chosen = folder.read(lambda store: choose_encoder(store, encoder, folder.path))
        except BaseException:
            folder.close()
            raise
        return cls(folder, chosen, None if reranker is None else load_reranker(reranker))

    def close(self) -> None:
        """Close the index; it cannot be used afterwards."""
        self._folder.close()

    def __enter__(self) -> CorpusIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def ingest(
        self,
        paths: str | Path | Iterable[str | Path],
        *,
        prune: bool = False,
        limits: ReadLimits = DEFAULT_LIMITS,
        chunk_tokens: int | None = None,
        overlap: int | None = None,
        progress: IngestCallback | None = None,
        wait: bool | float = False,
    ) -> IngestReport:
        """Bring the index up to date with files and folders; files that have not changed are skipped.

        `prune` removes the documents under `paths` whose files have gone. A file that cannot be read is reported in
        `failed` and the rest is ingested. Interrupted, it keeps the documents that were finished.

        A chunk has up to `chunk_tokens` tokens, of which it may share `overlap` with the chunk before it, in whole
        sentences. The index remembers both; documents that were cut otherwise are cut anew when their files are
        ingested again. At first they are what the encoder reads, but at most 256, and 0.

        Raises IndexBusy while another process writes, unless `wait` is true (until it has finished) or so many
        seconds are enough; EncoderUnavailable, IndexMismatch; CorpusError for an overlap of more than half a chunk, or
        chunks that the encoder would not read to their end.
        """
        given = [paths] if isinstance(paths, str | Path) else paths
        roots = [Path(abspath(Path(path).expanduser())) for path in given]
        with self._folder.writing(wait) as writer:
            options = IngestOptions(prune, limits, progress, chunking(writer.store, chunk_tokens, overlap))
            return ingest_files(writer, lambda: self.bound_encoder(writer.store), roots, self.path, options)

    def remove(self, source: str | Path, *, wait: bool | float = False) -> int:
        """Take a document out of the index, or all that lie under a folder; returns how many. Files are left alone.

        Raises IndexBusy as `ingest` does.
        """
        target = full_source(source)
        with self._folder.writing(wait) as writer:
            sources = [document.source for _, document in writer.store.documents_in(target)]
            if not sources:
                writer.store.check_absent(target)
            else:
                with writer.batch() as generation:
                    for each in sources:
                        writer.store.remove_document(each, generation)
        return len(sources)

    def search(
        self,
        query: str,
        k: int = 10,
        mode: str = "hybrid",
        *,
        filters: SearchFilter | None = None,
        expand: int = 0,
    ) -> list[SearchHit]:
        """The k chunks that answer `query` best, best first, and no text twice.

        `mode` is 'dense' (the encoder's vectors), 'lexical' (BM25) or 'hybrid' (both, their scores fused; only BM25
        for a query in a language that the encoder does not know). Of the documents that `filters` allow, all that
        match are found. `expand` widens each hit by so many neighbouring chunks of its document on either side. What a
        better hit shows already is cut off; a chunk that is in one wholly is left out.
        Scores are inner products, BM25, or between 0 and 1; with a reranker, the reranker's. Raises CorpusError.
        """
        request = SearchRequest(query, k, mode, filters, expand)
        return self._folder.read_derived(lambda store: search(self._retrieval(store), request, self._reranker))

    def similarity(self, query: str, texts: Sequence[str]) -> list[float] | None:
        """The cosine of each text to the query; None if the encoder does not know the query's language."""
        if not serves(self._encoder.languages, query):
            return None
        self._folder.read(self._check_encoder)
        cosines = self._encoder.encode_passages(texts) @ self._encoder.encode_query(query)
        return [float(cosine) for cosine in cosines]

    def as_vector_store(self) -> CorpusVectorStore:
        """The index as a llama-index vector store; close the index when that is done with."""
        from indexes.llama_index import CorpusVectorStore

        return CorpusVectorStore.from_index(self)

    def documents(self, filters: SearchFilter | None = None) -> list[DocumentInfo]:
        """Every document in the index that `filters` allow, by source."""
        return self._folder.read(lambda store: [*allowed_documents(store, filters).values()])

    def chunks(self, filters: SearchFilter | None = None) -> list[Chunk]:
        """Every chunk of the documents that `filters` allow, document by document, in order."""

        def read(store: Store) -> list[Chunk]:
            return [chunk for i in allowed_documents(store, filters) for chunk in store.chunks_of(i)]

        return self._folder.read(read)

    def neighbours(self, chunk: Chunk, count: int) -> tuple[list[Chunk], list[Chunk]]:
        """Up to `count` chunks before a chunk in its document, and as many after it, in order."""

        def read(store: Store) -> list[Chunk]:
            document = store.document(chunk.source)
            there = document is not None and chunk.id in store.chunk_ids_of([document[0]])
            return store.around(chunk, count) if there else []  # a writer may have taken it out since it was found

        parts = self._folder.read(read)
        return [part for part in parts if part.id < chunk.id], [part for part in parts if part.id > chunk.id]

    def text(self, source: str | Path) -> str:
        """The text of a document, which chunks and citations count their `start` and `end` in. Raises CorpusError."""
        target = full_source(source)
        text = self._folder.read(lambda store: store.text_of(target))
        if text is None:
            raise CorpusError(f"{target} is not in the index {self.path}: see `longctx index list`")
        return text

    def info(self) -> IndexInfo:
        """What the index holds, with which encoder, and its size on disk."""
        encoder, counts = self._folder.read(lambda store: (encoder_name(store), store.counts()))
        return IndexInfo(str(self.path), encoder, *counts, self._folder.size())

    def verify(self) -> VerifyReport:
        """Read everything: that the database is whole, and that the dense and lexical indexes hold what it holds."""
        return self._folder.read(lambda store: verify(store, self._folder.derived))

    @property
    def encoder(self) -> Encoder:
        """What makes the index's vectors."""
        return self._encoder

    @property
    def reranker(self) -> Reranker | None:
        """What puts the hits of a search in their order, if anything does."""
        return self._reranker

    def read(self, read: Callable[[Retrieval], T]) -> T:
        """What `read` gives for the index at one generation. For `indexes.llama_index.vector_store`, as the two below are."""
        return self._folder.read_derived(lambda store: read(self._retrieval(store)))

    @contextmanager
    def changing(self, wait: bool | float) -> Iterator[tuple[Store, int]]:
        """The store, for changes that are kept wholly or not at all, and the generation that they make."""
        with self._folder.writing(wait) as writer, writer.batch() as generation:
            yield writer.store, generation

    def bound_encoder(self, store: Store) -> Encoder:
        """The encoder, checked, and noted in an index that has no document yet. For those who use `changing`."""
        return bind(store, self._encoder, self.path)

    def _retrieval(self, store: Store) -> Retrieval:
        derived = self._folder.derived
        return Retrieval(store, derived.dense, derived.lexical, self._encoder, lambda: self._check_encoder(store))

    def _check_encoder(self, store: Store) -> None:
        check_weights(store, self._encoder, self.path)
