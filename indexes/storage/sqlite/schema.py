"""The tables of an index's database, and the migration of databases in an older format.

SQLite keeps no checksums of its own, so rows have a column for one: a bit flipped on the disk is noticed when the row
is read, and raises an error instead of giving a wrong answer.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from indexes.errors import IndexDamaged, IndexMismatch
from indexes.storage.sqlite.checksums import checksum, settings_checksum, text_checksum, vector_checksum
from indexes.text import folded

if TYPE_CHECKING:
    from indexes.storage.sqlite.documents import Connection

FORMAT_VERSION = 6

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('generation', '0');
-- AUTOINCREMENT: an id that was removed never comes back, so a derived index cannot mistake one document for another.
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL UNIQUE, title TEXT NOT NULL, content_hash TEXT NOT NULL,
    characters INTEGER NOT NULL, chunks INTEGER NOT NULL, tokens INTEGER NOT NULL, generation INTEGER NOT NULL,
    metadata TEXT NOT NULL DEFAULT '{}', modified TEXT,
    text_checksum INTEGER NOT NULL DEFAULT 0, checksum INTEGER NOT NULL DEFAULT 0,
    stamp TEXT,  -- what the file's status was when it was read; NULL where that does not tell whether it has changed
    folded_title TEXT NOT NULL DEFAULT ''  -- for filters to look for
) STRICT;
CREATE INDEX documents_of_generation ON documents (generation);
CREATE TABLE texts (
    document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE, piece INTEGER NOT NULL, text BLOB NOT NULL,
    PRIMARY KEY (document_id, piece)
) STRICT, WITHOUT ROWID;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    heading TEXT NOT NULL, page INTEGER, "start" INTEGER NOT NULL, "end" INTEGER NOT NULL, line INTEGER NOT NULL,
    tokens INTEGER NOT NULL, checksum INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX chunks_of_document ON chunks (document_id);
CREATE TABLE vectors (
    chunk_id INTEGER PRIMARY KEY REFERENCES chunks ON DELETE CASCADE, vector BLOB NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT;
-- What the derived indexes need to follow: documents taken out since the lexical one last did; the generation in which
-- the dense file of each range of chunk ids was made, and the chunks that came or went since.
CREATE TABLE removals (document_id INTEGER PRIMARY KEY, generation INTEGER NOT NULL) STRICT;
CREATE TABLE segments (id INTEGER PRIMARY KEY, generation INTEGER NOT NULL) STRICT;
CREATE TABLE unfiled (chunk_id INTEGER PRIMARY KEY) STRICT;
-- The files of the derived indexes that belong to this generation: paths relative to the index's folder.
CREATE TABLE derived_files (
    name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- What a node of llama-index holds beyond its chunk. A file's chunks have no row here.
CREATE TABLE nodes (
    chunk_id INTEGER PRIMARY KEY REFERENCES chunks ON DELETE CASCADE, node_id TEXT NOT NULL UNIQUE,
    metadata TEXT NOT NULL, rest TEXT NOT NULL, metadata_checksum INTEGER NOT NULL, rest_checksum INTEGER NOT NULL
) STRICT;
-- The tables of a document that have a header row: the rows below it, and the header.
CREATE TABLE IF NOT EXISTS tables (
    document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE, "start" INTEGER NOT NULL,
    "end" INTEGER NOT NULL, header TEXT NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY (document_id, "start")
) STRICT, WITHOUT ROWID;
-- Further files with the content of a document.
CREATE TABLE IF NOT EXISTS copies (
    source TEXT PRIMARY KEY, document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE, modified TEXT,
    stamp TEXT, checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS copies_of_document ON copies (document_id);
CREATE INDEX IF NOT EXISTS documents_of_content ON documents (content_hash);
"""

# What a document's and a chunk's checksum are of, besides the chunk's text as it is in the document.
DOCUMENT_FACTS = "id, source, title, content_hash, characters, chunks, tokens, metadata, modified, text_checksum"
CHUNK_FACTS = 'id, document_id, heading, page, "start", "end", line, tokens'


def make_or_migrate(connection: sqlite3.Connection) -> int:
    """Bring an open database to this format, all at once or not at all; return the format that it then has."""
    if (version := format_version(connection)) >= FORMAT_VERSION:
        return version
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = format_version(connection)  # another process may have been first
        while version < FORMAT_VERSION:
            script, fill = _STEPS[version]
            _execute_all(connection, script)
            if fill is not None:
                fill(connection)
            version = format_version(connection)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return version


def check_format(connection: sqlite3.Connection) -> None:
    """Check that a database has the tables of this format. Another version of longctx may migrate it at any time.

    Args:
        connection: The database, in a transaction if the result is to hold for longer than this call.

    Raises:
        IndexMismatch: If its format is another one.
    """
    if (version := format_version(connection)) == FORMAT_VERSION:
        return
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    if version > FORMAT_VERSION:
        raise IndexMismatch(
            f"{path} has format {version} and this longctx knows format {FORMAT_VERSION}: upgrade longctx, or ingest "
            "into a new index"
        )
    raise IndexMismatch(
        f"{path} has the older format {version} and cannot be written to: open it once where it can, and it is brought "
        "up to date"
    )


def format_version(connection: sqlite3.Connection) -> int:
    """The version of a database's tables; 0 for an empty database."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _fill_checksums(connection: sqlite3.Connection) -> None:
    for (document_id,) in connection.execute("SELECT id FROM documents").fetchall():
        pieces = connection.execute("SELECT text FROM texts WHERE document_id = ? ORDER BY piece", (document_id,))
        try:
            text = "".join(zlib.decompress(piece).decode() for (piece,) in pieces)
        except (zlib.error, UnicodeDecodeError) as error:
            raise IndexDamaged(f"the text of document {document_id} is damaged ({error})") from error
        connection.execute("UPDATE documents SET text_checksum = ? WHERE id = ?", (text_checksum(text), document_id))
        facts = connection.execute(f"SELECT {DOCUMENT_FACTS} FROM documents WHERE id = ?", (document_id,))  # noqa: S608
        connection.execute("UPDATE documents SET checksum = ? WHERE id = ?", (checksum(facts.fetchone()), document_id))
        rows = connection.execute(f"SELECT {CHUNK_FACTS} FROM chunks WHERE document_id = ?", (document_id,))  # noqa: S608
        sums = [(checksum(row, text[row[4] : row[5]].encode()), row[0]) for row in rows]
        connection.executemany("UPDATE chunks SET checksum = ? WHERE id = ?", sums)
    for chunk_id, vector in connection.execute("SELECT chunk_id, vector FROM vectors"):
        sum_ = (vector_checksum(chunk_id, vector), chunk_id)
        connection.execute("UPDATE vectors SET checksum = ? WHERE chunk_id = ?", sum_)


def _fill_folded_titles(connection: sqlite3.Connection) -> None:
    titles = connection.execute("SELECT title, id FROM documents").fetchall()
    rows = ((folded(title), document_id) for title, document_id in titles)
    connection.executemany("UPDATE documents SET folded_title = ? WHERE id = ?", rows)


def seal_settings(connection: Connection) -> None:
    """Record the checksum of the settings that an open database holds."""
    sealed = settings_checksum(read_settings(connection))
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('settings', ?)", (sealed,))


def read_settings(connection: Connection) -> dict[str, str]:
    """All settings that an open database holds, by their names."""
    rows = connection.execute("SELECT CAST(key AS BLOB), CAST(value AS BLOB) FROM meta").fetchall()
    return {
        key.decode(errors="replace"): value.decode(errors="replace") for key, value in rows
    }  # or damage is an error


def _execute_all(connection: sqlite3.Connection, script: str) -> None:
    """Run a script in the transaction that is open: `executescript` would end it first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    assert not statement.strip()


# Format 1 had no checksums, metadata, dates and stamps, and its derived files are made again afterwards.
_FORMAT_1_TO_2 = f"""
ALTER TABLE documents ADD COLUMN metadata TEXT NOT NULL DEFAULT '{{}}';
ALTER TABLE documents ADD COLUMN modified TEXT;
ALTER TABLE documents ADD COLUMN text_checksum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE documents ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE documents ADD COLUMN stamp TEXT;
CREATE INDEX documents_of_generation ON documents (generation);
ALTER TABLE chunks ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE vectors ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
{SCHEMA[SCHEMA.index("-- The files of the derived indexes") : SCHEMA.index("-- The tables of a document")]}
PRAGMA user_version = 2;
"""
_FORMAT_2_TO_3 = """
ALTER TABLE documents ADD COLUMN folded_title TEXT NOT NULL DEFAULT '';
PRAGMA user_version = 3;
"""
# In format 3 the dense files had all chunks.
_FORMAT_3_TO_4 = """
CREATE TABLE unfiled (chunk_id INTEGER PRIMARY KEY) STRICT;
PRAGMA user_version = 4;
"""
# Until format 4 each file was a document of its own, and a table's rows had lost their header.
_FORMAT_4_TO_5 = f"""
{SCHEMA[SCHEMA.index("-- The tables of a document") :]}
PRAGMA user_version = 5;
"""
# Until format 5 the settings had no checksum.
_FORMAT_5_TO_6 = "PRAGMA user_version = 6;"
# For each format: the script that changes the tables, and what fills in what is new from the old.
_STEPS: dict[int, tuple[str, Callable[[sqlite3.Connection], None] | None]] = {
    0: (f"{SCHEMA} PRAGMA user_version = {FORMAT_VERSION};", seal_settings),
    1: (_FORMAT_1_TO_2, _fill_checksums),
    2: (_FORMAT_2_TO_3, _fill_folded_titles),
    3: (_FORMAT_3_TO_4, None),
    4: (_FORMAT_4_TO_5, None),
    5: (_FORMAT_5_TO_6, seal_settings),
}
