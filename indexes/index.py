"""`CorpusIndex`: a folder of documents that can be searched. Ties the store, the encoder and the derived indexes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os.path import abspath
from pathlib import Path
from types import TracebackType

from indexes.dense import DenseIndex
from indexes.encoders import DEFAULT_ENCODER, load_encoder
from indexes.errors import CorpusError, IndexBusy, IndexMismatch, IndexNotFound
from indexes.filters import SearchFilter
from indexes.fusion import serves
from indexes.ingest import IngestOptions, ProgressCallback, ingest_files
from indexes.lexical import LexicalIndex
from indexes.readers import DEFAULT_LIMITS, ReadLimits
from indexes.rerankers import Reranker, load_reranker
from indexes.searching import Retrieval, SearchRequest, search
from indexes.store import Store
from indexes.types import DocumentInfo, Encoder, IngestReport, SearchHit, VerifyReport

_DATABASE = "corpus.sqlite3"


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What an index is made of. `encoder` is the name to open it with; None while it holds no document."""

    path: str
    encoder: str | None
    documents: int
    chunks: int
    tokens: int
    bytes: int


class CorpusIndex:
    """An index in a folder: what was ingested, and the ways to find it again.

    >>> with CorpusIndex.open("my-index") as index:
    ...     report = index.ingest(["papers/"])
    ...     hits = index.search("How is RoPE scaled?", k=5)

    One process writes at a time; any number read meanwhile.
    """

    def __init__(self, path: Path, store: Store, encoder: Encoder, reranker: Reranker | None = None) -> None:
        from filelock import FileLock

        self.path = path
        self._store = store
        self._encoder = encoder
        self._reranker = reranker
        self._dense = DenseIndex(path / "dense")
        self._lexical = LexicalIndex(path / "lexical")
        self._lock = FileLock(path / "write.lock")
        self._encoder_checked = False

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
        candidates of every search into its own order. Raises IndexNotFound, IndexMismatch (made with another encoder
        or by a newer longctx), IndexDamaged.
        """
        folder = Path(abspath(Path(path).expanduser()))
        _check_folder(folder, create)
        store = Store.open(folder / _DATABASE)
        try:
            remembered = _remembered(store, "encoder")
            chosen = load_encoder(encoder if encoder is not None else remembered or DEFAULT_ENCODER)
            index = cls(folder, store, chosen, None if reranker is None else load_reranker(reranker))
            if remembered is not None and remembered != index._encoder.name:
                raise _other_encoder(folder, remembered, index._encoder.name)
            index._catch_up()
        except BaseException:
            store.close()
            raise
        return index

    def close(self) -> None:
        """Close the index; it cannot be used afterwards."""
        self._store.close()

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
        progress: ProgressCallback | None = None,
    ) -> IngestReport:
        """Bring the index up to date with files and folders; files that have not changed are skipped by their hash.

        `prune` removes the documents under `paths` whose files have gone. A file that cannot be read is reported in
        `failed` and the rest is ingested. Interrupted, it keeps the documents that were finished. Raises IndexBusy
        while another process writes, EncoderUnavailable and IndexMismatch.
        """
        given = [paths] if isinstance(paths, str | Path) else paths
        roots = [Path(abspath(Path(path).expanduser())) for path in given]
        options = IngestOptions(prune, limits, progress)
        with self._writing():
            self._check_encoder()
            try:
                return ingest_files(self._store, self._encoder, roots, self.path, options)
            finally:
                self._sync()

    def remove(self, source: str | Path) -> int:
        """Take a document out of the index, or all that lie under a folder; returns how many. Files are left alone."""
        target = Path(abspath(Path(source).expanduser()))
        with self._writing():
            sources = [d.source for d in self.documents() if Path(d.source).is_relative_to(target)]
            if sources:
                with self._store.transaction() as generation:
                    for each in sources:
                        self._store.remove_document(each, generation)
                self._sync()
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
        """The k chunks that answer `query` best, best first.

        `mode` is 'dense' (the encoder's vectors), 'lexical' (BM25) or 'hybrid' (both, their scores fused; only BM25
        for a query in a language that the encoder does not know). Of the documents that `filters` allow, all that
        match are found. `expand` widens each hit by so many neighbouring chunks of its document on either side.
        Scores are inner products, BM25, or between 0 and 1; with a reranker, the reranker's. Raises CorpusError.
        """
        retrieval = Retrieval(self._store, self._dense, self._lexical, self._encoder, self._check_encoder)
        return search(retrieval, SearchRequest(query, k, mode, filters, expand), self._reranker)

    def similarity(self, query: str, texts: Sequence[str]) -> list[float] | None:
        """The cosine of each text to the query; None if the encoder does not know the query's language."""
        if not serves(self._encoder.languages, query):
            return None
        self._check_encoder()
        cosines = self._encoder.encode_passages(texts) @ self._encoder.encode_query(query)
        return [float(cosine) for cosine in cosines]

    def documents(self) -> list[DocumentInfo]:
        """Every document in the index, by source."""
        return [document for _, document in self._store.documents()]

    def text(self, source: str | Path) -> str:
        """The text of a document, which chunks and citations count their `start` and `end` in. Raises CorpusError."""
        target = abspath(Path(source).expanduser())
        found = self._store.document(target)
        if found is None:
            raise CorpusError(f"{target} is not in the index {self.path}: see `longctx index list`")
        document_id, document = found
        return self._store.text(document_id, 0, document.characters)

    def info(self) -> IndexInfo:
        """What the index holds, with which encoder, and its size on disk."""
        size = sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())
        return IndexInfo(str(self.path), _remembered(self._store, "encoder"), *self._store.counts(), size)

    def verify(self) -> VerifyReport:
        """Check the database, and that the dense and lexical indexes hold what it holds."""
        documents, chunks, _ = self._store.counts()
        problems = self._store.problems()
        segments = self._store.segments()
        if not self._dense.is_current(segments):
            problems.append("the dense index is behind the database")
        derived = {"dense": lambda: self._dense.count(segments), "lexical": self._lexical.count}
        for name, count in derived.items():
            if (held := _count_or_reason(count)) != chunks:
                problems.append(
                    f"the {name} index holds {held} chunks and the database {chunks}: delete {self.path / name}"
                )
        if self._lexical.generation() != self._store.generation():
            problems.append("the lexical index is behind the database")
        return VerifyReport(documents, chunks, tuple(problems))

    def _check_encoder(self) -> None:
        """That the encoder's weights are those that made the index, or, for a new index, note them."""
        if self._encoder_checked:
            return
        remembered = _remembered(self._store, "encoder_fingerprint")
        if remembered is None:
            with self._writing(), self._store.transaction():
                self._store.set_meta("encoder", self._encoder.name)
                self._store.set_meta("encoder_fingerprint", self._encoder.fingerprint)
        elif remembered != self._encoder.fingerprint:
            raise IndexMismatch(
                f"{self.path} was made with other weights of the encoder {self._encoder.name}: put those back, "
                "or ingest into a new index"
            )
        self._encoder_checked = True

    def _sync(self) -> None:
        self._dense.sync(self._store)
        self._lexical.sync(self._store)

    def _catch_up(self) -> None:
        """After a writer that was killed. If another process is writing now, it will do it."""
        behind = self._lexical.generation() != self._store.generation()
        if not (behind or not self._dense.is_current(self._store.segments())):
            return
        try:
            with self._writing():
                self._sync()
        except IndexBusy:
            return

    @contextmanager
    def _writing(self) -> Iterator[None]:
        from filelock import Timeout

        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise IndexBusy(f"another process is writing to {self.path}: wait until it has finished") from error
        try:
            yield
        finally:
            self._lock.release()


def _check_folder(folder: Path, create: bool) -> None:
    """That an index is in the folder, or may be made there."""
    if (folder / _DATABASE).is_file():
        return
    if not create:
        raise IndexNotFound(f"there is no index in {folder}: make one with `longctx ingest PATH --index {folder}`")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise IndexNotFound(f"{folder} is there already and is no index: name a new or an empty folder for one")
    folder.mkdir(parents=True, exist_ok=True)


def _remembered(store: Store, fact: str) -> str | None:
    """A fact about the encoder that made the index. An index without documents is bound to none."""
    return None if store.is_empty() else store.meta(fact)


def _other_encoder(folder: Path, remembered: str, given: str) -> IndexMismatch:
    return IndexMismatch(
        f"{folder} was made with the encoder {remembered!r}, not {given!r}: open it with {remembered!r} "
        "(--encoder), or ingest into a new index"
    )


def _count_or_reason(count: Callable[[], int]) -> int | str:
    try:
        return count()
    except (OSError, RuntimeError, ValueError, sqlite3.Error) as error:
        return f"unreadable ({error}) instead of its"
