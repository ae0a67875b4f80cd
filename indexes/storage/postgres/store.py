"""The store of an index in PostgreSQL: `indexes.storage.sqlite.Store` with what PostgreSQL does in another way.

Several writers change it at once. One that changes a document locks the row of its source first, in the order of the
sources (`PostgresStore.lock`), so that none overwrites what another has just written, and none waits for one that waits
for it. `flush`, at the end of a transaction, brings the lexical index up to date.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from indexes.errors import IndexBusy
from indexes.storage.postgres.connection import Connection
from indexes.storage.postgres.postings import SEGMENT_SIZE, Postings
from indexes.storage.postgres.reader import PostgresNodes, PostgresReader
from indexes.storage.postgres.schema import TABLES
from indexes.storage.postgres.segments import merging_lock
from indexes.storage.postgres.vectors import PostgresVectors
from indexes.storage.sqlite import NodeRow, Store
from indexes.text import ANALYSIS_VERSION
from indexes.types import Chunk, Document, Table, Vectors

_MOST_PENDING = SEGMENT_SIZE  # chunks that wait for the lexical index
_AT_ONCE = 4096  # chunks that are read into memory
_NO_NUL = "\ufffd"  # for NUL, which PostgreSQL's texts cannot hold; as in CommonMark


class PostgresStore(PostgresReader, Store):
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
            self.postings.add(self._chunks_of_each(self._pending))
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

    def meta(self, key: str) -> str | None:
        """Read a setting of the whole index, whose pages PostgreSQL itself has checksums of; see `Store`."""
        return PostgresReader.meta(self, key)

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

    def check_absent(self, source: str) -> None:
        """Do nothing: PostgreSQL checks its own indexes."""

    def chunk_count(self) -> int:
        """The number of chunks that are in the lexical index: of all, outside a writer's transaction."""
        return sum(chunks for chunks, _ in self.postings.statistics().values())

    def file_problems(self) -> Iterator[str]:
        """Nothing: PostgreSQL looks after its own files."""
        return iter(())

    def rebuild_indexes(self) -> None:
        """Make the database's own indexes of its tables again."""
        for table in TABLES:
            self._db.execute(f"REINDEX TABLE {table}")

    def forget_indexes(self) -> None:
        """Make the lexical index of all documents again; PostgreSQL itself keeps that of the vectors."""
        self._db.execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (merging_lock(self._schema),))
        self.postings.clear()
        self._pending.clear()
        self.postings.add(self._chunks_of_each(dict(self._db.execute("SELECT id, chunks FROM documents ORDER BY id"))))
        self.set_meta("analysis", str(ANALYSIS_VERSION))

    def _new_chunk_ids(self, count: int) -> Sequence[int]:
        rows = self._db.execute("SELECT nextval('chunk_ids') FROM generate_series(1, ?) ORDER BY 1", (count,))
        return [chunk_id for (chunk_id,) in rows]

    def _index_again(self, document_id: int, generation: int) -> None:
        if document_id not in self._pending:
            self.postings.remove(document_id, keep_document=True)
            self._renew_chunks(document_id)

    def _renew_chunks(self, document_id: int) -> None:
        """Give the chunks of a document other ids, because the lexical index is not to change what it has of these."""
        chunks = list(self.chunks_of(document_id))
        parts = [chunks[first : first + _AT_ONCE] for first in range(0, len(chunks), _AT_ONCE)]
        nodes = self.nodes.of_chunks([chunk.id for chunk in chunks])
        vectors = [self.vectors.of([chunk.id for chunk in part]) for part in parts]
        self._db.execute("DELETE FROM chunks WHERE document_id = ?", (document_id,))
        self._db.execute("UPDATE documents SET chunks = 0, tokens = 0 WHERE id = ?", (document_id,))
        self._pending[document_id] = 0
        for part, its in zip(parts, vectors, strict=True):
            ids = self.add_chunks(document_id, part, its)
            renewed = {old.id: new for old, new in zip(part, ids, strict=True)}
            self.nodes.add(NodeRow(renewed[old], *row[1:]) for old, row in nodes.items() if old in renewed)

    def _chunks_of_each(self, documents: Mapping[int, int]) -> Iterator[tuple[int, Iterable[Chunk]]]:
        """The chunks of documents, of which the number of chunks is given; many small documents are read together."""
        some: list[int] = []
        for document_id, chunks in documents.items():
            if chunks > _AT_ONCE:
                yield document_id, self.chunks_of(document_id)
                continue
            if sum(documents[each] for each in some) + chunks > _AT_ONCE:
                yield from self.chunks_of_documents(some)
                some = []
            some.append(document_id)
        yield from self.chunks_of_documents(some)


def _without_nul(text: str) -> str:
    return text.replace("\0", _NO_NUL)
