"""The tables of an index in PostgreSQL: those of `indexes.storage.sqlite`, and the dense and the lexical index beside.

A change to a document is one transaction, and so is a search: what is in one, readers see all at once or not at all.
Nothing counts documents or terms in one row that every writer would have to change: `statistics` gets a row for each
transaction, and these are added up now and then.
"""

from __future__ import annotations

from indexes.errors import CorpusError, IndexMismatch, IndexNotFound
from indexes.storage.postgres.address import DatabaseAddress
from indexes.storage.postgres.connection import OLDEST_SERVER, OLDEST_VECTOR, Connection, prepare
from indexes.storage.postgres.errors import NO_EXTENSION
from indexes.text import ANALYSIS_VERSION

FORMAT_VERSION = 1
TABLES = (
    *("meta", "sources", "documents", "texts", "chunks", "vectors", "nodes", "tables", "copies"),
    *("postings", "languages", "statistics", "terms"),
)

# Texts compare as bytes (COLLATE "C"), as in SQLite. instr(), nfc(), json_valid() and json_extract() are SQLite's and
# ours, for the conditions of filters; these only leave out documents that cannot pass, and what JSON holds is left to
# Python, which decides in the end.
_SCHEMA = """
CREATE TABLE meta (key text PRIMARY KEY, value text NOT NULL);
INSERT INTO meta VALUES ('format', '0'), ('generation', '1');
-- A row for each source that was ever written, which its writer locks; in order, so that no two wait for each other.
CREATE TABLE sources (source text COLLATE "C" PRIMARY KEY);
CREATE TABLE documents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text COLLATE "C" NOT NULL UNIQUE, title text NOT NULL,
    content_hash text NOT NULL, characters bigint NOT NULL, chunks bigint NOT NULL, tokens bigint NOT NULL,
    generation bigint NOT NULL, metadata text COLLATE "C" NOT NULL, modified text COLLATE "C",
    text_checksum bigint NOT NULL, checksum bigint NOT NULL DEFAULT 0, stamp text,
    folded_title text COLLATE "C" NOT NULL
);
CREATE INDEX documents_of_content ON documents (content_hash);
CREATE TABLE texts (
    document_id bigint REFERENCES documents ON DELETE CASCADE, piece int, text bytea NOT NULL,
    PRIMARY KEY (document_id, piece)
);
ALTER TABLE texts ALTER COLUMN text SET STORAGE EXTERNAL;
CREATE SEQUENCE chunk_ids;
CREATE TABLE chunks (
    id bigint PRIMARY KEY, document_id bigint NOT NULL REFERENCES documents ON DELETE CASCADE, heading text NOT NULL,
    page bigint, "start" bigint NOT NULL, "end" bigint NOT NULL, line bigint NOT NULL, tokens bigint NOT NULL,
    checksum bigint NOT NULL
);
CREATE INDEX chunks_of_document ON chunks (document_id);
CREATE TABLE vectors (
    chunk_id bigint PRIMARY KEY REFERENCES chunks ON DELETE CASCADE, vector vector NOT NULL, checksum bigint NOT NULL
);
CREATE TABLE nodes (
    chunk_id bigint PRIMARY KEY REFERENCES chunks ON DELETE CASCADE, node_id text COLLATE "C" NOT NULL UNIQUE,
    metadata text COLLATE "C" NOT NULL, rest text NOT NULL, metadata_checksum bigint NOT NULL,
    rest_checksum bigint NOT NULL
);
CREATE TABLE tables (
    document_id bigint REFERENCES documents ON DELETE CASCADE, "start" bigint, "end" bigint NOT NULL,
    header text NOT NULL, checksum bigint NOT NULL, PRIMARY KEY (document_id, "start")
);
CREATE TABLE copies (
    source text COLLATE "C" PRIMARY KEY, document_id bigint NOT NULL REFERENCES documents ON DELETE CASCADE,
    modified text COLLATE "C", stamp text, checksum bigint NOT NULL
);
CREATE INDEX copies_of_document ON copies (document_id);
-- The lexical index: for a term, the chunks of a document that hold it, packed (`postings.POSTING`), in pieces that an
-- index row has room for, so that a search reads the index alone.
CREATE TABLE postings (
    term text COLLATE "C" NOT NULL, document_id bigint NOT NULL REFERENCES documents ON DELETE CASCADE,
    piece int NOT NULL, chunks bytea NOT NULL
);
ALTER TABLE postings ALTER COLUMN chunks SET STORAGE PLAIN;
CREATE UNIQUE INDEX postings_of_term ON postings (term, document_id, piece) INCLUDE (chunks);
CREATE INDEX postings_of_document ON postings (document_id);
-- Every term that was ever indexed, for words that are misspelt or begun.
CREATE TABLE terms (term text COLLATE "C" PRIMARY KEY);
CREATE TABLE languages (
    document_id bigint REFERENCES documents ON DELETE CASCADE, language text, chunks bigint NOT NULL,
    terms bigint NOT NULL, PRIMARY KEY (document_id, language)
);
CREATE TABLE statistics (language text NOT NULL, chunks bigint NOT NULL, terms bigint NOT NULL);
CREATE FUNCTION instr(text, text) RETURNS int LANGUAGE SQL IMMUTABLE PARALLEL SAFE AS 'SELECT strpos($1, $2)';
CREATE FUNCTION nfc(text) RETURNS text LANGUAGE SQL IMMUTABLE PARALLEL SAFE AS 'SELECT normalize($1, NFC)';
CREATE FUNCTION json_valid(text) RETURNS boolean LANGUAGE SQL IMMUTABLE PARALLEL SAFE AS 'SELECT FALSE';
CREATE FUNCTION json_extract(text, text) RETURNS text LANGUAGE SQL IMMUTABLE PARALLEL SAFE AS 'SELECT NULL::text';
"""
# For each format: the script that changes the tables to those of the next.
_STEPS = {0: _SCHEMA}


def check_server(connection: Connection, address: DatabaseAddress) -> None:
    """Check the versions of PostgreSQL and, where the database has it, of pgvector.

    Args:
        connection: A connection.
        address: Where the index is.

    Raises:
        CorpusError: If one is too old, or the database is not in UTF-8.
    """
    version = connection.raw.info.server_version // 10_000
    if version < OLDEST_SERVER:
        raise CorpusError(f"{address.shown} runs PostgreSQL {version}: upgrade it to {OLDEST_SERVER} or newer")
    [[encoding]] = connection.execute("SHOW server_encoding")
    if encoding != "UTF8":
        raise CorpusError(f"{address.shown} is in {encoding}: make a database in UTF8")
    row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    if row is not None and tuple(map(int, row[0].split(".")[:2])) < OLDEST_VECTOR:
        newer = ".".join(map(str, OLDEST_VECTOR))
        raise CorpusError(
            f"{address.shown} has pgvector {row[0]}: upgrade it to {newer} or newer (ALTER EXTENSION vector UPDATE)"
        )


def make_or_migrate(connection: Connection, address: DatabaseAddress, *, create: bool) -> None:
    """Bring the tables to this format, or make them; all at once, or not at all.

    Args:
        connection: A connection.
        address: Where the index is.
        create: Whether to make an index if there is none.

    Raises:
        IndexNotFound: If there is none and `create` is false, or the schema holds something else.
        IndexMismatch: If it was made by a newer longctx.
        CorpusError: If the server lacks what is needed.
    """
    check_server(connection, address)
    version = _format(connection, address)
    if version is None and not create:
        raise IndexNotFound(
            f"there is no index in {address.shown}: make one with `longctx ingest PATH --index {address.shown}`"
        )
    if version is None or version < FORMAT_VERSION:
        with connection.raw.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (f"longctx {address.schema}",))
            version = _format(connection, address)  # another process may have been first
            if version is None:
                _make_schema(connection, address)
                version = 0
            is_new = version == 0
            prepare(connection, address)
            while version < FORMAT_VERSION:
                connection.raw.execute(_STEPS[version])
                version += 1
            if is_new:
                connection.execute("INSERT INTO meta VALUES ('analysis', ?)", (str(ANALYSIS_VERSION),))
            connection.execute("UPDATE meta SET value = ? WHERE key = 'format'", (str(FORMAT_VERSION),))
    elif version > FORMAT_VERSION:
        raise IndexMismatch(
            f"{address.shown} has format {version} and this longctx knows format {FORMAT_VERSION}: upgrade longctx, or "
            "ingest into a new index (?schema=NAME)"
        )


def is_current(analysis: str | None, address: DatabaseAddress) -> bool:
    """Whether the lexical index was made by this version of the analyzer.

    Args:
        analysis: The version that made it; None for none.
        address: Where the index is.

    Returns:
        False if it has to be made again.

    Raises:
        IndexMismatch: If a newer one made it.
    """
    if analysis is not None and int(analysis) > ANALYSIS_VERSION:
        raise IndexMismatch(f"the lexical index in {address.shown} was made by a newer longctx: upgrade longctx")
    return analysis == str(ANALYSIS_VERSION)


def _format(connection: Connection, address: DatabaseAddress) -> int | None:
    """The format of the tables; None if there is no schema, or an empty one."""
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = ?"
    names = {name for (name,) in connection.execute(tables, (address.schema,))}
    if not names:
        return None
    row = None
    if "meta" in names:
        sql = f"SELECT value FROM \"{address.schema}\".meta WHERE key = 'format'"  # noqa: S608
        row = connection.execute(sql).fetchone()
    if row is None or not str(row[0]).isdecimal():
        raise IndexNotFound(
            f"the schema {address.schema} of {address.shown} holds something else: name another (?schema=NAME)"
        )
    return int(row[0])


def _make_schema(connection: Connection, address: DatabaseAddress) -> None:
    import psycopg

    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.UndefinedFile,
        psycopg.errors.FeatureNotSupported,
    ) as e:
        why = address.masked(str(e))
        raise CorpusError(
            f"{address.shown} lacks the extension vector ({why}): install pgvector on the server, or {NO_EXTENSION}"
        ) from e
    connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{address.schema}"')
