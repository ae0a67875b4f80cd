"""Where a server is, and what the model is called there. Knows strings."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from longctx.errors import BadRequest

PREFIX = "openai:"
_EXAMPLE = "write openai:http://host:8000/v1, with #name after it where the server has several models"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A server's base `url`, without a slash at its end, and the `name` of the model, None for the only one."""

    url: str
    name: str | None = None

    @property
    def root(self) -> str:
        """Where the server itself begins, which has more than OpenAI's protocol."""
        return self.url.removesuffix("/v1")


def is_address(model: object) -> bool:
    """Whether a model's name is the address of a server."""
    return isinstance(model, str) and model.startswith(PREFIX)


def parse_address(text: str) -> ServerAddress:
    """Read `openai:URL#name`. Raises BadRequest for what is none, and for a key in it, which is not repeated."""
    url, _, name = text.removeprefix(PREFIX).partition("#")
    problem = "it begins with no openai:" if not is_address(text) else _problem(url)
    if problem:
        shown = text if "@" not in text and "?" not in text else f"{PREFIX}…"
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
        "it names no host": not _is_host(parts),
        "port 0 is none": port == 0,
    }
    return next((problem for problem, holds in problems.items() if holds), None)


def _is_host(parts: SplitResult) -> bool:
    return bool(parts.hostname) and not any(character.isspace() for character in parts.netloc + parts.path)
