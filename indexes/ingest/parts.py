"""The work of an ingest that any process can do: a file to a document, and documents to chunks with their vectors.

Both are pure functions of files and settings, so that work that is lost with a worker is done again. They know nothing
of the store: one writer puts what they return into it.
"""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

from indexes.chunking import Chunking, Passage, chunk_document
from indexes.encoders import load_encoder
from indexes.errors import CorpusError, UnreadableFile
from indexes.ingest.contents import PARTIAL, hash_content
from indexes.ingest.object_storage import StoredFile
from indexes.readers import ReadLimits, read_bytes, read_document
from indexes.types import Chunk, Document, Encoder, Vectors

_PASSAGES_AT_ONCE = 512  # embedded in one call: enough to sort by length

_embedding = threading.Lock()  # a worker of Dask may call from several threads, and a tokenizer is for one
_given: dict[tuple[str, str], Encoder] = {}  # by name and fingerprint: those of this process


class Work(NamedTuple):
    """What every worker has to have, and to do alike.

    Attributes:
        code: A hash of this package, `own_code` of the process that ingests.
        encoder: The name of the encoder.
        fingerprint: The encoder's fingerprint.
        chunking: How to split documents into chunks.
    """

    code: str
    encoder: str
    fingerprint: str
    chunking: Chunking


class FileToRead(NamedTuple):
    """A file for a worker.

    Attributes:
        path: The file, as it is named in the index.
        real: Its path with links resolved.
        root: The folder that it was found in; None for a file that the user named.
        digest: The SHA-256 of its bytes.
        data: Its bytes; None if the worker is to read them, where it sees the same.
        limits: What it may take.
    """

    path: str
    real: str
    root: str | None
    digest: bytes
    data: bytes | None
    limits: ReadLimits


class Fetched(NamedTuple):
    """A file that a worker has fetched and read.

    Attributes:
        content_hash: The hash of its content.
        partial_hash: The same for a document of which some pages could not be read.
        document: The document.
    """

    content_hash: str
    partial_hash: str
    document: Document


class ChunksOf(NamedTuple):
    """Chunks of one document that follow one another, with their vectors.

    Attributes:
        source: The document.
        chunks: (n,) chunks.
        vectors: (n, dimension) float32.
    """

    source: str
    chunks: list[Chunk]
    vectors: Vectors


def work_with(encoder: Encoder, chunking: Chunking) -> Work:
    """Describe the work of this process to others; it can do it itself, too.

    Args:
        encoder: The encoder of the index.
        chunking: How to split documents into chunks.

    Returns:
        What `embed_part` takes.
    """
    _given[encoder.name, encoder.fingerprint] = encoder
    return Work(own_code(), encoder.name, encoder.fingerprint, chunking)


def read_file(code: str, file: FileToRead) -> Document | None:
    """Read a file, in any process.

    Args:
        code: A hash of this package in the process that asks.
        file: The file.

    Returns:
        The document; None if the file's bytes were not sent, and this process does not see the same.

    Raises:
        UnreadableFile: If it cannot be read.
        CorpusError: If this process has another version of the package.
    """
    _check_code(code)
    data = file.data
    if data is None:
        try:
            data = read_bytes(Path(file.real), file.limits, root=file.root)
        except UnreadableFile:
            return None
        if hashlib.sha256(data).digest() != file.digest:
            return None
    return read_document(Path(file.path), data, file.limits)


def fetch_file(code: str, file: StoredFile, version: str, limits: ReadLimits) -> Fetched:
    """Fetch a file from object storage and read it, in any process.

    Args:
        code: A hash of this package in the process that asks.
        file: The file.
        version: How files are read and chunked.
        limits: What it may take.

    Returns:
        The document, and the hashes by which it is recognized.

    Raises:
        UnreadableFile: If it cannot be fetched or read.
        CorpusError: If this process has another version of the package, or no means to fetch.
    """
    _check_code(code)
    data = file.read(limits)
    content_hash, partial_hash = (hash_content(file.path, data, version + part) for part in ("", PARTIAL))
    return Fetched(content_hash, partial_hash, read_document(file.path, data, limits))


def embed_part(work: Work, documents: Sequence[Document]) -> list[ChunksOf]:
    """Chunk and embed documents, in any process.

    Args:
        work: How.
        documents: The documents, all of which are embedded together: so the vectors are the same whoever computes them.

    Returns:
        What `embedded` yields.

    Raises:
        CorpusError: If this process has another version of the package, or other weights of the encoder.
    """
    _check_code(work.code)
    with _embedding:
        return list(embedded(documents, _encoder(work.encoder, work.fingerprint), work.chunking))


def embedded(documents: Iterable[Document], encoder: Encoder, chunking: Chunking) -> Iterator[ChunksOf]:
    """Chunk and embed documents.

    Args:
        documents: The documents.
        encoder: The encoder.
        chunking: How to split them into chunks.

    Yields:
        Their chunks in order, a document's perhaps in several pieces.
    """
    passages = (passage for document in documents for passage in chunk_document(document, encoder, chunking))
    while batch := list(islice(passages, _PASSAGES_AT_ONCE)):
        yield from _embedded(batch, encoder)


def _embedded(batch: Sequence[Passage], encoder: Encoder) -> Iterator[ChunksOf]:
    texts = {text: number for number, text in enumerate(dict.fromkeys(passage.embedded for passage in batch))}
    distinct = encoder.encode_passages([*texts])  # of a file of dots, a thousand chunks are the same
    vectors = distinct[[texts[passage.embedded] for passage in batch]]
    first = 0
    for source, group in groupby(batch, key=lambda passage: passage.chunk.source):
        chunks = [passage.chunk for passage in group]
        yield ChunksOf(source, chunks, vectors[first : first + len(chunks)])
        first += len(chunks)


@cache
def own_code() -> str:
    """A hash of this package's modules: equal where files are read, chunked and embedded alike."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(f"{file.relative_to(package).as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _check_code(code: str) -> None:
    if code != own_code():
        raise CorpusError(
            f"the worker on {socket.gethostname()} has another version of longctx than this process: install the same "
            "one there, and start the worker again"
        )


def _encoder(name: str, fingerprint: str) -> Encoder:
    if (name, fingerprint) not in _given:
        encoder = load_encoder(name, download=False)
        if encoder.fingerprint != fingerprint:
            raise CorpusError(
                f"the worker on {socket.gethostname()} has other weights or settings of the encoder {name}: put the "
                "same ones there, and start the worker again"
            )
        _given[name, fingerprint] = encoder
    return _given[name, fingerprint]
