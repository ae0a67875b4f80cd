"""Reading an index in PostgreSQL: a session is a transaction, which sees one snapshot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from indexes.errors import CorpusError
from indexes.storage.postgres.address import DatabaseAddress
from indexes.storage.postgres.connection import Connection, Connections
from indexes.storage.postgres.errors import ConnectionLost, explained
from indexes.storage.postgres.lexical import PostgresLexical
from indexes.storage.postgres.store import PostgresStore
from indexes.storage.postgres.vectors import PostgresVectors

_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PostgresSearchers:
    """The search indexes of a snapshot.

    Attributes:
        store: The store.
        dense: Search by vectors.
        lexical: Search by terms.
    """

    store: PostgresStore
    dense: PostgresVectors
    lexical: PostgresLexical


class PostgresSession:
    """Read access to an index in one transaction.

    If the server has ended the connection before anything was read, another one is made; after that, CorpusError is
    raised.

    Args:
        connections: The connections to the index.
        address: Where it is.
    """

    def __init__(self, connections: Connections, address: DatabaseAddress) -> None:
        self._connections, self._address = connections, address
        self._has_read = False
        self._connection: Connection | None = None
        self._searchers = self._opened()

    def close(self) -> None:
        """End the transaction; a second call does nothing."""
        if self._connection is not None:
            self._connections.give_back(self._connection)
        self._connection = None

    def open_searchers(self) -> None:
        """Take the snapshot now: the first statement of a transaction does."""
        self._attempt(lambda searchers: searchers.store.is_empty())

    def read(self, read: Callable[[PostgresStore], T]) -> T:
        """Read from the store.

        Args:
            read: Reads from the store. It is called again if the connection was lost before anything had been read.

        Returns:
            What `read` returns.
        """
        return self._attempt(lambda searchers: read(searchers.store))

    def search(self, search: Callable[[PostgresSearchers], T]) -> T:
        """Search.

        Args:
            search: Searches. It is called again if the connection was lost before anything had been read.

        Returns:
            What `search` returns.
        """
        return self._attempt(search)

    def _opened(self) -> PostgresSearchers:
        self._connection = connection = self._connections.take(_READING)
        store = PostgresStore(connection, self._address.schema)
        return PostgresSearchers(store, store.vectors, PostgresLexical(store.postings))

    def _attempt(self, action: Callable[[PostgresSearchers], T]) -> T:
        if self._connection is None:
            raise CorpusError(f"this snapshot of {self._address.shown} has ended: read it inside its `with` block")
        try:
            with explained(self._address):
                result = action(self._searchers)
        except ConnectionLost:
            if self._has_read:
                raise
            self.close()
            self._searchers = self._opened()
            with explained(self._address):
                result = action(self._searchers)
        self._has_read = True
        return result
