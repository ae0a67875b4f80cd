"""The events of a response as they come."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from longctx.backends.openai.http import BrokenOff, ErrorReply, Http, loads

if TYPE_CHECKING:
    from longctx.backends.openai.client import Connection


_LONGEST_ANSWER = 6  # an answer may take so many times the longest silence
_ENDING = 30.0  # seconds for what follows a finished answer
_PREFIX = 2048  # characters of a prompt, by which a load balancer chooses the server


class EventStream(Iterator[Any]):
    """The events of a response as they come: server-sent events, JSON lines, or one JSON value.

    A server that sends comments or empty events keeps the connection open, but has said nothing: who reads the events
    says with `spoke` when there was something in them.

    Attributes:
        finished: Whether the server said that this is all.
    """

    def __init__(self, connection: Connection, http: Http, url: str, body: Mapping[str, Any]) -> None:
        self.finished = False
        self._connection, self._http, self._url, self._body = connection, http, url, body
        self._began = self._spoken = 0.0
        self._latest = math.inf
        self._spoke = False  # an event that could be read
        self._events: Iterator[Any] | None = None
        self._open = ExitStack()

    def spoke(self) -> None:
        """Note that the server has said something."""
        self._spoken = time.monotonic()

    def ends(self) -> None:
        """Note that the answer is whole: no more is waited for than what may come with its end."""
        self._latest = time.monotonic() + _ENDING

    def __next__(self) -> Any:
        silence, seconds = self._connection.timeout, _LONGEST_ANSWER * self._connection.timeout
        with self._connection.explained(self._url, seconds, silence):
            if self._events is None:
                self._began = self._spoken = time.monotonic()
                body, headers = {**self._body, "stream": True}, {"X-Prompt-Prefix": _prefix_key(self._body)}
                lines = self._http.lines(self._url, body, self._deadline, headers)
                self._events = self._parsed(self._open.enter_context(lines))
            try:
                event = next(self._events)
            except ValueError as error:
                if not self._spoke:
                    raise
                raise BrokenOff(f"the last of it is no JSON: {error}") from error
            self._spoke = True
            return no_error(event)

    def close(self) -> None:
        """Close the connection."""
        self._open.close()

    def _deadline(self) -> float:
        silence = self._connection.timeout
        return min(self._began + _LONGEST_ANSWER * silence, self._spoken + silence, self._latest)

    def _parsed(self, lines: Iterator[bytes]) -> Iterator[Any]:
        """The events, whatever type the server says that its reply has."""
        data: list[bytes] = []
        of_error = False
        for line in lines:
            field, _, value = line.partition(b":")
            if field in (b"data", b"error"):
                data.append(value.removeprefix(b" "))
                of_error = of_error or field == b"error"
            elif field == b"event":
                of_error = value.strip() == b"error"
            elif not line and data:
                yield from self._event(data, of_error)
                if self.finished:
                    return
                data, of_error = [], False
            elif line[:1] in (b"{", b"["):
                yield from _json_lines(line, lines)
            elif line and field not in (b"", b"id", b"retry"):
                raise ValueError("neither an event nor JSON")
        if data:
            yield from self._event(data, of_error)

    def _event(self, data: list[bytes], of_error: bool) -> Iterator[Any]:
        """The values in the lines of one event: one, or one a line where the server leaves out the empty lines."""
        if of_error:
            raise ErrorReply(0, b"\n".join(data).decode("utf-8", "replace"))
        said = [line for line in map(bytes.strip, data) if line]  # an empty one keeps the connection open
        values = [line for line in said if line != b"[DONE]"]
        self.finished = said[-1:] == [b"[DONE]"]
        try:
            yield from [loads(b"\n".join(values))] if values else []
        except ValueError:
            if len(values) == 1:
                raise
            yield from map(loads, values)


def _json_lines(first: bytes, lines: Iterator[bytes]) -> Iterator[Any]:
    """A JSON value on each line, or one value on several."""
    try:
        yield loads(first)
    except ValueError:
        yield loads(b"\n".join((first, *lines)))


def no_error(event: Any) -> Any:
    """Return an event that is no error. Raises ErrorReply for one, in any of the shapes that servers give it."""
    if not isinstance(event, dict):
        return event
    is_flat = "choices" not in event and (isinstance(event.get("message"), str) or event.get("detail"))
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    in_choice = isinstance(choice, dict) and choice.get("error")
    if event.get("error") or is_flat or "error" in (event.get("object"), event.get("type")) or in_choice:
        raise ErrorReply(0, json.dumps(choice if in_choice else event))
    return event


def _prefix_key(body: Mapping[str, Any]) -> str:
    """A hash of how a prompt begins, by which a load balancer finds the server that has read it already."""
    text = "\0".join(message["content"] for message in body["messages"])[:_PREFIX]
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
