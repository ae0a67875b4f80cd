"""`longctx ask` through a server that runs on the same index: over a socket in the index's folder, same user only.

The client half imports nothing heavy, since it is there to save time.
"""

from __future__ import annotations

import http.client
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from indexes.storage import kept_beside
from longctx.conversation import answer_from
from longctx.errors import LongctxError
from longctx.types import Answer
from longctx.unix_socket import UnixConnection

_NAME = "server.sock"
_LONGEST = 100  # bytes of a socket's path; systems take 104 to 108
_CONNECTING = 2.0  # seconds


def socket_path(index: Path | str) -> Path | None:
    """The socket of a server that serves an index.

    Args:
        index: The index's folder, or its address in a database.

    Returns:
        Its path; None where that is longer than a socket's may be.
    """
    path = _folder(index) / _NAME
    return path if len(str(path).encode()) <= _LONGEST else None


def ask_server(
    index: Path | str, question: str, given: dict[str, Any], identity: dict[str, str | None]
) -> ServerAnswer | None:
    """Ask a server that runs on an index.

    Args:
        index: The index's folder, or its address in a database.
        question: The question.
        given: The options that the user gave, by name as for `AskOptions.updated`; the others are the server's.
        identity: The model and how it is to be loaded, where the user said so; the server must have loaded the same.

    Returns:
        The answer in pieces; None if no server is running there, or it has loaded something else.

    Raises:
        LongctxError: For what the server cannot answer.
    """
    path = socket_path(index)
    filters = given.get("filters")
    if path is None or not _is_own(path) or (filters is not None and filters.source):
        return None  # paths in filters may be relative to this process's folder
    connection = UnixConnection(path, _CONNECTING)
    body = {"index": str(_folder(index)), "question": question, "identity": identity}
    plain = given
    if filters is not None:
        plain = given | {"filters": asdict(filters) | {"metadata": dict(filters.metadata)}}
    try:
        connection.request(
            "POST", "/local/ask", json.dumps(body | {"options": plain}), {"content-type": "application/json"}
        )
        response = connection.getresponse()
    except (OSError, http.client.HTTPException):  # left behind by a server that was killed, or another program's
        connection.close()
        return None
    if response.status == 409:
        connection.close()
        return None
    if response.status != 200:
        raise LongctxError(json.loads(response.read())["error"]["message"])
    return ServerAnswer(connection, response)


def _is_own(path: Path) -> bool:
    """Whether there is a socket of this user's: a folder of somebody else's may hold another, or a link to one."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISSOCK(status.st_mode) and status.st_uid == os.getuid()


def _folder(index: Path | str) -> Path:
    return kept_beside(index).expanduser().absolute()


class ServerAnswer(Iterator[str]):
    """The pieces of an answer that a server generates; `answer` is the whole.

    Attributes:
        model: The name of the server's model; None if it quotes the documents.
    """

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection, self._response = connection, response
        self._answer: Answer | None = None
        self.model: str | None = response.headers.get("x-longctx-model")

    def __next__(self) -> str:
        for line in self._response:
            if not line.strip():  # a sign of life
                continue
            name, value = json.loads(line)
            if name == "piece":
                return str(value)
            if name == "error":
                raise LongctxError(value)
            self._answer = answer_from(value)
        self.close()
        raise StopIteration

    @property
    def answer(self) -> Answer:
        """The finished answer. Raises LongctxError if the server has ended before it was."""
        for _ in self:
            pass
        if self._answer is None:
            raise LongctxError("the server ended before the answer was finished: ask again, or give --no-server")
        return self._answer

    def close(self) -> None:
        """Stop the answer here."""
        self._connection.close()
