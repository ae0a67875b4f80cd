"""The address of an index in a database: `postgresql://user@host:port/database?schema=name`. No heavy imports.

It is what libpq reads, and `schema`, in which the tables are; so a database may hold several indexes. The password is
never shown. What a process keeps beside an index (conversations, uploads, keys and values of documents) is in a folder
on its own machine.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from indexes.errors import CorpusError

_SCHEMES = ("postgresql://", "postgres://")
_DEFAULT_SCHEMA = "longctx"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_HIDDEN = "…"


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Where an index is in a database.

    Attributes:
        conninfo: What to connect with; it may hold a password.
        schema: The schema that holds the tables.
        shown: The address without the password, for messages.
        folder: The folder on this machine for what is kept beside the index; it need not exist.
        passwords: The password in all its spellings, to be masked.
    """

    conninfo: str
    schema: str
    shown: str
    folder: Path
    passwords: tuple[str, ...] = ()

    @classmethod
    def parse(cls, url: str) -> DatabaseAddress:
        """Parse an address.

        Args:
            url: The address.

        Returns:
            Its parts.

        Raises:
            CorpusError: If it cannot be parsed; what may be a part of a password is not in the message.
        """
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise CorpusError(f"the address of the database cannot be read ({error}): {_FORM}") from error
        if "@" in parts.path or "@" in parts.fragment or parts.fragment:
            raise CorpusError(f"the address of the database has a / ? or # before its @: {_FORM}")
        options = parse_qsl(parts.query, keep_blank_values=True)
        schema = dict(options).get("schema", _DEFAULT_SCHEMA)
        if not _SCHEMA.fullmatch(schema):
            raise CorpusError(f"schema is {schema!r}: name one of up to 63 small letters, digits and _ (?schema=NAME)")
        who, at, host = parts.netloc.rpartition("@")
        user, _, password = who.partition(":")
        given = {password, *(value for name, value in options if name in ("password", "sslpassword"))} - {""}
        plain = [(name, value) for name, value in options if name not in ("password", "sslpassword")]
        connecting = [(name, value) for name, value in options if name != "schema"]
        shown = _joined(
            f"{user}{at}{host}", parts.path, [each for each in plain if each != ("schema", _DEFAULT_SCHEMA)]
        )
        conninfo = _joined(f"{who}{at}{host}", parts.path, connecting)
        spellings = {each for one in given for each in (one, unquote(one), quote(unquote(one), safe=""))}
        folder = _data_folder() / _folder_name(host, parts.path, plain, schema)
        return cls(conninfo, schema, shown, folder, tuple(sorted(spellings, key=len, reverse=True)))

    def masked(self, text: str) -> str:
        """A text on one line, without the password.

        Args:
            text: Anything that a server or a library said.

        Returns:
            The text.
        """
        for password in self.passwords:
            text = text.replace(password, _HIDDEN)
        return " ".join(text.split())


_FORM = (
    "write postgresql://USER@HOST/DATABASE, with %2F for a / in a password, %3F for ? and %23 for # "
    "(or give the password as PGPASSWORD, or in ~/.pgpass)"
)


def is_database(place: object) -> bool:
    """Tell whether an index is in a database.

    Args:
        place: Where it is: a folder, or an address.

    Returns:
        True for the address of one.
    """
    return isinstance(place, str) and place.startswith(_SCHEMES)


def kept_beside(place: str | Path) -> Path:
    """Find the folder on this machine in which things are kept that belong to an index.

    Args:
        place: Where the index is.

    Returns:
        The index's own folder; for one in a database, a folder among the user's data.
    """
    return DatabaseAddress.parse(place).folder if is_database(place) else Path(place)  # type: ignore[arg-type]


def shown(place: str | Path) -> str:
    """Name an index in a message.

    Args:
        place: Where it is.

    Returns:
        The folder or the address, without a password.
    """
    return DatabaseAddress.parse(place).shown if is_database(place) else str(place)  # type: ignore[arg-type]


def _joined(netloc: str, path: str, options: list[tuple[str, str]]) -> str:
    query = urlencode(options, quote_via=quote, safe="/")
    return f"postgresql://{netloc}{path}{'?' if query else ''}{query}"


def _folder_name(host: str, path: str, options: list[tuple[str, str]], schema: str) -> str:
    where = sorted(
        (name, value) for name, value in options if name in ("host", "hostaddr", "port", "dbname", "service")
    )
    digest = hashlib.sha256(repr((host, path, where, schema)).encode()).hexdigest()[:12]
    database = re.sub(r"[^\w.-]+", "-", path.strip("/")) or "database"
    return f"{database[:40]}-{schema[:40]}-{digest}"


def _data_folder() -> Path:
    given = os.environ.get("XDG_DATA_HOME", "")
    base = Path(given) if Path(given).is_absolute() else Path.home() / ".local" / "share"
    return base / "longctx" / "indexes"
