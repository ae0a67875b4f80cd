"""Connections to PostgreSQL: kept for the next use, and with vectors as arrays."""

from __future__ import annotations

import logging
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from indexes.errors import CorpusError, extra
from indexes.storage.postgres.address import DatabaseAddress
from indexes.storage.postgres.errors import NO_EXTENSION, explained

if TYPE_CHECKING:
    import psycopg

OLDEST_SERVER = 14  # PostgreSQL's; 16 and 18 are tested
OLDEST_VECTOR = (0, 7)  # pgvector's, which has halfvec; 0.8 is tested
_CONNECTING = 10  # seconds
_MOST_IDLE = 8  # connections that are kept


class Connection:
    """A connection with a "?" for each parameter, as `indexes.storage.sqlite` writes them.

    Attributes:
        raw: psycopg's connection.
        vector_version: That of pgvector, where the connection has been prepared.
        vector_type: The oid of its type.
    """

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw
        self.vector_version: tuple[int, ...] = ()
        self.vector_type = 0

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return bool(self.raw.info.transaction_status)

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        """Run a statement; all its rows are read at once."""
        return self.raw.cursor(binary=True).execute(_with_percent(sql), parameters or None)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> psycopg.Cursor[Any]:
        """Run a statement for each row of parameters."""
        cursor, rows = self.raw.cursor(binary=True), list(parameters)
        if rows:  # otherwise there is nothing to ask the server
            cursor.executemany(_with_percent(sql), rows)
        return cursor

    def copy(self, table: str, types: Sequence[str | int], rows: Iterable[Sequence[Any]], /) -> None:
        """Add rows to a table by COPY; `types` are those of its columns, names or oids."""
        statement: Any = f"COPY {table} FROM STDIN (FORMAT BINARY)"
        with self.raw.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)


@lru_cache(maxsize=512)
def _with_percent(sql: str) -> Any:
    return sql.replace("?", "%s")


class Connections:
    """The connections of an index. Threads may share it: each takes one of its own while it uses it.

    Args:
        address: Where the index is.
        is_made: Whether the index is there, so that connections can look for its tables.
    """

    def __init__(self, address: DatabaseAddress, *, is_made: bool = True) -> None:
        self._address, self._is_made = address, is_made
        self._idle: deque[Connection] = deque()
        self._closed = False

    def close(self) -> None:
        """Close all connections; a second call does nothing."""
        self._closed = True
        self._drop_idle()

    def take(self, begin: str) -> Connection:
        """Take a connection, on which a transaction has begun; the caller has to give it back.

        Args:
            begin: The statement that begins it.

        Returns:
            The connection: one that is idle, if the server has not ended it meanwhile.

        Raises:
            CorpusError: If the index has been closed, or the server cannot be used.
        """
        import_psycopg()
        import psycopg

        if self._closed:
            raise CorpusError(f"the index in {self._address.shown} has been closed: open it again")
        with suppress(IndexError):
            while True:
                idle = self._idle.pop()
                try:
                    idle.execute(begin)
                    return idle
                except psycopg.OperationalError:  # the server was restarted: those that are older are dead, too
                    idle.raw.close()
                    self._drop_idle()
        with explained(self._address):
            fresh = self.connect()
            fresh.execute(begin)
            return fresh

    def give_back(self, connection: Connection) -> None:
        """End the transaction of a connection, and keep it for the next use.

        Args:
            connection: The connection; what was not committed is rolled back.
        """
        import psycopg

        try:
            if connection.raw.closed or self._closed or len(self._idle) >= _MOST_IDLE:
                connection.raw.close()
                return
            connection.execute("ROLLBACK")
            self._idle.append(connection)
        except psycopg.Error:
            connection.raw.close()

    def connect(self) -> Connection:
        """Open a connection. What goes wrong is raised as psycopg's own error."""
        import psycopg

        raw = psycopg.connect(
            self._address.conninfo, autocommit=True, connect_timeout=_CONNECTING, application_name="longctx"
        )
        try:
            raw.execute("SET client_min_messages = warning")
            raw.execute("SET jit = off")  # which takes longer to compile than a search takes
            connection = Connection(raw)
            if self._is_made:
                prepare(connection, self._address)
            return connection
        except BaseException:
            raw.close()
            raise

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().raw.close()


def prepare(connection: Connection, address: DatabaseAddress) -> None:
    """Look for tables in the index's schema, and have vectors come and go as arrays.

    Args:
        connection: A connection to a database that has the extension.
        address: Where the index is.

    Raises:
        CorpusError: If it has not.
    """
    found = connection.execute(
        "SELECT t.oid, n.nspname, e.extversion FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace"
        " JOIN pg_depend d ON d.objid = t.oid AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid"
        " WHERE t.typname = 'vector' AND e.extname = 'vector'"
    ).fetchone()
    if found is None:
        raise CorpusError(f"{address.shown} lacks the extension vector: {NO_EXTENSION}")
    connection.execute("SELECT set_config('search_path', ?, FALSE)", (f'"{address.schema}", "{found[1]}"',))
    connection.vector_type, connection.vector_version = found[0], version_of(found[2])
    _register_vectors(connection.raw, found[0])


def version_of(extension: str) -> tuple[int, ...]:
    """The major and the minor version of an extension.

    Args:
        extension: What `pg_extension` says.

    Returns:
        The numbers.
    """
    return tuple(map(int, extension.split(".")[:2]))


def _register_vectors(raw: psycopg.Connection[Any], oid: int) -> None:
    from psycopg.adapt import Dumper, Loader
    from psycopg.pq import Format

    class VectorDumper(Dumper):
        format = Format.BINARY

        def dump(self, obj: Any) -> bytes:
            data: bytes = obj.astype(">f4").tobytes()
            return struct.pack(">HH", len(obj), 0) + data

    class VectorLoader(Loader):
        format = Format.BINARY

        def load(self, data: Any) -> Any:
            return np.frombuffer(data, dtype=">f4", offset=4).astype("<f4")

    VectorDumper.oid = oid
    raw.adapters.register_dumper(np.ndarray, VectorDumper)
    raw.adapters.register_loader(oid, VectorLoader)


def import_psycopg() -> None:
    """Check that psycopg is there.

    Raises:
        CorpusError: If it is not, with the extra that brings it.
    """
    logging.getLogger("psycopg").addHandler(logging.NullHandler())  # what goes wrong is raised as well
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        what = "psycopg is not installed" if isinstance(error, ModuleNotFoundError) else f"psycopg fails ({error})"
        raise CorpusError(f"{what}, which an index in PostgreSQL needs: get {extra('postgres')}") from error
