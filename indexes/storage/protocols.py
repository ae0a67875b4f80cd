"""What an index is kept in: a folder (`index_folder`), or a schema of a PostgreSQL database (`postgres`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from indexes.storage.held_folder import HeldFolder
from indexes.storage.sqlite import Store
from indexes.types import Vectors, VerifyReport

T = TypeVar("T")
Scored = list[tuple[int, float]]


class DenseSearch(Protocol):
    """Search by vectors in one generation or snapshot."""

    def search(self, query: Vectors, k: int, allowed: Set[int] | None = None) -> Scored:
        """Find the chunks whose vectors have the largest inner product with a query's.

        Args:
            query: (dimension,) float32, of length 1.
            k: The maximum number of chunks.
            allowed: The ids of the chunks that may be found; None for all.

        Returns:
            (chunk id, inner product) of each, best first.
        """


class LexicalSearch(Protocol):
    """Search by terms in one generation or snapshot."""

    @property
    def languages(self) -> dict[str, int]:
        """How many chunks there are in each language, ISO 639-1, where it could be told."""

    def search(self, query: str, k: int, allowed: Set[int] | None = None) -> Scored:
        """Rank chunks by the BM25 score of a query's terms.

        Args:
            query: The query, in words.
            k: The maximum number of chunks.
            allowed: The ids of the chunks that may be found; None for all.

        Returns:
            (chunk id, score) of each, best first.
        """

    def may_hold(self, phrase: str) -> set[int]:
        """Find the chunks that contain every word of a phrase.

        Args:
            phrase: The phrase.

        Returns:
            The ids of the chunks, at most 10,000.
        """

    def in_languages(self, languages: Set[str], among: Set[int]) -> set[int]:
        """Find the chunks that are in some languages.

        Args:
            languages: The languages, ISO 639-1.
            among: The ids of the chunks to look at.

        Returns:
            The ids of those in one of the languages.
        """

    def idf(self, of: Iterable[str]) -> dict[str, float]:
        """Inverse document frequencies of terms over the chunks; see `idf_of`.

        Args:
            of: Terms.

        Returns:
            For each, its inverse document frequency; nothing for an index without chunks.
        """

    def counts(self, of: Iterable[str]) -> dict[str, int]:
        """Count the chunks that contain terms.

        Args:
            of: Terms.

        Returns:
            For each, the number of chunks.
        """


class Searchers(Protocol):
    """The store and the search indexes of one generation or snapshot."""

    @property
    def store(self) -> Store:
        """The store."""

    @property
    def dense(self) -> DenseSearch:
        """Search by vectors."""

    @property
    def lexical(self) -> LexicalSearch:
        """Search by terms."""


class Session(Protocol):
    """Read access to an index in one transaction."""

    def open_searchers(self) -> None:
        """Fix what is read from here on, so that nothing that a writer does changes it."""

    def read(self, read: Callable[[Store], T]) -> T:
        """Read from the store.

        Args:
            read: Reads from the store. It may be called again as long as nothing has been read.

        Returns:
            What `read` returns.
        """

    def search(self, search: Callable[[Searchers], T]) -> T:
        """Search.

        Args:
            search: Searches. It may be called again as long as nothing has been read.

        Returns:
            What `search` returns.
        """


class Writer(Protocol):
    """Write access to an index in batches, each of which is kept as a whole or not at all."""

    @property
    def store(self) -> Store:
        """The store, which is changed within a batch and can be read at any time."""

    def batch(self, sources: Iterable[str] = ()) -> AbstractContextManager[int]:
        """Change the store: all changes of the `with` block are kept, or none.

        Args:
            sources: The sources of the documents that will be changed, as far as they are known: where several write
                at once, others wait that would change them, too.

        Returns:
            The context, which yields the generation in which the changes will be published.
        """

    def publish(self) -> None:
        """Have readers see the batches that are finished."""


class IndexStorage(Protocol):
    """What an index is kept in. Threads may share it."""

    @property
    def path(self) -> Path:
        """The folder of the index; for one in a database, that of what is kept beside it on this machine."""

    @property
    def name(self) -> str:
        """What the index is called in messages: the folder, or the address without its password."""

    @property
    def held(self) -> HeldFolder | None:
        """The folder of the index, held open; None for one in a database."""

    def close(self) -> None:
        """Close it; a second call does nothing."""

    def session(self) -> AbstractContextManager[Session]:
        """Read the index in one transaction, which ends with the `with` block."""

    def read(self, read: Callable[[Store], T]) -> T:
        """Read from the store in a transaction of its own.

        Args:
            read: Reads from one generation. It may be called again.

        Returns:
            What `read` returns.
        """

    def writing(self, wait: bool | float = False) -> AbstractContextManager[Writer]:
        """Write to the index. At the end of the `with` block, the batches that were finished are published.

        Args:
            wait: How long to wait for another writer that is in the way.

        Returns:
            The context, which yields the writer. It raises IndexBusy if another writes for longer than `wait`.
        """

    def size(self) -> int:
        """The size of all that is stored, in bytes."""

    def verify(self) -> VerifyReport:
        """Check the whole index."""
