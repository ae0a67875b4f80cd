"""An index in PostgreSQL, and its writers, each of which changes documents of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TypeVar

from indexes.errors import CorpusError
from indexes.storage.postgres.address import DatabaseAddress
from indexes.storage.postgres.connection import Connection, Connections
from indexes.storage.postgres.errors import explained
from indexes.storage.postgres.schema import TABLES, is_current, make_or_migrate
from indexes.storage.postgres.segments import tidy
from indexes.storage.postgres.session import PostgresSession
from indexes.storage.postgres.store import PostgresStore
from indexes.storage.postgres.verify import verify
from indexes.types import VerifyReport

_PATIENCE = 60.0  # seconds for another writer of the same documents, where nothing else is said
_FOREVER = 0

T = TypeVar("T")


class PostgresWriter:
    """Write access to an index in batches, each of which is one transaction.

    Attributes:
        store: The store, which is changed within a batch and can be read at any time.
    """

    def __init__(self, connection: Connection, address: DatabaseAddress) -> None:
        self.store = PostgresStore(connection, address.schema)
        self._connection, self._address = connection, address
        self._depth = 0

    @contextmanager
    def batch(self, sources: Iterable[str] = ()) -> Iterator[int]:
        """Change the store: all changes of the `with` block are kept, or none.

        Args:
            sources: The sources of the documents that will be changed, as far as they are known.

        Yields:
            The generation, which is always the same.
        """
        with self._connection.raw.transaction():
            self._depth += 1
            try:
                if self._depth == 1:
                    self.store.begin(sources)
                yield self.store.generation()
                if self._depth == 1:
                    self.store.flush()
                    self.store.postings.add_up()
            finally:
                self._depth -= 1

    def publish(self) -> None:
        """Do nothing: every batch has been committed."""


class PostgresIndex:
    """An index in a schema of a PostgreSQL database. Threads may share it.

    Attributes:
        address: Where it is.
        connections: The connections to it.
    """

    def __init__(self, address: DatabaseAddress, connections: Connections) -> None:
        self.address, self.connections = address, connections

    @property
    def path(self) -> Path:
        """The folder on this machine for what is kept beside the index."""
        return self.address.folder

    @property
    def held(self) -> None:
        """No folder is held for an index in a database."""

    @property
    def name(self) -> str:
        """The address without the password."""
        return self.address.shown

    @classmethod
    def open(cls, url: str, *, create: bool) -> PostgresIndex:
        """Open an index, or create one; one in an older format is migrated.

        Args:
            url: Its address.
            create: Whether to create the index if there is none.

        Returns:
            The open index.

        Raises:
            IndexNotFound: If there is no index and `create` is false, or the schema holds something else.
            IndexMismatch: If the index was made by a newer longctx.
            CorpusError: If the server cannot be used.
        """
        address = DatabaseAddress.parse(url)
        with closing(Connections(address, is_made=False)) as connections:
            connection = connections.take("SELECT 1")
            try:
                with explained(address):
                    make_or_migrate(connection, address, create=create)
            finally:
                connections.give_back(connection)
        index = cls(address, Connections(address))
        try:
            if not is_current(index.read(lambda store: store.meta("analysis")), address):
                index._index_anew()
        except BaseException:
            index.close()
            raise
        return index

    def close(self) -> None:
        """Close the connections; a second call does nothing."""
        self.connections.close()

    def session(self) -> AbstractContextManager[PostgresSession]:
        """Read the index in one transaction, which ends with the `with` block."""
        return closing(PostgresSession(self.connections, self.address))

    def read(self, read: Callable[[PostgresStore], T]) -> T:
        """Read from the store in a transaction of its own.

        Args:
            read: Reads from one snapshot. It is called again if the connection was lost.

        Returns:
            What `read` returns.
        """
        with self.session() as session:
            return session.read(read)

    @contextmanager
    def writing(self, wait: bool | float = False) -> Iterator[PostgresWriter]:
        """Write to the index, beside others; only writers of the same documents wait for each other.

        Args:
            wait: How long to wait for these: for a minute, until they have finished (true), or so many seconds.

        Yields:
            The writer.

        Raises:
            IndexBusy: If another process changes the same documents for longer than that.
        """
        seconds = (_FOREVER if wait else _PATIENCE) if isinstance(wait, bool) else max(wait, 0.001)
        connection = self.connections.take("SELECT 1")
        try:
            with explained(self.address):
                connection.execute(f"SET lock_timeout = {round(seconds * 1000)}")
                try:
                    yield PostgresWriter(connection, self.address)
                finally:
                    if not connection.raw.closed and not connection.raw.broken:
                        connection.execute("SET lock_timeout = 0")
        finally:
            self.connections.give_back(connection)
        self._follow()

    def size(self) -> int:
        """The size of the tables and their indexes in bytes."""
        sizes = " + ".join(f"pg_total_relation_size('{table}')" for table in TABLES)
        return self.read(lambda store: int(next(iter(store.rows(f"SELECT {sizes}")))[0]))

    def verify(self) -> VerifyReport:
        """Check the whole index; see `indexes.storage.postgres.verify`."""
        return self.read(verify)

    def _index_anew(self) -> None:
        """Make the lexical index again, where another version of the analyzer made it."""
        with self.writing(True) as writer, writer.batch():
            writer.store.rows("LOCK TABLE documents IN SHARE ROW EXCLUSIVE MODE")
            if not is_current(writer.store.meta("analysis"), self.address):
                writer.store.forget_indexes()

    def _follow(self) -> None:
        """Merge segments, and build the HNSW index once there are enough vectors, unless writers keep it waiting."""
        import psycopg

        connection = self.connections.take("SELECT 1")
        try:
            with explained(self.address):
                tidy(connection, self.address.schema)
                vectors = PostgresStore(connection, self.address.schema).vectors
                if vectors.wants_index():
                    with connection.raw.transaction():
                        vectors.build_index()
        except CorpusError as error:
            if not isinstance(error.__context__, psycopg.errors.LockNotAvailable):
                raise
        finally:
            self.connections.give_back(connection)
