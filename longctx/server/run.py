"""Running a server: its sockets, its log, and a graceful shutdown."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn

from longctx.errors import BadRequest
from longctx.server.app import create_app
from longctx.server.connections import BACKLOG, BoundedConnection
from longctx.server.library import Library, Model, make_missing
from longctx.server.local_socket import socket_path
from longctx.server.metrics import JsonLines
from longctx.server.options import ServerOptions

_LAST_WORDS = 5  # seconds in which clients are told that their answers are broken off
_LOG = logging.getLogger("longctx.server")


def serve(paths: Sequence[Path | str], model: Model, options: ServerOptions, log_level: str = "info") -> None:
    """Serve indexes until SIGTERM or Ctrl-C, and finish the answers that have begun.

    Args:
        paths: The folders of the indexes, or their addresses in databases; those that do not exist are made.
        model: What answers.
        options: How to listen, whom to answer, and how much to take.
        log_level: The least severe level that is logged, such as "info".

    Raises:
        BadRequest: If the address cannot be listened on.
    """
    _set_up_log(log_level)
    Server(paths, model, options).run()


class Server:
    """A server that listens from the moment it is made, and answers from `run` on.

    Args:
        paths: The folders of the indexes, or their addresses in databases; those that do not exist are made.
        model: What answers.
        options: How to listen, whom to answer, and how much to take. Raises BadRequest if the address cannot be
            listened on.

    Attributes:
        address: Where it listens, such as "http://127.0.0.1:8080".
        library: What it serves.
    """

    def __init__(self, paths: Sequence[Path | str], model: Model, options: ServerOptions) -> None:
        listening = _tcp_socket(options)
        make_missing(paths, model)  # before there is a socket in the folder
        local = [made for path in paths if (made := _unix_socket(path)) is not None]
        names = frozenset(each.getsockname() for each in local)
        host, port = listening.getsockname()[:2]
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self.library = Library(paths, model, options)
        self._sockets = [listening, *local]
        config = uvicorn.Config(
            create_app(self.library, names),
            http=partial(BoundedConnection, patience=options.patience, most=options.connections),  # type: ignore[arg-type]
            backlog=BACKLOG,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=int(options.grace) + _LAST_WORDS,
            lifespan="on",
            ws="none",
        )
        self._uvicorn = _Uvicorn(config, self.library, names, self.address)

    @property
    def started(self) -> bool:
        """Whether the indexes are open and requests are answered."""
        return self._uvicorn.started

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return len(self._uvicorn.server_state.connections)

    def run(self) -> None:
        """Answer until `end`; in the main thread, also until SIGTERM or SIGINT."""
        with self._ended_by_signals():
            asyncio.run(self._uvicorn.serve(self._sockets))

    def end(self) -> None:
        """Shut down once the answers that have begun are finished. Any thread may call it."""
        self._uvicorn.handle_exit(signal.SIGTERM, None)

    @contextmanager
    def _ended_by_signals(self) -> Iterator[None]:
        """Take the signals that uvicorn raises again at its end, or the exit status would be that of a failure."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, lambda *_: self.end()) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, library: Library, names: frozenset[str], address: str) -> None:
        super().__init__(config)
        self._library, self._names, self._address = library, names, address
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the library and listen."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            _LOG.info("listening on %s", self._address)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End streams that have no end of their own; answers go on for a while. A second Ctrl-C ends them too."""
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._library.end_soon)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down, and remove the Unix sockets."""
        await super().shutdown(sockets)
        for name in self._names:
            Path(name).unlink(missing_ok=True)


def _tcp_socket(options: ServerOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        made = socket.create_server((options.host, options.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise BadRequest(
            f"{options.host}:{options.port} cannot be listened on ({error.strerror}): give another --port"
        ) from error
    made.setblocking(False)
    return made


def _unix_socket(index: Path | str) -> socket.socket | None:
    """A socket in the index's folder, for this user only; None if another server has one there."""
    path = socket_path(index)
    if path is None:
        _LOG.warning("the path of an index is too long for a socket: `longctx ask` will not use this server")
        return None
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with suppress(OSError):  # which `bind` meets, too
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # of an index in a database, it is not there yet
    before = os.umask(0o177)
    try:
        if path.is_socket() and _is_dead(path):
            path.unlink()
        made.bind(str(path))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        _LOG.warning("there is no socket for `longctx ask` in the index's folder: %s", error.strerror)
        return None
    finally:
        os.umask(before)
    made.setblocking(False)
    return made


def _is_dead(path: Path) -> bool:
    """Whether nobody listens on a socket any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return True
    return False


def _set_up_log(level: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("longctx").setLevel(level.upper())
