"""The HTTP client of an OpenAI-compatible server, and the addresses that name one.

Servers differ from OpenAI in what they send and in how they fail. So responses are taken as plain JSON and checked by
who reads them, and every error of the client becomes one of ours, with the URL and a remedy.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from longctx.backends.openai.context_errors import Refused, refusal_in
from longctx.errors import BadRequest, ServerFailed, extra
from longctx.models import SERVER_PREFIX, is_address

if TYPE_CHECKING:
    from openai import OpenAI

CONNECT_SECONDS = 10.0
_LONGEST_SHOWN = 300  # characters of a server's message
_NO_KEY = "none"  # a server that asks for none does not look at it, and the client insists on one
_REMEDIES = {
    401: "it wants another key: set LONGCTX_API_KEY (or OPENAI_API_KEY)",
    403: "it does not let this key in: set LONGCTX_API_KEY (or OPENAI_API_KEY)",
    404: "is the address right (most end in /v1), and the model's name after #?",
    429: "it has too much to do: ask again later",
}
_LOOK_INTO_LOG = "see what the server's log says"
_EXAMPLE = "write openai:http://host:8000/v1, with #name after it where the server has several models"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a model is served.

    Attributes:
        url: The server's base URL, without a slash at its end.
        name: The model's name there; None for the only one.
    """

    url: str
    name: str | None = None

    @property
    def is_private(self) -> bool:
        """Whether nobody between here and the server can read what is sent: by https, or on this machine."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        with suppress(ValueError):
            return parts.scheme == "https" or ip_address(host).is_loopback
        return host == "localhost"

    @property
    def root(self) -> str:
        """The server's own root, for what is not part of OpenAI's protocol."""
        return self.url.removesuffix("/v1")


def parse_address(text: str) -> ServerAddress:
    """Parse `openai:URL#name`.

    Args:
        text: The address.

    Returns:
        The server's URL, and the model's name if there is one.

    Raises:
        BadRequest: For what is no address, and for one with a key in it, which is not repeated in the message.
    """
    url, _, name = text.removeprefix(SERVER_PREFIX).partition("#")
    problem = "it begins with no openai:" if not is_address(text) else _problem(url)
    if problem:
        shown = text if "@" not in text and "?" not in text else f"{SERVER_PREFIX}…"
        raise BadRequest(f"{shown!r} is no address of a server: {problem}; {_EXAMPLE}")
    return ServerAddress(url.rstrip("/"), name.strip() or None)


def _problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return str(error).lower()
    problems = {
        "it must be http:// or https://": parts.scheme not in ("http", "https"),
        "it holds a name or key, which is set as LONGCTX_API_KEY instead": parts.username is not None,
        "it must have no question mark (a key is set as LONGCTX_API_KEY)": bool(parts.query) or url.endswith("?"),
        "it names no host": not parts.hostname or any(map(str.isspace, parts.netloc + parts.path)),
        "port 0 is none": port == 0,
    }
    return next((problem for problem, holds in problems.items() if holds), None)


class Connection:
    """An HTTP client for one server. Threads may share it."""

    def __init__(self, address: ServerAddress, client: OpenAI, timeout: float) -> None:
        self.address = address
        self._client = client
        self._timeout = timeout

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
            ServerFailed: If the openai package is missing.
            BadRequest: For a key that cannot go into a header.
        """
        try:
            from openai import OpenAI, Timeout
        except ImportError as error:
            raise ServerFailed(f"the model at {address.url} needs openai, from {extra('openai')}") from error
        key = (api_key or os.environ.get("LONGCTX_API_KEY") or os.environ.get("OPENAI_API_KEY") or _NO_KEY).strip()
        if not (key.isascii() and key.isprintable()):
            raise BadRequest("the key for the server holds characters that no key has: check LONGCTX_API_KEY")
        if not (address.is_private or allow_insecure):
            key = _NO_KEY
        limits = Timeout(timeout, connect=min(timeout, CONNECT_SECONDS))
        return cls(address, OpenAI(base_url=address.url, api_key=key, timeout=limits, max_retries=retries), timeout)

    def close(self) -> None:
        """Close the connections to the server."""
        self._client.close()

    def get(self, url: str) -> Any:
        """GET a URL, and parse the response as JSON. Raises ServerFailed."""
        with self._explained(url):
            return json.loads(self._client.get(url, cast_to=str))

    def post(self, url: str, body: Mapping[str, Any]) -> Any:
        """POST JSON to a URL, and parse the response as JSON. Raises ServerFailed."""
        with self._explained(url):
            return json.loads(self._client.post(url, body=dict(body), cast_to=str))

    def chat(self, body: Mapping[str, Any]) -> Any:
        """Request a chat completion in one piece. Raises ServerFailed; and Refused for a prompt that is too long."""
        return self.post(f"{self.address.url}/chat/completions", body)

    def chat_stream(self, body: Mapping[str, Any]) -> Generator[Any, None, None]:
        """Request a chat completion in chunks. Raises as `chat` does.

        Args:
            body: The request.

        Yields:
            The chunks as they come. Closing the generator closes the connection, and the server stops.
        """
        from openai import Stream

        url = f"{self.address.url}/chat/completions"
        with self._explained(url):
            # not by `chat.completions.create`: servers take options, and send chunks, that OpenAI's own types have not
            stream = self._client.post(
                url, body={**body, "stream": True}, cast_to=object, stream=True, stream_cls=Stream[object]
            )
        try:
            with self._explained(url, "broke off in the middle of an answer"):
                yield from stream
        finally:
            stream.close()

    @contextmanager
    def _explained(self, url: str, lost: str = "cannot be reached") -> Generator[None, None, None]:
        """Turn the client's errors into ours; `lost` is what a lost connection means."""
        import openai

        try:
            yield
        except openai.APITimeoutError as error:
            raise ServerFailed(f"{url} was silent for {self._timeout:g} s: is the server busy, or gone?") from error
        except openai.APIConnectionError as error:
            raise ServerFailed(f"{url} {lost} ({_cause(error)}): is the server running, the address right?") from error
        except openai.APIError as error:
            status: int = getattr(error, "status_code", 0)  # an error in the middle of an answer has none
            refusal = refusal_in(status or 400, error.body, error.message)
            if refusal is not None:
                raise Refused(refusal, f"{url}: {_shown(error)}") from error
            failed, remedy = f"answers {status}" if status else "broke off", _REMEDIES.get(status, _LOOK_INTO_LOG)
            if status in (401, 403) and not self.address.is_private and self._client.api_key == _NO_KEY:
                remedy += "; by http it gets a key only with --allow-insecure, since anybody on the way can read it"
            raise ServerFailed(f"{url} {failed} ({_shown(error)}): {remedy}") from error
        except ValueError as error:  # no JSON
            raise ServerFailed(
                f"{url} does not speak OpenAI's protocol: is the address right (most end in /v1)?"
            ) from error


def _shown(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _cause(error: BaseException) -> str:
    """The message of the innermost cause that has one."""
    said = str(error)
    while error.__cause__ is not None:
        error = error.__cause__
        said = str(error) or said
    return " ".join(said.split())
