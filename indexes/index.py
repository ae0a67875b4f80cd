"""`CorpusIndex`: a searchable index of documents, which ties the store, the encoder and the searches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext
from os.path import abspath
from pathlib import Path

from indexes.chunking import embedded_text
from indexes.encoders import DEFAULT_ENCODER, Reranker, load_reranker
from indexes.errors import UnreadableFile
from indexes.ingest import (
    IngestCallback,
    IngestOptions,
    IngestPlan,
    WalkRules,
    are_stored,
    check_documents,
    ingest_documents,
    ingest_files,
    missing_files,
    plan_ingest,
    prune_files,
    read_unchanged,
)
from indexes.manifest import bind, choose_encoder, chunking, encoder_name
from indexes.readers import DEFAULT_LIMITS, ReadLimits
from indexes.restoring import restore_settings
from indexes.snapshot import IndexReader, Snapshot
from indexes.sources import composed, full_source, lies_in
from indexes.storage import (
    HeldFolder,
    IndexFolder,
    IndexStorage,
    Store,
    copy_documents,
    is_database,
    repair,
    source_lies_in,
)
from indexes.types import Chunk, Document, Encoder, IndexInfo, IngestReport, Vectors, VerifyReport


class CorpusIndex(IndexReader):
    """A searchable index of documents, kept in a folder, or in a PostgreSQL database.

    >>> with CorpusIndex.open("my-index") as index:
    ...     report = index.ingest(["papers/"])
    ...     hits = index.search("How is RoPE scaled?", k=5)

    One process writes to a folder at a time, and any number read meanwhile; to a database several write. Each call
    reads one generation of the index: all that writers have published, and nothing that they are still working on.

    Attributes:
        path: The folder of the index; for one in a database, the folder on this machine for what is kept beside it.
        name: What the index is called in messages: the folder, or the address without its password.
        encoder: The model that embeds chunks and queries.
        reranker: The model that reorders the hits of a search; None for none.
    """

    def __init__(self, storage: IndexStorage, encoder: Encoder, reranker: Reranker | None = None) -> None:
        super().__init__(storage.session, storage.path, storage.name, encoder, reranker)
        self._storage = storage

    @classmethod
    def open(
        cls,
        path: str | Path,
        encoder: str | Encoder | None = DEFAULT_ENCODER,
        *,
        reranker: str | Reranker | None = None,
        create: bool = True,
        to_repair: bool = False,
    ) -> CorpusIndex:
        """Open an index, or create one. An index in an older format is migrated.

        Args:
            path: The folder of the index, or the address of a database, as text:
                "postgresql://USER@HOST/DATABASE", with "?schema=NAME" for one of several indexes in it.
            encoder: "default", the folder or the hub name of a sentence-transformers model, or an `Encoder`; None for
                the encoder that the index was made with.
            reranker: The folder or the hub name of a CrossEncoder, or a `Reranker`, which reorders the best candidates
                of every search; None for none.
            create: Whether to create the index if there is none.
            to_repair: Whether to open it also if the settings that it remembers are damaged, such as its encoder, for
                `repair` to make them again. Until it has, nothing else can be done with such an index.

        Returns:
            The open index.

        Raises:
            IndexNotFound: If there is no index and `create` is false, or the folder holds something else.
            IndexMismatch: If the index was made with another encoder, or by a newer longctx.
            IndexDamaged: If the database is damaged.
            EncoderUnavailable: If the encoder cannot be loaded.
            RerankerUnavailable: If the reranker cannot be loaded.
            CorpusError: If the database cannot be used.
        """
        storage = _open_storage(path, create=create)
        try:
            chosen = storage.read(lambda store: choose_encoder(store, encoder, storage.name, to_repair=to_repair))
        except BaseException:
            storage.close()
            raise
        return cls(storage, chosen, None if reranker is None else load_reranker(reranker))

    @property
    def held(self) -> HeldFolder | None:
        """The folder of the index, held open, for what is kept in it; None for an index in a database."""
        return self._storage.held

    def close(self) -> None:
        """Close the index; it cannot be used afterwards."""
        self._storage.close()

    def __enter__(self) -> CorpusIndex:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def ingest(
        self,
        paths: str | Path | Iterable[str | Path],
        *,
        prune: bool = False,
        exclude: Iterable[str] = (),
        include: Iterable[str] = (),
        limits: ReadLimits = DEFAULT_LIMITS,
        chunk_tokens: int | None = None,
        overlap: int | None = None,
        progress: IngestCallback | None = None,
        wait: bool | float = False,
        executor: Executor | None = None,
    ) -> IngestReport:
        """Bring the index up to date with files and folders; files that have not changed are skipped.

        If it is interrupted, the documents that were finished stay in the index. The index remembers `chunk_tokens` and
        `overlap`; documents that were chunked differently are chunked again when their files are next ingested.

        Inside a folder, hidden files, what its `.gitignore` and `.longctxignore` name, and what is no document of its
        own (`venv`, `node_modules`, `dist`, lock files, ...) are left out; a path that is given itself is read. A file
        with the content of another is stored once, under both names, and one with a new name is not embedded again.

        Args:
            paths: A file or a folder, or several.
            prune: Whether to remove the documents under `paths` whose files have gone, however many those are.
            exclude: Patterns of files and folders to leave out, as in a `.gitignore` in each of the folders.
            include: Patterns of files to read; if there are any, other files are left out. What they name is read
                although an ignore file leaves it out.
            limits: What a file may cost to be read.
            chunk_tokens: The most tokens of a chunk; None for what the index remembers, and at first for what the
                encoder reads, but at most 256.
            overlap: How many tokens a chunk may share with the one before it, in whole sentences; None for what the
                index remembers, and at first for 0.
            progress: A function to call with the progress; None for none.
            wait: How long to wait for another writer: not at all, until it has finished (true), or so many seconds.
            executor: Processes that read, chunk and embed, such as `ProcessWorkers(4)` or a Dask client's
                `get_executor()`; the index is the same. None for this process alone.

        Returns:
            What was done. A file that cannot be read is listed in `failed`, and the others are ingested.

        Raises:
            IndexBusy: If another process writes for longer than `wait`.
            EncoderUnavailable: If the encoder cannot be loaded.
            IndexMismatch: If the encoder's weights are not those that made the index.
            CorpusError: If the overlap is more than half a chunk, the encoder cannot read chunks of that length, a
                pattern is none, or a worker has another version of longctx, or another encoder.
        """
        rules = WalkRules(tuple(exclude), tuple(include))
        with self._storage.writing(wait) as writer:
            split = chunking(writer.store, chunk_tokens, overlap)
            options = IngestOptions(prune, limits, progress, split, rules, executor)
            return ingest_files(writer, lambda: self.bound_encoder(writer.store), _roots(paths), self.path, options)

    def plan_ingest(
        self,
        paths: str | Path | Iterable[str | Path],
        *,
        prune: bool = False,
        exclude: Iterable[str] = (),
        include: Iterable[str] = (),
        limits: ReadLimits = DEFAULT_LIMITS,
        chunk_tokens: int | None = None,
        overlap: int | None = None,
    ) -> IngestPlan:
        """List what `ingest` would do with the same arguments; nothing is read into the index.

        Args:
            paths: As for `ingest`.
            prune: As for `ingest`.
            exclude: As for `ingest`.
            include: As for `ingest`.
            limits: As for `ingest`.
            chunk_tokens: As for `ingest`.
            overlap: As for `ingest`.

        Returns:
            The files that would be read, kept, left out and removed.

        Raises:
            CorpusError: If a pattern is none, or the settings conflict.
        """
        rules = WalkRules(tuple(exclude), tuple(include))

        def plan(store: Store) -> IngestPlan:
            options = IngestOptions(prune, limits, None, chunking(store, chunk_tokens, overlap), rules)
            return plan_ingest(store, _roots(paths), self.path, options)

        return self._read(plan)

    def read_file(self, source: str, limits: ReadLimits = DEFAULT_LIMITS) -> bytes:
        """Read the file that a document was made from, if it is still the same.

        Args:
            source: The document's source.
            limits: The longest file.

        Returns:
            Its bytes.

        Raises:
            UnreadableFile: If there is no such document, and if the file has gone or changed, or cannot be read.
        """
        known, split = self._read(lambda store: (store.stamp(source), chunking(store, None, None)))
        if known is None:
            raise UnreadableFile(f"{source} is not in the index")
        return read_unchanged(source, known.content_hash, known.stamp, split, limits)

    def missing(self, paths: str | Path | Iterable[str | Path]) -> list[str]:
        """List the documents whose files have gone.

        Args:
            paths: The files or folders that they lay in. One that is not there itself, such as a drive that is not
                mounted, counts for nothing.

        Returns:
            Their sources, sorted: what `prune` would remove.
        """
        return self._read(lambda store: missing_files(store, _roots(paths)))

    def prune(self, paths: str | Path | Iterable[str | Path], *, wait: bool | float = False) -> int:
        """Remove the documents that `missing` lists.

        Args:
            paths: The files or folders that their files lay in.
            wait: How long to wait for another writer: not at all, until it has finished (true), or so many seconds.

        Returns:
            How many documents were removed.

        Raises:
            IndexBusy: If another process writes for longer than `wait`.
        """
        with self._storage.writing(wait) as writer:
            return prune_files(writer, _roots(paths))

    def add(self, documents: Iterable[Document], *, wait: bool | float = False) -> IngestReport:
        """Add text that is in memory, in the same way as files: it is chunked, embedded and written.

        A document replaces the one with the same source; one that has not changed is skipped. Documents are chunked
        with the settings of the last `ingest`.

        Args:
            documents: The documents. A source is any name, or an absolute path.
            wait: How long to wait for another writer: not at all, until it has finished (true), or so many seconds.

        Returns:
            How many documents were added, changed and unchanged, and what they were made into.

        Raises:
            IndexBusy: If another process writes for longer than `wait`.
            IndexMismatch: If the encoder's weights are not those that made the index.
            CorpusError: If a document has no source or one that begins with "llama-index:", or is not valid Unicode;
                then none is added.
        """
        given = list(documents)
        check_documents(given)
        if self._read(lambda store: are_stored(store, given, chunking(store, None, None))):
            return IngestReport(unchanged=len(given))  # without keeping another writer waiting
        with self._storage.writing(wait) as writer:
            remembered = chunking(writer.store, None, None)
            return ingest_documents(writer, lambda: self.bound_encoder(writer.store), given, remembered)

    def remove(self, source: str | Path, *, wait: bool | float = False) -> int:
        """Remove a document from the index, or all documents under a folder. Files are left alone.

        Args:
            source: The name of a document, or the path of a file or a folder.
            wait: How long to wait for another writer: not at all, until it has finished (true), or so many seconds.

        Returns:
            How many documents were removed. A document that has copies elsewhere stays under their names.

        Raises:
            IndexBusy: If another process writes for longer than `wait`.
        """
        with self._storage.writing(wait) as writer:
            target = writer.store.find_source(source)
            documents = [document for _, document in writer.store.documents_where(source_lies_in(target))]
            names = [name for document in documents for name in (*document.copies, document.source)]
            sources = [name for name in names if lies_in(composed(name), composed(target))]
            if not sources:
                writer.store.check_absent(target)
            else:
                with writer.batch(sources) as generation:
                    for each in sources:
                        writer.store.remove_document(each, generation)
        return len(sources)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Take a snapshot, to read several things of one generation, in one transaction.

        Yields:
            The index as it is now, whatever a writer does while the `with` block lasts.

        Raises:
            CorpusError: If files of the index are damaged and cannot be made again.
        """
        with self._storage.session() as session:
            session.open_searchers()
            yield Snapshot(lambda: nullcontext(session), self.path, self.name, self.encoder, self.reranker)

    def info(self) -> IndexInfo:
        """Describe the index.

        Returns:
            What it holds, the encoder it was made with, and its size on disk.
        """
        encoder, counts = self._read(lambda store: (encoder_name(store), store.counts()))
        return IndexInfo(self.name, encoder, *counts, self._storage.size())

    def verify(self) -> VerifyReport:
        """Check the whole index: every row against its checksum, and the search indexes against the database.

        Returns:
            What was counted, and the problems that were found.
        """
        return self._storage.verify()

    def repair(self, *, wait: bool | float = False) -> tuple[str, ...]:
        """Make again what `verify` finds damaged: search indexes, vectors, settings. What cannot be is removed.

        Args:
            wait: How long to wait for another writer: not at all, until it has finished (true), or so many seconds.

        Returns:
            What was done, a line each; a document that was removed has to be ingested again.

        Raises:
            IndexBusy: If another process writes for longer than `wait`.
            IndexDamaged: If the database cannot be read at all, or is still damaged afterwards, or its settings are
                damaged and the encoder that the index was opened with is not the one that made it.
        """
        with self._storage.writing(wait) as writer:
            with writer.batch():
                restored = restore_settings(writer.store, self.encoder)
            split = chunking(writer.store, None, None)

            def embed(chunks: Sequence[Chunk]) -> Vectors:
                encoder = self.bound_encoder(writer.store)
                return encoder.encode_passages([embedded_text(chunk, encoder, split) for chunk in chunks])

            return restored + repair(writer, embed)

    def copy(self, to: str | Path, *, wait: bool | float = False) -> int:
        """Copy the index into a new or an empty one, all or nothing; nothing is read or embedded again.

        Args:
            to: Where to: a folder, or the address of a database, as for `open`.
            wait: How long to wait for a writer there: not at all, until it has finished (true), or so many seconds.

        Returns:
            How many documents were copied; a file with the content of another is not counted.

        Raises:
            CorpusError: If there are documents already, or the other index cannot be written.
        """
        other = _open_storage(to, create=True)
        try:
            with other.writing(wait) as writer, self._storage.session() as source:
                return copy_documents(source, writer, other.name)
        finally:
            other.close()

    @contextmanager
    def changing(self, wait: bool | float) -> Iterator[tuple[Store, int]]:
        """Change the store, for `indexes.llama_index`: all changes in the `with` block are kept, or none.

        Args:
            wait: How long to wait for another writer: not at all, until it has finished (true), or so many seconds.

        Yields:
            The store, and the generation in which the changes will be published.

        Raises:
            IndexBusy: If another process writes for longer than `wait`.
        """
        with self._storage.writing(wait) as writer, writer.batch() as generation:
            yield writer.store, generation

    def bound_encoder(self, store: Store) -> Encoder:
        """Record the encoder in the index, or check it: every change that adds documents begins with this.

        Args:
            store: The store that `changing` yields.

        Returns:
            The encoder.

        Raises:
            IndexMismatch: If the encoder's weights are not those that made the index.
        """
        return bind(store, self.encoder, self.name)


def _open_storage(path: str | Path, *, create: bool) -> IndexStorage:
    if is_database(path):
        from indexes.storage import PostgresIndex  # with a dozen modules that a folder does not need

        return PostgresIndex.open(str(path), create=create)
    return IndexFolder.open(Path(abspath(Path(path).expanduser())), create=create)


def _roots(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    given = [paths] if isinstance(paths, str | Path) else paths
    return [Path(full_source(Path(path))) for path in given]
