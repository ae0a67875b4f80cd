"""The options of a server. No heavy imports."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from longctx.backends import is_loopback
from longctx.errors import BadRequest
from longctx.types import AskOptions

_DEFAULTS = AskOptions()
_SHORTEST_TOKEN = 16  # characters


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a server listens, whom it answers, and how much it takes.

    Attributes:
        host: The address to listen on.
        port: The port; 0 takes any that is free.
        tokens: Secrets that allow reading and changing.
        read_tokens: Secrets that allow reading and asking only.
        hosts: Further names under which the server is reached, such as that of a proxy.
        parallel: How many answers are generated at the same time.
        waiting: How many questions may wait for their turn; one more is refused with status 429.
        max_files: The most files of one upload.
        max_upload: The largest upload, in bytes.
        max_size: The largest file, in bytes.
        max_seconds: The longest that one file may take to be read.
        connections: How many connections there may be; one more takes the place of one without a request.
        patience: How many seconds the head of a request may take; a body has one more for each 1,000 bytes.
        grace: How many seconds answers have to finish after SIGTERM.
        folder: Where new indexes are made; with None, none are.
        watch: Folders that the first index is kept in step with.
        ask: The options of a question that says nothing else.
        identity: What the model was loaded from and how, for `longctx ask` to compare.

    Raises:
        BadRequest: For an address beyond this machine without a token, and for a token that can be guessed.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    tokens: tuple[str, ...] = ()
    read_tokens: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    parallel: int = 1
    waiting: int = 32
    max_files: int = 100
    max_upload: int = 1_000_000_000
    max_size: int = 100_000_000
    max_seconds: float = 120.0
    connections: int = 500
    patience: float = 30.0
    grace: float = 60.0
    folder: Path | None = None
    watch: tuple[Path, ...] = ()
    ask: AskOptions = _DEFAULTS
    identity: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.tokens and not self.read_tokens and not is_loopback(self.host):
            raise BadRequest(f"host is {self.host!r}, which others can reach: give a token too (LONGCTX_TOKEN)")
        if short := [each for each in (*self.tokens, *self.read_tokens) if len(each) < _SHORTEST_TOKEN]:
            raise BadRequest(
                f"a token has {len(short[0])} characters: give {_SHORTEST_TOKEN} or more, such as those that "
                "`openssl rand -hex 32` prints"
            )
        if odd := [each for each in (*self.tokens, *self.read_tokens) if not each.isascii() or " " in each]:
            raise BadRequest(f"a token of {len(odd[0])} characters has blanks or letters beyond ASCII: leave them out")
