"""The store: documents, their texts, chunks and vectors in SQLite, the one source of truth of an index.

Consistency. A document is in it wholly or not at all. Every publication raises the store's *generation*: in one SQLite
transaction the writer puts rows in and takes them out, makes the files of the dense and lexical indexes that go with
them, under new names and without touching the old, and notes those names (`derived_files`). Its COMMIT publishes all of
it at once. A reader works inside one read transaction, and so sees documents, chunks and both derived indexes of one
generation, whatever the writer does meanwhile. `sqlite.database` opens it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path

from indexes.errors import IndexDamaged
from indexes.storage.sqlite.checksums import (
    SETTINGS,
    checksum,
    read_stamp,
    seal_stamp,
    settings_checksum,
    text_checksum,
)
from indexes.storage.sqlite.documents import DerivedFile
from indexes.storage.sqlite.reader import TEXT_BLOCK, StoreReader, text_slice
from indexes.storage.sqlite.schema import DOCUMENT_FACTS, read_settings, seal_settings
from indexes.text import folded
from indexes.types import Chunk, Document, DocumentInfo, Vectors


class Store(StoreReader):
    """Read and write access to an open database; changes need a writer's transaction."""

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Keep all changes of the `with` block, or none, within the open transaction."""
        self._db.execute("SAVEPOINT changes")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # SQLite has ended it itself when the disk was full
                self._db.execute("ROLLBACK TO changes")
                self._db.execute("RELEASE changes")
            raise
        self._db.execute("RELEASE changes")

    def meta(self, key: str) -> str | None:
        """Read a setting of the whole index.

        Args:
            key: Its name, such as "encoder".

        Returns:
            Its value; None if it is not set.

        Raises:
            IndexDamaged: If nothing else tells this setting, and the settings do not match their checksum.
        """
        if key not in SETTINGS:
            return super().meta(key)
        settings = read_settings(self._db)
        if settings.get("settings") != settings_checksum(settings):
            raise IndexDamaged(
                "the settings that its documents were made with are not what they were: try `longctx index repair`"
            )
        return settings.get(key)

    def set_meta(self, key: str, value: str) -> None:
        """Set a setting of the whole index.

        Args:
            key: Its name.
            value: Its value.

        Raises:
            IndexDamaged: As `meta`.
        """
        if key in SETTINGS:
            self.meta(key)  # a checksum of settings that are damaged would hide it
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
        if key in SETTINGS:
            seal_settings(self._db)

    def settings(self) -> dict[str, str]:
        """All settings of the index by their names, and their checksum, whether or not it matches."""
        return read_settings(self._db)

    def restore_settings(self, settings: Mapping[str, str]) -> None:
        """Set those settings again that the checksum is of.

        Args:
            settings: What they were; one that is not there was not set.
        """
        for name in SETTINGS:
            self._db.execute("DELETE FROM meta WHERE key = ?", (name,))
            if name in settings:
                self._db.execute("INSERT INTO meta VALUES (?, ?)", (name, settings[name]))
        seal_settings(self._db)

    def next_generation(self) -> int:
        """A generation that is newer than the store's and than that of any document, also where one is damaged."""
        [newest] = self._db.execute("SELECT coalesce(max(generation), 0) FROM documents").fetchone()
        return max(self.generation(), int(newest)) + 1

    def add_document(self, document: Document, content_hash: str, generation: int, stamp: str | None = None) -> int:
        """Add a document, without its chunks.

        Args:
            document: The document. One with the same source must have been removed.
            content_hash: A hash of what it was made from.
            generation: The generation of the open transaction.
            stamp: The status of its file, if an equal one means that the file has not changed.

        Returns:
            The id of the document.
        """
        about = (document.metadata.json, document.modified, text_checksum(document.text), seal_stamp(stamp))
        row = (
            document.source,
            document.title,
            content_hash,
            len(document.text),
            generation,
            *about,
            folded(document.title),
        )
        document_id: int = self._db.execute(
            "INSERT INTO documents (source, title, content_hash, characters, generation, metadata, modified,"
            " text_checksum, stamp, folded_title, chunks, tokens) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)"
            " RETURNING id",
            row,
        ).fetchone()[0]
        blocks = (
            (document_id, number, zlib.compress(document.text[start : start + TEXT_BLOCK].encode(), 1))
            for number, start in enumerate(range(0, len(document.text), TEXT_BLOCK))
        )
        self._db.executemany("INSERT INTO texts VALUES (?, ?, ?)", blocks)
        tables = ((document_id, table.start, table.end, table.header) for table in document.tables)
        self._db.executemany("INSERT INTO tables VALUES (?, ?, ?, ?, ?)", ((*row, checksum(row)) for row in tables))
        self._seal(document_id)
        return document_id

    def add_chunks(self, document_id: int, chunks: Sequence[Chunk], vectors: Vectors) -> Sequence[int]:
        """Add chunks to a document.

        Args:
            document_id: The id of the document.
            chunks: (n,) chunks, in the order of the document.
            vectors: (n, dimension) float32, rows of length 1.

        Returns:
            The ids of the chunks.
        """
        ids = self._new_chunk_ids(len(chunks))
        block = lru_cache(maxsize=2)(partial(self._text_block, document_id))
        facts = (
            (i, document_id, c.heading, c.page, c.start, c.end, c.line, c.tokens)
            for i, c in zip(ids, chunks, strict=True)
        )
        rows = ((*row, checksum(row, text_slice(block, row[4], row[5]).encode())) for row in facts)
        self._db.executemany("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", list(rows))
        self.vectors.add(ids, vectors)
        self._db.execute(
            "UPDATE documents SET chunks = chunks + ?, tokens = tokens + ? WHERE id = ?",
            (len(chunks), sum(chunk.tokens for chunk in chunks), document_id),
        )
        self._seal(document_id)
        return ids

    def _new_chunk_ids(self, count: int) -> Sequence[int]:
        """Ids, ascending, that no chunk ever had."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'").fetchone()
        first = 1 if row is None else row[0] + 1
        return range(first, first + count)

    def lock(self, sources: Iterable[str]) -> None:
        """Keep other writers from documents until the transaction ends: there is none here.

        Args:
            sources: The sources of the documents.
        """

    def hold_settings(self) -> None:
        """Let no other writer record another encoder meanwhile: there is none here, since one writes at a time."""

    def remove_document(self, source: str, generation: int) -> bool:
        """Remove a document with its text, chunks, vectors and nodes; where it has copies, remove this name of it only.

        Args:
            source: The source of the document, or of a copy.
            generation: The generation of the open transaction.

        Returns:
            Whether there was such a document.
        """
        if (found := self.document(source)) is None:
            return False
        document_id, document = found
        if source != document.source:
            self._db.execute("DELETE FROM copies WHERE source = ?", (source,))
        elif document.copies:
            copy = "DELETE FROM copies WHERE source = ? RETURNING source, stamp, modified"
            [row] = self._db.execute(copy, (document.copies[0],)).fetchall()
            self._rename(document_id, document, row, generation)
        else:
            self.discard_document(document_id, generation)
        return True

    def discard_document(self, document_id: int, generation: int) -> None:
        """Remove a document, whatever its rows hold.

        Args:
            document_id: The id of the document.
            generation: The generation of the open transaction.
        """
        self.vectors.forget(document_id)
        self._db.execute("DELETE FROM documents WHERE id = ?", (document_id,))
        self._db.execute("INSERT OR REPLACE INTO removals VALUES (?, ?)", (document_id, generation))

    def rebuild_indexes(self) -> None:
        """Make the database's own indexes of its tables again."""
        self._db.execute("REINDEX")

    def file_problems(self) -> Iterator[str]:
        """What the database itself finds wrong with its tables and its indexes of them; raises sqlite3.Error."""
        yield from (str(row[0]) for row in self.rows("PRAGMA integrity_check(10)") if row[0] != "ok")
        yield from (f"row of {row[0]} without its {row[2]}" for row in self.rows("PRAGMA foreign_key_check"))

    def refold_titles(self) -> None:
        """Make what filters look for in titles again."""
        rows = self._db.execute("SELECT title, id, folded_title FROM documents").fetchall()
        changed = [(folded(title), document_id) for title, document_id, old in rows if folded(title) != old]
        self._db.executemany("UPDATE documents SET folded_title = ? WHERE id = ?", changed)

    def mend_stamp(self, document_id: int) -> bool:
        """Forget the stamp of a document if it is damaged, so that its file is read again.

        Args:
            document_id: The id of the document.

        Returns:
            Whether it was damaged.
        """
        sql = f"SELECT {self._BYTES.format('stamp')} FROM documents WHERE id = ?"  # noqa: S608
        is_damaged = not read_stamp(self._db.execute(sql, (document_id,)).fetchone()[0])[1]
        if is_damaged:
            self._db.execute("UPDATE documents SET stamp = NULL WHERE id = ?", (document_id,))
        return is_damaged

    def raw_source(self, document_id: int) -> str:
        """Read the source of a document without checking it.

        Args:
            document_id: The id of the document.

        Returns:
            The source, with bytes that are no text replaced.
        """
        sql = f"SELECT {self._BYTES.format('source')} FROM documents WHERE id = ?"  # noqa: S608
        return bytes(self._db.execute(sql, (document_id,)).fetchone()[0]).decode(errors="replace")

    def adds_up(self, document_id: int, chunks: int) -> bool:
        """Whether a document has as many chunks as it says, all of them inside its text, and a node each if any has.

        Args:
            document_id: The id of the document.
            chunks: How many chunks there are.

        Returns:
            True if nothing is missing but perhaps vectors.
        """
        sql = (
            'SELECT d.chunks = ? AND NOT EXISTS (SELECT 1 FROM chunks c WHERE c.document_id = d.id AND (c."start" < 0'
            ' OR c."end" < c."start" OR c."end" > d.characters)) AND (substr(d.source, 1, 12) != \'llama-index:\' OR'
            " d.chunks = (SELECT count(*) FROM chunks c JOIN nodes n ON n.chunk_id = c.id WHERE c.document_id = d.id))"
            " FROM documents d WHERE d.id = ?"
        )
        return bool(self._db.execute(sql, (chunks, document_id)).fetchone()[0])

    def add_copy(self, of: str, source: str, stamp: str | None, modified: str | None) -> None:
        """Record another file with the content of a document.

        Args:
            of: The source of the document, or of a copy.
            source: The path of the file. There is no document with it.
            stamp: The status of the file, if an equal one means that it has not changed.
            modified: When the file was last written.
        """
        found = self.document(of)
        assert found is not None
        document_id = found[0]
        row = (source, document_id, modified, seal_stamp(stamp), checksum((document_id, source)))
        self._db.execute("INSERT INTO copies VALUES (?, ?, ?, ?, ?)", row)

    def rename_document(self, source: str, new: str, stamp: str | None, modified: str | None, generation: int) -> None:
        """Record that the file of a document has another name now.

        Args:
            source: The source of the document, or of a copy.
            new: The new path. There is no document with it.
            stamp: The status of the file, if an equal one means that it has not changed.
            modified: When the file was last written.
            generation: The generation of the open transaction.
        """
        found = self.document(source)
        assert found is not None
        if source == found[1].source:
            self._rename(*found, (new, seal_stamp(stamp), modified), generation)
        else:
            self.remove_document(source, generation)
            self.add_copy(found[1].source, new, stamp, modified)

    def _rename(
        self, document_id: int, document: DocumentInfo, row: tuple[str, str | None, str | None], generation: int
    ) -> None:
        title = document.title
        if title == Path(document.source).stem:  # its file gives none
            title = Path(row[0]).stem
            self._index_again(document_id, generation)
        sql = "UPDATE documents SET source = ?, stamp = ?, modified = ?, title = ?, folded_title = ? WHERE id = ?"
        self._db.execute(sql, (*row, title, folded(title), document_id))
        self._seal(document_id)

    def _index_again(self, document_id: int, generation: int) -> None:
        """Have a document, whose title is in the terms of each chunk, leave the lexical index and come back."""
        self._db.execute("INSERT OR REPLACE INTO removals VALUES (?, ?)", (document_id, generation))
        self._db.execute("UPDATE documents SET generation = ? WHERE id = ?", (generation, document_id))

    def set_stamp(self, source: str, stamp: str | None, modified: str | None) -> None:
        """Record the new status of a file whose content has not changed.

        Args:
            source: The source of its document, or of a copy.
            stamp: The status, if an equal one means that the file has not changed.
            modified: When the file was last written.
        """
        sql, values = "UPDATE {} SET stamp = ?, modified = ? WHERE source = ?", (seal_stamp(stamp), modified, source)
        sealed = self._db.execute(sql.format("documents") + " RETURNING id", values).fetchall()
        if sealed:
            self._seal(sealed[0][0])
        else:
            self._db.execute(sql.format("copies"), values)

    def forget_removals(self) -> None:
        """Empty the list of removals, once the dense and the lexical index have followed."""
        self._db.execute("DELETE FROM removals")

    def set_derived_files(self, files: Iterable[DerivedFile]) -> None:
        """Record the files that belong to the generation that is being made, in place of all others.

        Args:
            files: The files of the dense and the lexical index.
        """
        self._db.execute("DELETE FROM derived_files")
        self._db.executemany("INSERT INTO derived_files VALUES (?, ?, ?, ?)", files)

    def forget_indexes(self) -> None:
        """Have the dense and the lexical index made again when the generation is published."""
        self.set_derived_files(())
        self.set_meta("analysis", "")

    def _seal(self, document_id: int) -> None:
        sql = f"SELECT {DOCUMENT_FACTS} FROM documents WHERE id = ?"  # noqa: S608
        row = self._db.execute(sql, (document_id,)).fetchone()
        self._db.execute("UPDATE documents SET checksum = ? WHERE id = ?", (checksum(row), document_id))
