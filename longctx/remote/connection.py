"""Talking to a server: requests, answers as they come, and what goes wrong, said in one line. Knows no prompts."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from longctx.errors import BadRequest, ServerFailed, extra
from longctx.remote.address import ServerAddress
from longctx.remote.refusals import Refused, refusal_in

if TYPE_CHECKING:
    from openai import OpenAI

CONNECT_SECONDS = 10.0
_LONGEST_SHOWN = 300  # characters of what a server said
_NO_KEY = "none"  # a server that asks for none does not look at it, and the client insists on one
_REMEDIES = {
    401: "it wants another key: set LONGCTX_API_KEY (or OPENAI_API_KEY)",
    403: "it does not let this key in: set LONGCTX_API_KEY (or OPENAI_API_KEY)",
    404: "is the address right (most end in /v1), and the model's name after #?",
    429: "it has too much to do: ask again later",
}


class Connection:
    """A server, and the client that talks to it. Threads may share it."""

    def __init__(self, address: ServerAddress, client: OpenAI, timeout: float) -> None:
        self.address = address
        self._client = client
        self._timeout = timeout

    @classmethod
    def open(cls, address: ServerAddress, *, api_key: str | None, timeout: float, retries: int) -> Connection:
        """A client for a server; nothing is asked yet. Raises ServerFailed where the openai package is missing."""
        try:
            from openai import OpenAI, Timeout
        except ImportError as error:
            raise ServerFailed(f"the model at {address.url} needs openai, from {extra('openai')}") from error
        key = (api_key or os.environ.get("LONGCTX_API_KEY") or os.environ.get("OPENAI_API_KEY") or _NO_KEY).strip()
        if not (key.isascii() and key.isprintable()):
            raise BadRequest("the key for the server holds characters that no key has: check LONGCTX_API_KEY")
        limits = Timeout(timeout, connect=min(timeout, CONNECT_SECONDS))
        return cls(address, OpenAI(base_url=address.url, api_key=key, timeout=limits, max_retries=retries), timeout)

    def close(self) -> None:
        """Close what is open to the server."""
        self._client.close()

    def get(self, url: str) -> Any:
        """What is at a URL of the server, from JSON. Raises ServerFailed."""
        with self._explained(url):
            return json.loads(self._client.get(url, cast_to=str))

    def post(self, url: str, body: Mapping[str, Any]) -> Any:
        """What the server answers to some JSON, from JSON. Raises ServerFailed."""
        with self._explained(url):
            return json.loads(self._client.post(url, body=dict(body), cast_to=str))

    def chat(self, body: Mapping[str, Any]) -> Any:
        """A chat completion at once. Raises ServerFailed; and Refused for a prompt that is too long."""
        return self.post(f"{self.address.url}/chat/completions", body)

    @contextmanager
    def chat_stream(self, body: Mapping[str, Any]) -> Generator[Iterator[Any], None, None]:
        """The chunks of a chat completion as they come; leaving it closes the connection. Raises as `chat` does."""
        from openai import Stream

        url = f"{self.address.url}/chat/completions"
        with self._explained(url):
            # as plain JSON: what servers send is looked at here, and they take options that OpenAI has not
            stream = self._client.post(
                url, body={**body, "stream": True}, cast_to=object, stream=True, stream_cls=Stream[object]
            )
        try:
            yield self._chunks(url, stream)
        finally:
            stream.close()

    def _chunks(self, url: str, stream: Iterable[Any]) -> Iterator[Any]:
        with self._explained(url, "broke off in the middle of an answer"):
            yield from stream

    @contextmanager
    def _explained(self, url: str, lost: str = "cannot be reached") -> Generator[None, None, None]:
        """Errors of the client as ours, with the URL and a remedy; `lost` is what a lost connection means."""
        import openai

        try:
            yield
        except openai.APIStatusError as error:
            refusal = refusal_in(error.status_code, error.body, error.message)
            if refusal is not None:
                raise Refused(refusal, f"{url}: {_shown(error)}") from error
            remedy = _REMEDIES.get(error.status_code, "see what the server's log says")
            raise ServerFailed(f"{url} answers {error.status_code} ({_shown(error)}): {remedy}") from error
        except openai.APITimeoutError as error:
            raise ServerFailed(f"{url} was silent for {self._timeout:g} s: is the server busy, or gone?") from error
        except openai.APIConnectionError as error:
            raise ServerFailed(f"{url} {lost} ({_cause(error)}): is the server running, the address right?") from error
        except openai.APIError as error:  # an error in the middle of an answer
            refusal = refusal_in(400, error.body, error.message)
            if refusal is not None:
                raise Refused(refusal, f"{url}: {_shown(error)}") from error
            raise ServerFailed(f"{url} broke off ({_shown(error)}): see what the server's log says") from error
        except ValueError as error:  # no JSON
            raise ServerFailed(
                f"{url} does not speak OpenAI's protocol: is the address right (most end in /v1)?"
            ) from error


def _shown(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _cause(error: BaseException) -> str:
    """The innermost cause that says something."""
    said = str(error)
    while error.__cause__ is not None:
        error = error.__cause__
        said = str(error) or said
    return " ".join(said.split())
