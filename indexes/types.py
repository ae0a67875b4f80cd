"""The data types of `indexes`: documents, chunks, hits, reports, and the protocol of encoders."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from indexes.metadata import NO_METADATA, Metadata
from indexes.offsets import Shifts, original_span

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading in a document.

    Attributes:
        start: The offset in `Document.text` at which the heading's line begins.
        level: The level, from 1, the outermost.
        text: The heading.
    """

    start: int
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table in a document, below its header row.

    Attributes:
        start: The offset in `Document.text` at which the first row after the header begins.
        end: The offset after the last row.
        header: The header row, on one line.
    """

    start: int
    end: int
    header: str


def tables_between(tables: Sequence[Table], start: int, end: int) -> tuple[Table, ...]:
    """The tables that have rows between two offsets.

    Args:
        tables: The tables of a document, which follow one another.
        start: The first offset.
        end: The offset after the last.

    Returns:
        Those tables.
    """
    first = bisect_right(tables, start, key=attrgetter("end"))
    return tuple(tables[first : bisect_left(tables, end, key=attrgetter("start"))])


@dataclass(frozen=True, slots=True)
class Document:
    """A document as text, from a file or from memory.

    Attributes:
        source: The absolute path of the file, or another name.
        text: The text, in whose characters (Unicode code points) every offset counts. For a text format, the file's
            own text, decoded, without a byte order mark, with a newline for a carriage return alone and otherwise
            unchanged; for another, the text that the reader extracted, put right (see `Chunk.text`).
        title: The title; may be empty.
        headings: The headings, in the order of their `start`.
        pages: The offset at which each page begins (`pages[0] == 0`); empty for a format without pages.
        breaks: Further offsets, ascending, at which a chunk should preferably begin: a notebook's cells, the
            definitions in source code, records.
        metadata: The metadata in the file, such as its author.
        modified: When the file was last written before it was read, as "2026-11-23T09:30:00Z" (UTC); None for a
            document from memory.
        warnings: The parts of the file that could not be read, such as a damaged page, a line each. Not stored in an
            index.
        tables: The tables that have a header row, in order.
        unreadable: The numbers of the pages that hold something, but no readable text. Not stored in an index.
        includes: The names of files that it includes, as they stand in it. Not stored in an index.
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
    tables: tuple[Table, ...] = ()
    unreadable: tuple[int, ...] = ()
    includes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document.

    Attributes:
        text: The passage: `document.text[start:end]`, put right where that holds soft hyphens, zero-width characters,
            ligatures, Kangxi radicals or vertical punctuation.
        source: The source of its document.
        title: The title of its document.
        heading: The path of headings above it, joined by " > ".
        page: The page it begins on, from 1; None for a format without pages.
        start: The offset of its first character in the document's text.
        end: The offset after its last character.
        line: The line it begins on, from 1; 0 where that is not known, of a llama-index node.
        tokens: How many tokens the encoder's tokenizer finds in it.
        id: Its number in the index; 0 while it is in none.
        metadata: The metadata of its document.
        modified: When the file of its document was last written.
        shifts: Where `text` differs in length from the document: pairs of an offset in `text` and the distance from
            `start` of the same character; see `span`.
        tables: The tables that it has rows of.
        copies: Other files with the same content as its document.
        node: The id of a llama-index node that does not say where it stands in its document: `start`, `end` and `line`
            count in the node's own text. Empty for every other passage.
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
    shifts: Shifts = ()
    tables: tuple[Table, ...] = ()
    copies: tuple[str, ...] = ()
    node: str = ""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Find a part of the passage in the document.

        Args:
            start: The offset of its first character in `text`.
            end: The offset after its last character.

        Returns:
            Its offsets in the document's text.
        """
        first, last = original_span(self.shifts, start, end)
        return self.start + first, self.start + last

    def header_at(self, offset: int) -> str:
        """The header of the table that a row belongs to.

        Args:
            offset: An offset in the document's text.

        Returns:
            The header row; empty outside tables, and for the header itself.
        """
        return next((table.header for table in self.tables if table.start <= offset < table.end), "")

    @property
    def table_header(self) -> str:
        """The header of the table whose rows the passage goes on with; empty if it begins with no such row."""
        return self.header_at(self.start)

    @property
    def text_with_header(self) -> str:
        """The passage as it goes into a prompt: below the header of the table that it goes on with."""
        return f"{header}\n{self.text}" if (header := self.table_header) else self.text


class ChunkPosition(NamedTuple):
    """The position of a chunk in its document: the attributes of `Chunk` with the same names.

    Attributes:
        id: Its number in the index.
        heading: The path of headings above it.
        page: The page it begins on; None for a format without pages.
        line: The line it begins on.
        start: The offset of its first character.
        end: The offset after its last character.
    """

    id: int
    heading: str
    page: int | None
    line: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A chunk that answers a query.

    Attributes:
        chunk: The chunk, or the part of the document that it was widened to.
        score: How well it answers: higher is better, and comparable only within one search.
    """

    chunk: Chunk
    score: float


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document in an index, without its text.

    Attributes:
        source: The absolute path of the file, or another name.
        title: The title; may be empty.
        characters: The length of its text, in characters.
        chunks: How many chunks it has.
        tokens: How many tokens its chunks have together.
        content_hash: A hash of what it was made from, by which an unchanged one is recognized.
        metadata: The metadata in the file.
        modified: When the file was last written, as "2026-11-23T09:30:00Z" (UTC); None for a document from memory.
        copy_of: The source under which its content is stored, if that is the one of another file; None otherwise.
        copies: The sources of the other files with the same content.
    """

    source: str
    title: str
    characters: int
    chunks: int
    tokens: int
    content_hash: str
    metadata: Metadata = NO_METADATA
    modified: str | None = None
    copy_of: str | None = None
    copies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """A description of an index.

    Attributes:
        path: The folder of the index.
        encoder: The name of the encoder that it was made with; None while it holds no document.
        documents: How many documents it has, copies included.
        chunks: How many chunks they have.
        tokens: How many tokens the chunks have.
        bytes: The size of the folder.
    """

    path: str
    encoder: str | None
    documents: int
    chunks: int
    tokens: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be ingested, wholly or in part.

    Attributes:
        source: The path of the file.
        reason: Why.
    """

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileText:
    """How much text a file gave that was read.

    Attributes:
        source: The path of the file.
        characters: The characters of its text.
        unreadable: The numbers of the pages, from 1, that were left out because they hold no readable text.
    """

    source: str
    characters: int
    unreadable: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The result of an ingest.

    Attributes:
        added: Documents that are new in the index; `copies` of them have the content of another.
        changed: Documents that were replaced.
        unchanged: Documents that were skipped because they have not changed.
        removed: Documents that were removed because their files have gone.
        skipped: Files inside a folder whose format longctx does not read; they are no failure.
        skipped_kinds: How many of them there are of each kind: a suffix in lower case, or "no suffix".
        ignored: How many files and folders were left out by each rule: "hidden", "by default", the name of a file
            such as ".gitignore", "exclude" or "include". What is in such a folder is not counted.
        empty: Files without text: of no bytes, or of white space only.
        copies: New files whose content is in the index under another name, and was not stored again.
        renamed: Documents whose files have other names now, and were not embedded again.
        failed: Files that could not be ingested.
        chunks: Chunks that were made.
        tokens: Tokens in these chunks.
        seconds: Wall-clock time.
        warnings: Parts of ingested files that could not be read.
        texts: How much text each file gave that was added or changed.
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
    skipped_kinds: Mapping[str, int] = field(default_factory=dict)
    ignored: Mapping[str, int] = field(default_factory=dict)
    empty: int = 0
    copies: int = 0
    renamed: int = 0
    texts: tuple[FileText, ...] = ()


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """The progress of an ingest.

    Attributes:
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
    """The result of `CorpusIndex.verify`.

    Attributes:
        documents: How many documents there are.
        chunks: How many chunks there are.
        problems: What is wrong, a line each; empty if the index is intact.
    """

    documents: int
    chunks: int
    problems: tuple[str, ...] = ()


class Encoder(Protocol):
    """A model that embeds texts as vectors of unit length."""

    @property
    def name(self) -> str:
        """The name that an index records: "default", a path or a hub name."""

    @property
    def fingerprint(self) -> str:
        """A hash of the weights: encoders with the same fingerprint make the same vectors."""

    @property
    def max_tokens(self) -> int:
        """The maximum tokens of a text, special tokens not counted; longer texts are silently truncated."""

    @property
    def languages(self) -> frozenset[str] | None:
        """ISO 639-1 codes of the languages that the encoder was trained for; None if that is not known."""

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Tokenize texts.

        Args:
            texts: The texts.

        Returns:
            For each text, the offsets in characters at which each of its tokens starts and ends.
        """

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Embed passages.

        Args:
            texts: (n,) texts.

        Returns:
            (n, dimension) float32, rows of length 1.
        """

    def encode_query(self, text: str) -> Vectors:
        """Embed a query.

        Args:
            text: The query.

        Returns:
            (dimension,) float32, of length 1.
        """
