"""Reading documents and the settings of the whole index from the database; documents are checked as they are read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from indexes.errors import IndexDamaged
from indexes.metadata import Metadata
from indexes.sources import composed, full_source
from indexes.storage.sqlite.checksums import check_row, found, of_types, read_stamp
from indexes.storage.sqlite.conditions import Condition, with_ids
from indexes.storage.sqlite.schema import DOCUMENT_FACTS
from indexes.types import DocumentInfo


class DerivedFile(NamedTuple):
    """The record of a file of the dense or the lexical index.

    Attributes:
        name: Its path, relative to the index's folder.
        bytes: Its size.
        mtime_ns: When it was written, in nanoseconds.
        checksum: The CRC-32 of its content.
    """

    name: str
    bytes: int
    mtime_ns: int
    checksum: int


class KnownFile(NamedTuple):
    """The state of a document's file when it was read.

    Attributes:
        content_hash: A hash of its content.
        stamp: Its status; None where an equal status would not mean an equal file.
        modified: When it was last written; None for what is no file.
    """

    content_hash: str
    stamp: str | None
    modified: str | None


class Connection(Protocol):
    """An open database, of SQLite or, in `indexes.storage.postgres`, of PostgreSQL: a "?" stands for each parameter."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Any:
        """Run a statement."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Any:
        """Run a statement for each row of parameters."""


class DocumentReader:
    """Read access to the documents and the settings of an open database."""

    _BYTES = "CAST({} AS BLOB)"  # of a text that may be damaged

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def generation(self) -> int:
        """The number of the newest publication; in a writer's transaction, of the one to come."""
        value = self.meta("generation") or ""
        if not value.isdecimal():
            raise IndexDamaged("its generation is no number")
        return int(value)

    def meta(self, key: str) -> str | None:
        """Read a setting of the whole index.

        Args:
            key: Its name, such as "encoder".

        Returns:
            Its value; None if it is not set.
        """
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def documents(self, after: int = 0) -> Iterator[tuple[int, DocumentInfo]]:
        """List documents.

        Args:
            after: The generation after which they were added; 0 for all documents.

        Returns:
            (id, document) of each, sorted by source.
        """
        # "+": SQLite would rather read all documents in this order than sort the few that are new.
        return self._documents("generation > ? ORDER BY +source", after)

    def documents_where(self, condition: Condition, *, check: bool = True) -> Iterator[tuple[int, DocumentInfo]]:
        """Select the documents whose row meets a condition.

        Args:
            condition: The condition on the row.
            check: Whether to check the rows against their checksums. A caller that will read the documents it chooses,
                and so check them, saves the time.

        Returns:
            (id, document) of each.
        """
        return self._documents(condition.sql, *condition.parameters, check=check)

    def document(self, source: str) -> tuple[int, DocumentInfo] | None:
        """Look a document up by its source, or by that of a copy.

        Args:
            source: The source.

        Returns:
            (id, document); None if there is none.
        """
        found = next(self._documents("source = ?", source), None)
        copied = "id = (SELECT document_id FROM copies WHERE source = ?)"
        return next(self._documents(copied, source), None) if found is None else found

    def find_source(self, given: str | Path) -> str:
        """Resolve what a user calls a document. Composed and decomposed spellings of a name (é) are alike.

        Args:
            given: The name of a document, or a path.

        Returns:
            `given`, if it is the source of a document or a copy; otherwise that of the document with that absolute path
            or, if there is none, the absolute path.
        """
        path = full_source(given)
        for source in (str(given), path):
            if self.document(source) is not None:
                return source
        for source in () if path.isascii() else (str(given), path):
            sql = "SELECT source FROM {} WHERE nfc(source) = ?"
            for table in ("documents", "copies"):
                if row := self._db.execute(sql.format(table), (composed(source),)).fetchone():
                    return str(row[0])
        return path

    def check_absent(self, source: str) -> None:
        """Check, without the database's index of sources, that there is no document with a source.

        Args:
            source: A source by which no document was found.

        Raises:
            IndexDamaged: If there is one.
        """
        sql = "SELECT EXISTS (SELECT 1 FROM documents NOT INDEXED WHERE source = ?)"
        if self._db.execute(sql, (source,)).fetchone()[0]:
            raise IndexDamaged(f"{source} is there and is not found")

    def stamp(self, source: str) -> KnownFile | None:
        """Read by what a document is recognized as unchanged.

        Args:
            source: The source of the document.

        Returns:
            The state of its file when it was read; None if there is no such document.
        """
        own, its = self._BYTES.format("stamp"), self._BYTES.format("c.stamp")
        sql = (
            f"SELECT content_hash, {own}, modified FROM documents WHERE source = ? UNION ALL"  # noqa: S608
            f" SELECT d.content_hash, {its}, c.modified FROM copies c"
            " JOIN documents d ON d.id = c.document_id WHERE c.source = ?"
        )
        row = self._db.execute(sql, (source, source)).fetchone()
        return None if row is None else KnownFile(row[0], read_stamp(row[1])[0], row[2])

    def damaged_stamps(self) -> list[int]:
        """The ids of the documents whose stamp is not what was written."""
        rows = self._db.execute(f"SELECT id, {self._BYTES.format('stamp')} FROM documents ORDER BY id")  # noqa: S608
        return [document_id for document_id, sealed in rows if not read_stamp(sealed)[1]]

    def stamps(self) -> Iterator[str]:
        """The stamps of documents, without those that are damaged."""
        for (sealed,) in self._db.execute(f"SELECT {self._BYTES.format('stamp')} FROM documents"):  # noqa: S608
            stamp, _ = read_stamp(sealed)
            if stamp is not None:
                yield stamp

    def sources_of_content(self, content_hash: str) -> list[str]:
        """List the documents that were made from a content.

        Args:
            content_hash: The hash of the content.

        Returns:
            Their sources, and those of their copies.
        """
        sql = (
            "SELECT source FROM documents WHERE content_hash = ? UNION ALL SELECT c.source FROM copies c"
            " JOIN documents d ON d.id = c.document_id WHERE d.content_hash = ? ORDER BY source"
        )
        return [source for (source,) in self._db.execute(sql, (content_hash, content_hash))]

    def sources(self) -> Iterator[str]:
        """The sources of all documents and copies, in no particular order; rows are not checked."""
        sql = "SELECT source FROM documents UNION ALL SELECT source FROM copies"
        return (source for (source,) in self._db.execute(sql))

    def removals(self, after: int) -> list[int]:
        """List removed documents that the lexical index may still contain.

        Args:
            after: The generation after which they were removed.

        Returns:
            Their ids.
        """
        rows = self._db.execute("SELECT document_id FROM removals WHERE generation > ?", (after,))
        return [document_id for (document_id,) in rows]

    def counts(self) -> tuple[int, int, int]:
        """The numbers of documents with their copies, chunks and tokens."""
        documents = "count(*) + (SELECT count(*) FROM copies)"
        totals = "coalesce(sum(chunks), 0), coalesce(sum(tokens), 0)"
        row = self._db.execute(f"SELECT {documents}, {totals} FROM documents").fetchone()  # noqa: S608
        return int(row[0]), int(row[1]), int(row[2])

    def is_empty(self) -> bool:
        """Whether there is no document."""
        return not self._db.execute("SELECT EXISTS (SELECT 1 FROM documents)").fetchone()[0]

    def derived_files(self) -> list[DerivedFile]:
        """The files of the dense and the lexical index that belong to this generation."""
        rows = self._db.execute("SELECT * FROM derived_files ORDER BY name").fetchall()
        return [DerivedFile(*row) for row in of_types(rows, (str, int, int, int), "the list of derived files")]

    def _documents(self, where: str, *parameters: object, check: bool = True) -> Iterator[tuple[int, DocumentInfo]]:
        sql = f"SELECT {DOCUMENT_FACTS}, checksum FROM documents WHERE {where}"  # noqa: S608
        [[has_copies]] = self._db.execute("SELECT EXISTS (SELECT 1 FROM copies)")
        for row in self._db.execute(sql, parameters):
            yield row[0], read_document(row, self.copies_of(row[0]) if has_copies else (), check=check)

    def copies_of(self, document_id: int) -> tuple[str, ...]:
        """List the copies of a document.

        Args:
            document_id: The id of the document.

        Returns:
            Their sources, sorted.
        """
        sql = "SELECT source, checksum FROM copies WHERE document_id = ? ORDER BY source"
        rows = self._db.execute(sql, (document_id,)).fetchall()
        for source, expected in rows:
            check_row((document_id, source), expected, f"a copy of document {document_id}")
        return tuple(source for source, _ in rows)

    def _documents_of(self, document_ids: Collection[int]) -> dict[int, DocumentInfo]:
        """The documents with some ids, which must be there."""
        documents: dict[int, DocumentInfo] = {}
        for condition in with_ids("id", document_ids):
            documents |= self._documents(condition.sql, *condition.parameters)
        return {each: found(documents.get(each), f"document {each}") for each in document_ids}  # type: ignore[misc]


def read_document(row: Sequence[Any], copies: tuple[str, ...], *, check: bool) -> DocumentInfo:
    """Make a document from its row.

    Args:
        row: The row: DOCUMENT_FACTS and the checksum.
        copies: The sources of its copies, sorted.
        check: Whether to check the row against its checksum.

    Returns:
        The document.

    Raises:
        IndexDamaged: If the row is not what it was.
    """
    if check:
        check_row(row[:-1], row[-1], f"document {row[0]} ({row[1]})")
    _, source, title, content_hash, characters, chunks, tokens, metadata, modified, _, _ = row
    about = (Metadata.parse(metadata), modified, None, copies)
    return DocumentInfo(source, title, characters, chunks, tokens, content_hash, *about)
