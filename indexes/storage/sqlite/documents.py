"""Reading documents and the settings of the whole index from the database; documents are checked as they are read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from indexes.errors import IndexDamaged
from indexes.metadata import Metadata
from indexes.sources import full_source
from indexes.storage.sqlite.checksums import check_row, found, of_types, read_stamp
from indexes.storage.sqlite.conditions import Condition
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


class DocumentReader:
    """Read access to the documents and the settings of an open database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
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
        """Look a document up by its source.

        Args:
            source: The source.

        Returns:
            (id, document); None if there is none.
        """
        return next(self._documents("source = ?", source), None)

    def find_source(self, given: str | Path) -> str:
        """Resolve what a user calls a document.

        Args:
            given: The name of a document, or a path.

        Returns:
            `given`, if it is the source of a document; otherwise the absolute path.
        """
        return str(given) if self.document(str(given)) is not None else full_source(given)

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
        sql = "SELECT content_hash, CAST(stamp AS BLOB), modified FROM documents WHERE source = ?"
        row = self._db.execute(sql, (source,)).fetchone()
        return None if row is None else KnownFile(row[0], read_stamp(row[1])[0], row[2])

    def damaged_stamps(self) -> list[int]:
        """The ids of the documents whose stamp is not what was written."""
        rows = self._db.execute("SELECT id, CAST(stamp AS BLOB) FROM documents ORDER BY id")
        return [document_id for document_id, sealed in rows if not read_stamp(sealed)[1]]

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
        """The numbers of documents, chunks and tokens."""
        row = self._db.execute("SELECT count(*), total(chunks), total(tokens) FROM documents").fetchone()
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
        return ((row[0], _document(row, check)) for row in self._db.execute(sql, parameters))

    def _document_of(self, document_id: int) -> DocumentInfo:
        row = next(self._documents("id = ?", document_id), None)
        return found(row, f"document {document_id}")[1]  # type: ignore[no-any-return]


def _document(row: Sequence[Any], check: bool) -> DocumentInfo:
    if check:
        check_row(row[:-1], row[-1], f"document {row[0]} ({row[1]})")
    _, source, title, content_hash, characters, chunks, tokens, metadata, modified, _, _ = row
    return DocumentInfo(source, title, characters, chunks, tokens, content_hash, Metadata.parse(metadata), modified)
