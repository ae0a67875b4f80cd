"""Requests to a model's server, and what it answers: JSON, streams of events, and errors in our words.

Servers differ from OpenAI in what they send and in how they fail. So responses are taken as plain JSON and checked by
who reads them, and every error becomes one of ours, with the URL and a remedy, and without the key.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from longctx.backends.openai.address import ServerAddress
from longctx.backends.openai.context_errors import Interrupted, Refused, Rejected, refusal_in
from longctx.backends.openai.events import EventStream, no_error
from longctx.backends.openai.http import BrokenOff, ErrorReply, Failed, Http, TimedOut, Unreachable, loads
from longctx.backends.openai.key_mask import KeyMask
from longctx.errors import BadRequest, ServerFailed
from longctx.types import is_count

_LOOK_UP_SECONDS = 30.0  # for a GET: a list of models, a version
_LONGEST_TIMEOUT = 1_000_000  # seconds: more than a week, and less than what a socket takes
_LONGEST_SHOWN = 300  # characters of a server's message
_LONGEST_READ = 50_000  # characters of one that are looked through for the key
_KEY_NAMES = {
    "openai": ("LONGCTX_API_KEY", "OPENAI_API_KEY"),
    "ollama": ("LONGCTX_API_KEY", "OLLAMA_API_KEY"),
    "lmstudio": ("LONGCTX_API_KEY", "LM_API_TOKEN"),
}
_REMEDIES = {
    401: "it wants another key: set {key} (or {other})",
    403: "it does not let this key in: set {key} (or {other})",
    404: "is the address right (most end in /v1), and the model's name after #?",
    429: "it has too much to do: ask again later",
}
# where an error has its message, the plainer name first: "error" may be no more than "Bad Request"
_MESSAGES = (
    "message",
    "msg",
    "detail",
    "error_message",
    "error_description",
    "description",
    "reason",
    "error",
    "errors",
)
_LONGEST_PAGE = 8192  # characters that are read: a tag that is never closed is looked for to the end
_PAGE, _TAGS = re.compile(r"(?i)\s*<(?:!doctype|html)\b"), re.compile(r"(?is)<(style|script)\b.*?</\1>|<[^>]*>")
_LOOK_INTO_LOG = "see what the server's log says"
_RUNNING = {
    "openai": "is the server running, the address right?",
    "ollama": "start it with `ollama serve`, or set OLLAMA_HOST to where it runs",
    "lmstudio": "start its server with `lms server start`",
}


class Connection:
    """A connection to one server. Threads may share it.

    Attributes:
        address: The server.
        timeout: Seconds for which it may be silent.
        retries: How often a request is repeated after a lost connection or an error of the server's (429, 5xx).
        sends_key: Whether requests carry a key.
    """

    def __init__(self, address: ServerAddress, key: str | None, timeout: float, retries: int) -> None:
        self.address = address
        self.timeout = timeout
        self.retries = retries
        self._http = Http(key, timeout, retries, direct=address.is_loopback)
        self.sends_key = key is not None
        self._mask = KeyMask(key)

    @classmethod
    def open(
        cls,
        address: ServerAddress,
        *,
        api_key: str | None,
        timeout: float,
        retries: int,
        allow_insecure: bool = False,
    ) -> Connection:
        """Make a client; nothing is requested yet.

        Args:
            address: The server.
            api_key: Its key; None is that of the environment.
            timeout: Seconds for which the server may be silent.
            retries: How often a request is repeated after a lost connection or an error of the server's (429, 5xx).
            allow_insecure: Whether the key is sent without encryption, too.

        Returns:
            The connection, which has to be closed.

        Raises:
            BadRequest: For a key that cannot go into a header, and for numbers that make no sense.
        """
        if not (isinstance(timeout, int | float) and 0 < timeout <= _LONGEST_TIMEOUT):
            raise BadRequest(f"timeout is {timeout!r}: give seconds above 0, at most {_LONGEST_TIMEOUT:,}")
        if not is_count(retries):
            raise BadRequest(f"retries is {retries!r}: give a whole number, 0 or more")
        if not isinstance(api_key, str | None):
            raise BadRequest(f"api_key is of type {type(api_key).__name__}: give a string")
        given = [api_key, *(os.environ.get(name) for name in _KEY_NAMES[address.kind])]
        key = next((key.strip() for key in given if key and key.strip()), None)
        if key is not None and not (key.isascii() and key.isprintable()):
            raise BadRequest("the key for the server holds characters that no key has: check LONGCTX_API_KEY")
        if not (address.is_private or allow_insecure):
            key = None
        return cls(address, key, timeout, retries)

    def close(self) -> None:
        """Close the connections to the server."""
        self._http.close()

    def get(self, url: str) -> Any:
        """GET a URL, and parse the response as JSON. Raises ServerFailed."""
        seconds = min(self.timeout, _LOOK_UP_SECONDS)
        with self.explained(url, seconds):
            return loads(self._http.read("GET", url, None, seconds))

    def post(self, url: str, body: Mapping[str, Any]) -> Any:
        """POST JSON to a URL, and parse the response as JSON. Raises ServerFailed."""
        with self.explained(url, self.timeout):
            return no_error(loads(self._http.read("POST", url, body, self.timeout)))

    def chat(self, body: Mapping[str, Any]) -> Any:
        """Request a chat completion in one piece. Raises ServerFailed; and Refused for a prompt that is too long."""
        return self.post(f"{self.address.url}/chat/completions", body)

    def stream(self, url: str, body: Mapping[str, Any]) -> EventStream:
        """POST JSON to a URL, and read the response as it comes; the request is made when the first event is taken.

        Args:
            url: The URL.
            body: The request.

        Returns:
            The events, parsed. Taking one raises as `chat` does. Closing the stream closes the connection, and the
            server stops.
        """
        return EventStream(self, self._http, url, body)

    def masked(self, text: str) -> str:
        """A text of the server's without the key, in one line."""
        text = readable(" ".join(self._mask.masked(text[:_LONGEST_READ]).split()))
        return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"

    @contextmanager
    def explained(self, url: str, seconds: float, silence: float | None = None) -> Iterator[None]:
        """Turn what goes wrong with a request into ServerFailed or Refused.

        Where the cause has words of the server's, it is not kept: a traceback would show the key that they may hold.

        Args:
            url: What was requested.
            seconds: How long it may take.
            silence: How long the server may be silent; None is the same.

        Raises:
            Interrupted: If the connection is lost in the middle of an answer.
            ServerFailed: For everything else.
        """
        began = time.monotonic()
        try:
            yield
        except TimedOut as error:
            late = silence is None or time.monotonic() - began >= seconds
            took = f"was not done after {seconds:g} s" if late else f"was silent for {silence:g} s"
            raise ServerFailed(f"{url} {took}: is the server busy, or gone?") from error
        except Unreachable as error:
            running = _RUNNING[self.address.kind]
            raise ServerFailed(f"{url} cannot be reached ({self.masked(str(error))}): {running}") from None
        except BrokenOff as error:
            lost = f"broke off in the middle of an answer ({self.masked(str(error))})"
            raise Interrupted(f"{url} {lost}: {_RUNNING[self.address.kind]}") from None
        except ErrorReply as error:
            raise self._failure(url, error.status, error.text) from None
        except Failed as error:
            raise ServerFailed(f"{url} {self.masked(str(error))}") from None
        except ValueError as error:  # no JSON
            raise ServerFailed(
                f"{url} does not speak OpenAI's protocol: is the address right (most end in /v1)?"
            ) from error

    def _failure(self, url: str, status: int, text: str) -> ServerFailed:
        """The error for a response of the server's."""
        try:
            body = loads(text)
        except ValueError:
            body = text
        message = said_in(body) or f"nothing else, with status {status}"
        refusal = refusal_in(status or 400, body, message)
        if refusal is not None:
            return Refused(refusal, f"{url}: {self.masked(message)}")
        key, other = _KEY_NAMES[self.address.kind]
        remedy = _REMEDIES.get(status, _LOOK_INTO_LOG).format(key=key, other=other)
        if status in (401, 403) and not self.sends_key and not self.address.is_private:
            remedy += "; by http it gets a key only with --allow-insecure, since anybody on the way can read it"
        failed = f"answers {status}" if status else "broke off"
        return Rejected(f"{url} {failed} ({self.masked(message)}): {remedy}", status, self.masked(message))


def said_in(body: Any) -> str:
    """The message in an error of a server, wherever that puts it.

    Args:
        body: The response, parsed if it is JSON.

    Returns:
        The message; JSON where none is found, and empty for an empty response.
    """
    for _ in range(8):  # {"error": {"message": …}}, {"detail": [{"msg": …}]}, {"error": "…"}
        if isinstance(body, list) and body:
            body = body[0]
        elif isinstance(body, dict):
            found = [body[name] for name in _MESSAGES if isinstance(body.get(name), str | list | dict) and body[name]]
            inner = next((value for value in found if not isinstance(value, str)), found[0] if found else None)
            if inner is None:
                break
            body = inner
        else:
            break
    if isinstance(body, str):  # or a page of a proxy
        return " ".join(_TAGS.sub(" ", body[:_LONGEST_PAGE]).split()) if _PAGE.match(body) else body
    return json.dumps(body) if body else ""


def readable(text: str) -> str:
    """A text with U+FFFD in place of lone surrogates, which JSON can hold and no file or terminal."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
