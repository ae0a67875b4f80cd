"""The session file: an SQLite database, in which a turn is one row, written in one transaction.

The header of the file states the application and the version. A file of another version, a damaged one, and one that is
something else are refused, and left as they are.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sqlite3
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from indexes.storage import DISK_FAILS, checksum, odd_file_beside, read_failure, second_look
from longctx.atomic_write import write_atomically
from longctx.bounded_file import check_kind
from longctx.errors import BadRequest, BadSession, LongctxError
from longctx.reasons import Reason
from longctx.types import Answer, Message, Turn

SUFFIX = ".session"
VERSION = 1

_APPLICATION = 0x6C637478  # "lctx"
_LOCK_TIMEOUT = 60.0  # seconds, for what another process writes in milliseconds
_NAME = re.compile(r"\w(?:[\w .-]{0,62}[\w-])?")
_LONGEST_NAME = 200  # bytes: file systems take 255
_SCHEMA = f"""
CREATE TABLE turns (
    number INTEGER PRIMARY KEY, question TEXT NOT NULL, answer TEXT NOT NULL, details TEXT NOT NULL,
    asked_at TEXT NOT NULL, checksum INTEGER NOT NULL
) STRICT;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {VERSION};
"""
_PLAN_NAMES = {"places": "chunk_ids", "shares": "budget", "shown": "measured", "otherwise": "fallback"}  # since 0.1
_COLUMNS = "number, question, answer, details, asked_at"


def session_path(folder: Path, name: str) -> Path:
    """Return the path of a session file.

    Args:
        folder: The folder of conversations.
        name: The conversation's name.

    Returns:
        A path in the folder, with the name in Unicode normal form C.

    Raises:
        BadRequest: For a name that cannot be a file's.
    """
    plain = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(plain) or len(plain.encode()) > _LONGEST_NAME:
        raise BadRequest(
            f"{name!r} cannot name a conversation: use up to 64 letters, digits, spaces, '-', '_' and '.', and begin "
            "with a letter or a digit"
        )
    return folder / f"{plain}{SUFFIX}"


class SessionFile:
    """The turns of one conversation. Threads and processes may share the file, and see each other's turns."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self._db = database
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> SessionFile:
        """Open a session file, or create it.

        Args:
            path: The file.

        Returns:
            The open file; close it.

        Raises:
            BadSession: For a file that is damaged, of another version, or something else.
            LongctxError: For a file that cannot be read or written.
        """
        with _explained(path):
            if not path.exists():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_atomically(path, _create, overwrite=False, private=True)
            check_kind(path)
            if (odd := odd_file_beside(path)) is not None:
                raise BadSession(odd)
            database = _connect(path)
            try:
                _check_header(path, database)
                _check_tables(path, database)
            except BaseException:
                database.close()
                raise
        return cls(path, database)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._lock:
            self._db.close()

    def history(self) -> tuple[Message, ...]:
        """Each question and its answer, oldest first."""
        rows = self._rows("ORDER BY number")
        return tuple(m for row in rows for m in (Message("user", row[1]), Message("assistant", row[2])))

    def turns(self) -> tuple[Turn, ...]:
        """Every turn, oldest first."""
        return tuple(self._turn(row) for row in self._rows("ORDER BY number"))

    def last(self) -> Turn | None:
        """The last turn, if there is one."""
        return next((self._turn(row) for row in self._rows("ORDER BY number DESC LIMIT 1")), None)

    def add(self, question: str, answer: Answer) -> int:
        """Add a turn in one transaction.

        Args:
            question: The question.
            answer: Its finished answer.

        Returns:
            The turn's number.
        """
        details = _answers().dump_json(_shortened(answer)).decode()
        asked_at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self._writing():
            [number] = self._db.execute("SELECT coalesce(max(number), 0) + 1 FROM turns").fetchone()
            row = (number, question, answer.text, details, asked_at)
            self._db.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?)", (*row, checksum(row)))
        return int(number)

    def clear(self) -> int:
        """Delete every turn and return how many there were."""
        with self._writing():
            return self._db.execute("DELETE FROM turns").rowcount

    def _rows(self, which: str) -> list[Any]:
        with self._lock, _explained(self.path):
            rows = self._db.execute(f"SELECT {_COLUMNS}, checksum FROM turns {which}").fetchall()  # noqa: S608
        for *row, expected in rows:
            if checksum(row) != expected:
                raise BadSession(f"turn {row[0]} in {self.path} is not what it was: {_REMEDY}")
        return rows

    def _turn(self, row: Any) -> Turn:
        number, question, text, details, asked_at, _ = row
        try:
            answer = answer_from(json.loads(details))
        except (ValidationError, ValueError, TypeError, KeyError) as error:
            raise BadSession(f"turn {number} in {self.path} cannot be read: {_REMEDY}") from error
        return Turn(number, question, replace(answer, text=text), asked_at)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One write transaction, which is rolled back after an error."""
        with self._lock, _explained(self.path), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield


_REMEDY = "put a copy of the file back, or move it away to begin anew"


@cache
def _answers() -> TypeAdapter[Answer]:
    return TypeAdapter(Answer)


def answer_from(data: dict[str, Any]) -> Answer:
    """An answer from its JSON, also as another longctx wrote it.

    Args:
        data: The fields of an `Answer`. In 0.1, fields of its plan had other names. A plan without reasons, as before
            0.2, or with reasons of a later kind, has its `reason` as a text.

    Returns:
        The answer.

    Raises:
        ValueError: For anything else; also KeyError and TypeError.
    """
    plan = data["plan"]
    if plan is not None and "places" in plan:
        data = {**data, "search_query": plan["searched"], "plan": None if plan["window"] is None else _renamed(plan)}
    try:
        return _answers().validate_python(data)
    except (ValidationError, LookupError):
        return _answers().validate_python(data | {"plan": data["plan"] and _told(data["plan"])})


def _renamed(plan: dict[str, Any]) -> dict[str, Any]:
    renamed = {_PLAN_NAMES.get(name, name): value for name, value in plan.items() if name != "searched"}
    return renamed | {"fallback": plan["otherwise"] and _renamed(plan["otherwise"])}


def _told(plan: dict[str, Any]) -> dict[str, Any]:
    reasons, fallback = (Reason("told", (plan["reason"],)),), plan.get("fallback")
    return plan | {"reasons": reasons, "fallback": fallback and _told(fallback)}


def _shortened(answer: Answer) -> Answer:
    """An answer without its text, which has a column of its own, and without that of passages it does not cite."""
    passages = () if answer.citations else tuple(replace(passage, text="") for passage in answer.passages)
    return replace(answer, text="", passages=passages)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_LOCK_TIMEOUT)


def _create(path: Path) -> None:
    with closing(_connect(path)) as database:
        database.executescript(_SCHEMA)


def _check_header(path: Path, database: sqlite3.Connection) -> None:
    """Check that a file is a conversation of this version. Raises BadSession."""
    # SQLite reads it: closing a file of one's own would give up the locks that this process holds on it (POSIX), and
    # another process could write in the middle of a turn.
    try:
        [application] = database.execute("PRAGMA application_id").fetchone()
        [version] = database.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        if "not a database" not in str(error):
            raise
        application = None
    if application is None or not path.stat().st_size:
        raise BadSession(f"{path} is damaged, or is no conversation of longctx's: {_REMEDY}")
    if application != _APPLICATION:
        raise BadSession(f"{path} is a database, but no conversation of longctx's: move it away, or use another name")
    if version != VERSION:
        raise BadSession(
            f"{path} has version {version} and this longctx knows version {VERSION}: "
            f"{'upgrade longctx, or use' if version > VERSION else 'use'} another name"
        )


def _check_tables(path: Path, database: sqlite3.Connection) -> None:
    """Check that a database is whole. Raises BadSession."""
    problems = [problem for (problem,) in database.execute("PRAGMA quick_check")]
    # a view of that name could have rows without an end, and a trigger could change what is said
    held = database.execute("SELECT type, name FROM sqlite_master").fetchall()
    if problems != ["ok"] or held != [("table", "turns")]:
        raise BadSession(f"{path} is damaged, or holds what is not longctx's: {_REMEDY}")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Raise the errors of SQLite and of the system as ours; by their messages, as Python 3.10 gives no codes."""
    try:
        yield
    except sqlite3.ProgrammingError as error:
        raise BadRequest(f"the conversation {path.stem!r} has been closed: open it again") from error
    except sqlite3.OperationalError as error:
        hints = {
            "locked": "another process has held it for a minute: try again",
            "full": "make room on its disk",
            "disk I/O": f"{DISK_FAILS}, or make room",
        }
        if "readonly" in str(error) and os.access(path, os.W_OK):  # as SQLite says of a file that was moved
            raise LongctxError(f"{path} has been moved or replaced since it was opened: open it again") from error
        hint = next(
            (hint for word, hint in hints.items() if word in str(error)), "make its folder readable and writable"
        )
        raise LongctxError(f"{path} could not be used ({error}): {hint}") from error
    except sqlite3.Error as error:
        if (failure := read_failure(path)) is not None:
            raise LongctxError(f"{path} cannot be read ({failure}): {DISK_FAILS}") from error
        if (said := second_look(path, error)) is not None:
            raise LongctxError(f"{path} {said}") from error
        raise BadSession(f"{path} is damaged ({error}): {_REMEDY}") from error
    except OSError as error:
        remedy = DISK_FAILS if error.errno == errno.EIO else "name another folder (--sessions)"
        raise LongctxError(f"{path} cannot be used ({error.strerror}): {remedy}") from error
