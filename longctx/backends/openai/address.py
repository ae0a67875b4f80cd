"""The addresses that name a model on a server: `openai:URL#name`, a bare URL, `ollama:NAME` and `lmstudio:NAME`."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from longctx.errors import BadRequest
from longctx.models import SERVER_PREFIX, is_address, remedy_for

ServerKind = Literal["openai", "ollama", "lmstudio"]

_KINDS: dict[str, ServerKind] = {"ollama": "ollama", "lmstudio": "lmstudio", "lm-studio": "lmstudio"}
_OLLAMA_PORT = 11434
_LM_STUDIO = "http://127.0.0.1:1234"
_HUBS = ("huggingface.co", "www.huggingface.co", "hf.co", "ollama.com", "www.ollama.com", "registry.ollama.ai")
_ENDPOINT = re.compile(r"/+(?:(?:chat/)?completions|models|embeddings)/*$")  # below the base URL
_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 (what a server listens on, which is no address to connect to)
_EXAMPLE = "write openai:http://host:8000/v1, with #name after it where the server has several models"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a model is served.

    Attributes:
        url: The base URL of the server's OpenAI protocol, without a slash at its end.
        name: The model's name there; None for the only one.
        kind: Whose server it is, where the address says so.
    """

    url: str
    name: str | None = None
    kind: ServerKind = "openai"

    @property
    def is_private(self) -> bool:
        """Whether nobody between here and the server can read what is sent: by https, or on this machine."""
        return self.is_loopback or urlsplit(self.url).scheme == "https"

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine."""
        return is_loopback(urlsplit(self.url).hostname or "")

    @property
    def root(self) -> str:
        """The server's own root, for what is not part of OpenAI's protocol."""
        return self.url.removesuffix("/v1")

    def named(self, name: str) -> str:
        """The address of a model on this server, as a user writes it."""
        return f"{SERVER_PREFIX}{self.url}#{name}" if self.kind == "openai" else f"{self.kind}:{name}"


def is_loopback(host: str) -> bool:
    """Tell whether an address is that of this machine only.

    Args:
        host: A name or an IP address.

    Returns:
        True for localhost and the loopback addresses.
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def parse_address(text: str) -> ServerAddress:
    """Parse the address of a model on a server.

    Args:
        text: `openai:URL#name`, a bare URL, `ollama:NAME`, `lmstudio:NAME`, or the last two with `URL#name`.

    Returns:
        The server's URL, and the model's name if there is one.

    Raises:
        BadRequest: For what is no address, and for one with a key in it, which is not repeated in the message.
    """
    text = text.strip()
    prefix, _, rest = text.partition(":")
    kind = _KINDS.get(prefix.lower(), "openai")
    if kind == "openai":
        bare = prefix.lower() in ("http", "https")
        url, _, name = (text if bare else rest).partition("#")
    elif rest.lower().startswith(("http://", "https://")):
        url, _, name = rest.partition("#")
        url = f"{url.rstrip('/').removesuffix('/v1')}/v1"
    else:
        url, name = (f"{_ollama()}/v1" if kind == "ollama" else f"{_LM_STUDIO}/v1"), rest.lstrip("/")
    _refuse_page(url, text)
    problem = _problem(url) if is_address(text) else "it begins with no openai:"
    if problem:
        shown = text if "@" not in text and "?" not in text else f"{text.partition(':')[0]}:…"
        meant = remedy_for(text.removeprefix(SERVER_PREFIX)) if kind == "openai" and "://" not in text else None
        raise BadRequest(f"{shown!r} is no address of a server: {problem}; {meant or _EXAMPLE}")
    return ServerAddress(_ENDPOINT.sub("", url).rstrip("/"), name.strip() or None, kind)


def _refuse_page(url: str, text: str) -> None:
    """Raise BadRequest for the address of a page that shows a model."""
    with suppress(ValueError):
        if (urlsplit(url).hostname or "").lower() in _HUBS:
            remedy = remedy_for(text.removeprefix(SERVER_PREFIX)) or "give the name owner/model"
            raise BadRequest(f"{url.partition('?')[0]} is a page of the hub, not a server: {remedy}")


def _ollama() -> str:
    """The URL of Ollama, by the rules of its own client for OLLAMA_HOST."""
    given = os.environ.get("OLLAMA_HOST", "").strip().strip("'\"")
    scheme, separator, rest = given.rpartition("://")
    default = _OLLAMA_PORT if not separator else 443 if scheme == "https" else 80
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "127.0.0.1", default if parts.port is None else parts.port
    except ValueError as error:
        raise BadRequest(f"OLLAMA_HOST is {given!r}: {error}; write it like 127.0.0.1:11434") from error
    if parts.username is not None:
        raise BadRequest("OLLAMA_HOST holds a name or key: set LONGCTX_API_KEY instead")
    host = "127.0.0.1" if host in _ANY_ADDRESS else f"[{host}]" if ":" in host else host
    return f"{scheme or 'http'}://{host}:{port}{parts.path.rstrip('/')}"


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
        "it is a GGUF file, which has to be downloaded first": parts.path.lower().endswith(".gguf"),
    }
    return next((problem for problem, holds in problems.items() if holds), None)
