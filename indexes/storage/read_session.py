"""Reading an index at one generation, while a writer may publish the next and files may be damaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from indexes.errors import CorpusError
from indexes.storage.derived_files import FILE_ERRORS, Searchers
from indexes.storage.sqlite import Database, ReadTransaction, Store, Superseded

if TYPE_CHECKING:
    from indexes.storage.index_folder import IndexFolder

ATTEMPTS = 50  # to read what a writer keeps replacing

T = TypeVar("T")


class ReadSession:
    """Read access to an index in one transaction.

    As long as nothing has been read, the session moves to the newest generation if it has to: when a writer has
    replaced files before they were opened, or a damaged file was made again. Once something has been read, it stays at
    its generation, or raises CorpusError.
    """

    def __init__(self, folder: IndexFolder, database: Database) -> None:
        self._folder, self._database = folder, database
        self._transaction: ReadTransaction | None = database.begin()
        self._searchers: Searchers | None = None
        self._has_read = self._opens_all = False

    def close(self) -> None:
        """End the transaction; a second call does nothing."""
        if self._transaction is not None:
            self._transaction.end()
        self._transaction = self._searchers = None

    def open_searchers(self) -> None:
        """Check and open the derived files now, so that they can be searched after a writer has deleted them."""
        self._opens_all = True
        self._attempt(self._checked, mends=True)

    def read(self, read: Callable[[Store], T]) -> T:
        """Read from the store.

        Args:
            read: Reads from the store. It is called again if files were replaced before anything had been read.

        Returns:
            What `read` returns.

        Raises:
            CorpusError: If the session has ended, or files were replaced or damaged after something had been read.
        """
        result = self._attempt(read, mends=False)
        self._has_read = True
        return result

    def search(self, search: Callable[[Searchers], T]) -> T:
        """Search. Derived files that are damaged are made again first.

        Args:
            search: Searches. It is called again if files were replaced before anything had been read.

        Returns:
            What `search` returns.

        Raises:
            CorpusError: If the session has ended, or files were replaced or damaged after something had been read.
        """

        def confirmed(store: Store) -> T:
            searchers = self._checked(store)
            found = search(searchers)
            searchers.confirm()
            return found

        result = self._attempt(confirmed, mends=True)
        self._has_read = True
        return result

    def _checked(self, store: Store) -> Searchers:
        if self._searchers is None:
            searchers = self._folder.derived.searchers(store)
            if self._opens_all:
                searchers.open()
            self._searchers = searchers
        else:
            self._searchers.check()
        return self._searchers

    def _attempt(self, action: Callable[[Store], T], *, mends: bool) -> T:
        if self._transaction is None:
            raise CorpusError(f"this snapshot of {self._folder.path} has ended: read it inside its `with` block")
        mended = -1
        for _ in range(ATTEMPTS):
            generation = -1
            try:
                with self._transaction.reading() as store:
                    generation = store.generation()
                    return action(store)
            except Superseded as error:
                cause: Exception = error
            except FILE_ERRORS as error:
                if not mends or not self._folder.has_lost(generation):
                    raise
                cause = error
            if self._has_read:
                raise CorpusError(
                    f"files of {self._folder.path} were replaced or damaged while they were read: try again"
                ) from cause
            self._renew()
            if mends and self._folder.read(Store.generation) == generation:
                if mended == generation:
                    break
                self._folder.mend()
                mended = self._folder.read(Store.generation)
                self._renew()
        raise CorpusError(f"{self._folder.path} changed while it was read, {ATTEMPTS} times over: try again")

    def _renew(self) -> None:
        self.close()
        self._transaction = self._database.begin()
