"""The store of an index in PostgreSQL: `indexes.storage.sqlite.Store` with what PostgreSQL does in another way.

Several writers change it at once. One that changes a document locks the row of its source first, in the order of the
sources (`PostgresStore.lock`), so that none overwrites what another has just written, and none waits for one that waits
for it. `flush`, at the end of a transaction, brings the lexical index up to date.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from indexes.errors import IndexBusy, IndexDamaged
from indexes.storage.postgres.connection import Connection
from indexes.storage.postgres.postings import Postings
from indexes.storage.postgres.schema import TABLES
from indexes.storage.postgres.vectors import PostgresVectors
from indexes.storage.sqlite import (
    CHUNK_FACTS,
    DOCUMENT_FACTS,
    TEXT_BLOCK,
    Condition,
    NodeRow,
    NodeRows,
    Store,
    check_row,
    read_chunk,
    read_document,
    unpacked,
)
from indexes.text import ANALYSIS_VERSION
from indexes.types import Chunk, Document, DocumentInfo, Table, Vectors

_MOST_PENDING = 5_000  # chunks that wait for the lexical index, and are held in memory when they are indexed
_NO_NUL = "\ufffd"  # for NUL, which PostgreSQL's texts cannot hold; as in CommonMark


class PostgresNodes(NodeRows):
    """Access to the nodes of an open database."""

    def of_chunks(self, chunk_ids: Iterable[int]) -> dict[int, NodeRow]:
        """Read the nodes of chunks, by chunk id, without those chunks that have none."""
        rows = self._db.execute("SELECT * FROM nodes WHERE chunk_id = ANY(?::bigint[])", (list(chunk_ids),))
        return {row[0]: self.checked(row) for row in rows}

    def scan(self, condition: Condition) -> Iterator[tuple[int, str, str, str]]:
        """Read the nodes that meet a condition on `n.metadata`, for a filter."""
        return super().scan(_in_text(condition))


class PostgresStore(Store):
    """Read and write access to a database; changes need a writer's transaction.

    Attributes:
        postings: The tables of the lexical index.
    """

    _BYTES = "convert_to({}, 'UTF8')"
    vectors: PostgresVectors

    def __init__(self, connection: Connection, schema: str) -> None:
        super().__init__(connection)
        self.nodes = PostgresNodes(connection)
        self.vectors = PostgresVectors(connection)
        self.postings = Postings(connection)
        self._schema = schema
        self._locked: set[str] = set()
        self._pending: dict[
            int, int
        ] = {}  # documents whose chunks are not in the lexical index, and how many these are

    def begin(self, sources: Iterable[str]) -> None:
        """Begin a transaction's changes.

        Args:
            sources: The sources of the documents that will be changed, as far as they are known.
        """
        self._locked.clear()
        self._pending.clear()
        self.lock(sources)

    def lock(self, sources: Iterable[str]) -> None:
        """Wait until no other writer changes documents, and have others wait, until the transaction ends.

        Args:
            sources: The sources of the documents.
        """
        wanted = sorted(set(sources) - self._locked, key=str.encode)
        if wanted:
            self._db.execute(
                "INSERT INTO sources SELECT unnest(?::text[])"
                " ON CONFLICT (source) DO UPDATE SET source = excluded.source",
                (wanted,),
            )
            self._locked.update(wanted)

    def flush(self) -> None:
        """Bring the lexical index up to date with the changes of the transaction."""
        if self._pending:
            self.postings.add((document_id, self.chunks_of(document_id)) for document_id in [*self._pending])
            self._pending.clear()

    def hold_settings(self) -> None:
        """Let no other writer record another encoder meanwhile: only the first documents of an index wait for it."""
        is_first = self.is_empty()
        lock = f"pg_advisory_xact_lock{'' if is_first else '_shared'}"
        self._db.execute(f"SELECT {lock}(hashtextextended(?, 0))", (f"longctx encoder {self._schema}",))
        if not is_first and self.is_empty():
            raise IndexBusy("another process has removed all documents of the index: do it again")
        if is_first and self.is_empty():
            self.vectors.drop_index()

    def set_meta(self, key: str, value: str) -> None:
        """Set a setting of the whole index, unless it has that value: every writer would wait for the others.

        Args:
            key: Its name.
            value: Its value.
        """
        if self.meta(key) != value:
            sql = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
            self._db.execute(sql, (key, value))

    def add_document(self, document: Document, content_hash: str, generation: int, stamp: str | None = None) -> int:
        """Add a document, without its chunks; for the arguments see `Store`."""
        self.lock([document.source])
        if "\0" in f"{document.title}{''.join(table.header for table in document.tables)}":
            tables = (Table(table.start, table.end, _without_nul(table.header)) for table in document.tables)
            document = replace(document, title=_without_nul(document.title), tables=tuple(tables))
        document_id = super().add_document(document, content_hash, generation, stamp)
        self._pending[document_id] = 0
        return document_id

    def add_chunks(self, document_id: int, chunks: Sequence[Chunk], vectors: Vectors) -> Sequence[int]:
        """Add chunks to a document; for the arguments see `Store`."""
        chunks = [replace(c, heading=_without_nul(c.heading)) if "\0" in c.heading else c for c in chunks]
        if sum(self._pending.values()) > _MOST_PENDING and len(self._pending) > 1:
            unfinished = self._pending.pop(document_id)
            self.flush()
            self._pending[document_id] = unfinished
        self._pending[document_id] = self._pending.get(document_id, 0) + len(chunks)
        return super().add_chunks(document_id, chunks, vectors)

    def remove_document(self, source: str, generation: int) -> bool:
        """Remove a document, or one name of it; for the arguments see `Store`."""
        self.lock([source])
        while (found := self.document(source)) is not None:
            # another writer may be changing it under another of its names
            row = self._db.execute("SELECT 1 FROM documents WHERE id = ? FOR UPDATE", (found[0],)).fetchone()
            if row is not None and self.document(source) == found:
                return super().remove_document(source, generation)
        return False

    def discard_document(self, document_id: int, generation: int) -> None:
        """Remove a document, whatever its rows hold."""
        if document_id in self._pending:
            del self._pending[document_id]
        self.postings.remove(document_id)
        self._db.execute("DELETE FROM documents WHERE id = ?", (document_id,))

    def add_copy(self, of: str, source: str, stamp: str | None, modified: str | None) -> None:
        """Record another file with the content of a document; for the arguments see `Store`."""
        self.lock([source])
        super().add_copy(of, source, stamp, modified)

    def rename_document(self, source: str, new: str, stamp: str | None, modified: str | None, generation: int) -> None:
        """Record that the file of a document has another name now; for the arguments see `Store`."""
        self.lock([source, new])
        super().rename_document(source, new, stamp, modified, generation)

    def chunks(self, ids: Iterable[int]) -> dict[int, Chunk]:
        """Read chunks, with a few statements for all of them, since each goes to the server and back.

        Args:
            ids: Their ids.

        Returns:
            The chunks by id, in the order of `ids`.

        Raises:
            IndexDamaged: If one is missing or is not what it was.
        """
        wanted = list(ids)
        rows = {row[0]: row for row in self._of_chunks(f"{CHUNK_FACTS}, checksum", "chunks c", wanted)}
        if missing := [i for i in wanted if i not in rows]:
            raise IndexDamaged(f"chunk {missing[0]} is missing")
        its = sorted({row[1] for row in rows.values()})
        documents = dict(self._documents("id = ANY(?::bigint[])", its))
        tables = self._tables_of(wanted)
        pieces = "chunks c JOIN texts t USING (document_id)"
        inside = f'AND t.piece BETWEEN c."start" / {TEXT_BLOCK} AND (c."end" - 1) / {TEXT_BLOCK}'
        texts = {row[:2]: row[2] for row in self._of_chunks("document_id, t.piece, t.text", pieces, wanted, inside)}

        def block(document_id: int, number: int) -> str:
            return unpacked(texts[document_id, number], document_id) if (document_id, number) in texts else ""

        return {
            i: read_chunk(rows[i], documents[rows[i][1]], partial(block, rows[i][1]), tables.get(i, ())) for i in wanted
        }

    def _of_chunks(self, columns: str, tables: str, ids: list[int], further: str = "") -> list[Any]:
        sql = f"SELECT {columns} FROM {tables} WHERE c.id = ANY(?::bigint[]) {further}"  # noqa: S608
        return self._db.execute(sql, (ids,)).fetchall()  # type: ignore[no-any-return]

    def _tables_of(self, ids: list[int]) -> dict[int, tuple[Table, ...]]:
        """The tables that each chunk has rows of."""
        found: dict[int, tuple[Table, ...]] = {}
        columns = 'c.id, document_id, t."start", t."end", t.header, t.checksum'
        overlap = 'AND t."start" < c."end" AND t."end" > c."start" ORDER BY t."start"'
        for chunk_id, *row, expected in self._of_chunks(
            columns, "chunks c JOIN tables t USING (document_id)", ids, overlap
        ):
            check_row(row, expected, f"a table of document {row[0]}")
            found[chunk_id] = (*found.get(chunk_id, ()), Table(*row[1:]))
        return found

    def _documents(self, where: str, *parameters: object, check: bool = True) -> Iterator[tuple[int, DocumentInfo]]:
        sql = f"SELECT {DOCUMENT_FACTS}, checksum FROM documents WHERE {where}"  # noqa: S608
        rows = self._db.execute(sql, parameters).fetchall()
        copies = self._copies_of([row[0] for row in rows])
        return ((row[0], read_document(row, copies.get(row[0], ()), check=check)) for row in rows)

    def _copies_of(self, ids: list[int]) -> dict[int, tuple[str, ...]]:
        """The sources of the copies of each document that has any, sorted."""
        found: dict[int, tuple[str, ...]] = {}
        sql = "SELECT document_id, source, checksum FROM copies WHERE document_id = ANY(?::bigint[]) ORDER BY source"
        for document_id, source, expected in self._db.execute(sql, (ids,)) if ids else ():
            check_row((document_id, source), expected, f"a copy of document {document_id}")
            found[document_id] = (*found.get(document_id, ()), source)
        return found

    def documents(self, after: int = 0) -> Iterator[tuple[int, DocumentInfo]]:
        """List all documents, sorted by source."""
        return self._documents("TRUE ORDER BY source")

    def documents_where(self, condition: Condition, *, check: bool = True) -> Iterator[tuple[int, DocumentInfo]]:
        """Select the documents whose row meets a condition; for the arguments see `Store`."""
        return super().documents_where(_in_text(condition), check=check)

    def chunk_ids_among(self, ids: Iterable[int]) -> set[int]:
        """Tell which chunks are there."""
        return {chunk_id for (chunk_id,) in self._of_chunks("c.id", "chunks c", list(ids))}

    def chunk_ids_where(self, condition: Condition) -> set[int]:
        """List the chunks of the documents whose row meets a condition."""
        return super().chunk_ids_where(_in_text(condition))

    def check_absent(self, source: str) -> None:
        """Do nothing: PostgreSQL checks its own indexes."""

    def chunk_count(self) -> int:
        """The number of chunks that are in the lexical index: of all, outside a writer's transaction."""
        return sum(chunks for chunks, _ in self.postings.statistics().values())

    def rebuild_indexes(self) -> None:
        """Make the database's own indexes of its tables again."""
        for table in TABLES:
            self._db.execute(f"REINDEX TABLE {table}")

    def forget_indexes(self) -> None:
        """Make the lexical index of all documents again; PostgreSQL itself keeps that of the vectors."""
        self.postings.clear()
        self._pending.clear()
        for (document_id,) in self._db.execute("SELECT id FROM documents ORDER BY id").fetchall():
            self.postings.add([(document_id, self.chunks_of(document_id))])
        self.set_meta("analysis", str(ANALYSIS_VERSION))

    def _new_chunk_ids(self, count: int) -> Sequence[int]:
        rows = self._db.execute("SELECT nextval('chunk_ids') FROM generate_series(1, ?) ORDER BY 1", (count,))
        return [chunk_id for (chunk_id,) in rows]

    def _index_again(self, document_id: int, generation: int) -> None:
        if document_id not in self._pending:
            self.postings.remove(document_id, keep_document=True)
            self._pending[document_id] = 0


def _in_text(condition: Condition) -> Condition:
    """A condition with its parameters as text, which takes whatever type it stands beside."""
    return condition._replace(parameters=[str(value) for value in condition.parameters])


def _without_nul(text: str) -> str:
    return text.replace("\0", _NO_NUL)
