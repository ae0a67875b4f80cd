"""PostgreSQL's errors in plain words, each with its remedy, and without the password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from indexes.errors import CorpusError, IndexBusy, IndexDamaged
from indexes.storage.postgres.address import DatabaseAddress

NO_EXTENSION = "have its administrator run CREATE EXTENSION vector there"


class ConnectionLost(CorpusError):
    """The server has ended the connection, or cannot be reached any more."""


@contextmanager
def explained(address: DatabaseAddress) -> Iterator[None]:
    """Translate PostgreSQL's errors to ours.

    Args:
        address: Where the index is.

    Raises:
        IndexDamaged: For what is not as it was written.
        CorpusError: For what PostgreSQL, or the connection to it, says.
    """
    import psycopg

    try:
        yield
    except IndexDamaged as error:
        raise IndexDamaged(f"{address.shown} is damaged: {error}; mend it with `longctx index repair`") from error
    except (psycopg.Error, UnicodeEncodeError) as error:
        found = explanation(error, address)
        raise found from None  # the cause may hold the password


def explanation(error: Exception, address: DatabaseAddress) -> CorpusError:
    """The error to show for one of psycopg's.

    Args:
        error: What psycopg raised.
        address: Where the index is.

    Returns:
        The error, without the password.
    """
    import psycopg

    what, where = address.masked(str(error)) or type(error).__name__, address.shown
    state = getattr(error, "sqlstate", None) or ""
    for prefix, kind, remedy in _REMEDIES:
        if state.startswith(prefix):
            return kind(f"{where}: {what}: {remedy}")
    if isinstance(error, psycopg.OperationalError) and not state:
        for words, remedy in _CONNECTION_REMEDIES.items():
            if words in what:
                return CorpusError(f"{where} cannot be used ({what}): {remedy}")
        return ConnectionLost(f"{where} cannot be reached ({what}): see that the server runs there, and try again")
    if isinstance(error, psycopg.InterfaceError):
        return ConnectionLost(f"{where} has ended the connection ({what}): try again")
    return CorpusError(f"{where}: {what}: nothing was changed")


_REMEDIES: tuple[tuple[str, type[CorpusError], str], ...] = (
    ("53100", CorpusError, "make room on the server's disk; what was in the index is whole"),
    ("53200", CorpusError, "give the server more memory; what was in the index is whole"),
    ("53300", CorpusError, "wait until others have disconnected, or raise the server's max_connections"),
    ("53", CorpusError, "the server is short of something; what was in the index is whole"),
    ("55P03", IndexBusy, "another process writes the same documents: wait until it has finished (--wait waits for it)"),
    ("40", IndexBusy, "another process wrote the same documents at the same time: do it again"),
    ("25006", CorpusError, "the server takes no changes, as a standby does: name the one that does, or only search"),
    ("42501", CorpusError, "have the owner of the database grant it to you"),
    ("54000", CorpusError, "a name is too long for PostgreSQL: shorten it"),
    ("57P", ConnectionLost, "the server was stopped: try again when it runs; what was in the index is whole"),
    ("XX001", IndexDamaged, "restore the database from a backup, or ingest again"),
    ("XX002", IndexDamaged, "have its owner run REINDEX DATABASE"),
    ("58", CorpusError, "the server's disk fails: look into its log"),
    ("XX00", CorpusError, "look into the server's log; what was in the index is whole"),
)
_CONNECTION_REMEDIES = {
    "password": "give the right one, in the address, as PGPASSWORD or in ~/.pgpass",
    "does not exist": "make it on the server, or name another",
    "too many clients": "wait until others have disconnected, or raise the server's max_connections",
    "pg_hba.conf": "have the server's administrator allow it",
    "invalid": "write the address as postgresql://USER@HOST/DATABASE",
}
