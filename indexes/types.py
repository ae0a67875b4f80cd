"""The values that travel through `indexes`. They know no files, no database and no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from indexes.metadata import NO_METADATA, Metadata

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading in a document.

    `start` is the offset in `Document.text` where the heading's line begins; `level` counts from 1, the outermost.
    """

    start: int
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """One file as text.

    `text` is what every offset in longctx counts in, in characters (Unicode code points). For formats that are text
    themselves it is the file's own, decoded, without a byte order mark and otherwise unchanged; for the others it is
    what the reader took out of the file. `headings` are in the order of their `start`. `pages` holds the offset at
    which each page begins (`pages[0] == 0`), and is empty for a format without pages. `breaks` holds further offsets,
    in rising order, where a chunk should rather begin than elsewhere: a notebook's cell, a definition in source code,
    a record. `metadata` is what the file says of itself, such as its author; `modified`, when the file was last
    written before it was read, as "2026-11-23T09:30:00Z" (UTC), or None for what is no file. `warnings`, a line each,
    say what of the file could not be read, such as a damaged page; they are not kept in an index.
    """

    source: str
    text: str
    title: str
    headings: tuple[Heading, ...] = ()
    pages: tuple[int, ...] = ()
    breaks: tuple[int, ...] = ()
    metadata: Metadata = NO_METADATA
    modified: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document: `text` is exactly `document.text[start:end]`.

    `heading` is the path of headings above it, joined by " > ". `page` counts from 1 and is None for a format without
    pages; `line`, the line that `start` is on, counts from 1. `tokens` is the passage's length to the encoder's
    tokenizer. `metadata` and `modified` are its document's.
    """

    text: str
    source: str
    title: str
    heading: str
    page: int | None
    start: int
    end: int
    line: int
    tokens: int
    id: int = 0
    metadata: Metadata = NO_METADATA
    modified: str | None = None


class Spot(NamedTuple):
    """Where a chunk stands in its document: a `Chunk` without its text and its document."""

    id: int
    heading: str
    page: int | None
    line: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A chunk that answers a query, and its score: higher is better, and comparable only within one search."""

    chunk: Chunk
    score: float


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """What the index knows of one document, without its text."""

    source: str
    title: str
    characters: int
    chunks: int
    tokens: int
    content_hash: str
    metadata: Metadata = NO_METADATA
    modified: str | None = None


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What an index is made of. `encoder` is the name to open it with; None while it holds no document."""

    path: str
    encoder: str | None
    documents: int
    chunks: int
    tokens: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be ingested, or a part of it, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one ingest did. Counts are of documents unless they say otherwise; `seconds` is wall-clock time.

    `skipped` counts files inside a folder that are of no kind longctx reads; they are no failure. `warnings` are of
    files that were ingested, but for a part of them.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: int = 0
    failed: tuple[Failure, ...] = ()
    chunks: int = 0
    tokens: int = 0
    seconds: float = 0.0
    warnings: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """Where an ingest stands.

    Args:
        done: Files that are finished: in the index, or failed.
        total: Files that were found; 0 until all have been looked for.
        source: The file at hand; empty before the first one.
        chunks: Chunks made so far.
        doing: What is being done now, such as "loading the encoder".
    """

    done: int
    total: int
    source: str
    chunks: int
    doing: str = ""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `CorpusIndex.verify` counted and found; `problems` is empty when the index is whole."""

    documents: int
    chunks: int
    problems: tuple[str, ...] = ()


class Encoder(Protocol):
    """What turns text into vectors of unit length."""

    @property
    def name(self) -> str:
        """What an index remembers it by: 'default', a path or a hub name."""

    @property
    def fingerprint(self) -> str:
        """A hash of its weights: two encoders with one fingerprint give the same vectors."""

    @property
    def max_tokens(self) -> int:
        """How many tokens of content it reads; what is longer it would cut without a word."""

    @property
    def languages(self) -> frozenset[str] | None:
        """ISO 639-1 codes of the languages it was trained for; None when it does not say."""

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """For each text, where each of its tokens starts and ends, in characters."""

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """(n,) texts to (n, dimension) float32 rows of length 1."""

    def encode_query(self, text: str) -> Vectors:
        """One query to a (dimension,) float32 vector of length 1."""
