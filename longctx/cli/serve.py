"""`longctx serve` and `longctx mcp`."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longctx.cli.options import AskFlags, split_names, with_flags
from longctx.cli.progress import waiting_for
from longctx.cli.terminal import echo

if TYPE_CHECKING:
    from longctx.server import Model, ServerOptions
    from longctx.settings import Settings

# What the model is loaded from and how: `longctx ask` asks a server only if it has what its own flags say.
IDENTITY = (
    "model",
    "window",
    "adapter",
    "quantization",
    "dtype",
    "device",
    "scaling",
    "report",
    "template",
    "reranker",
)
_BEARER_HELP = "A secret of 16 characters or more that clients send as 'Authorization: Bearer'; also LONGCTX_TOKEN."


IndexesOption = Annotated[
    list[str] | None,
    typer.Option(metavar="DIR", help="An index's folder, or postgresql://…; repeat it for more (default: .longctx)"),
]


class LogLevel(str, Enum):
    """The levels of the log."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


@dataclass(frozen=True)
class ServeFlags(AskFlags):
    """The flags of a server: those of `ask` are what a question has that says nothing else."""

    index: IndexesOption = None  # type: ignore[assignment]
    folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Serve the indexes in this folder, and let new ones be made there."),
    ] = None


@with_flags(ServeFlags)
def serve(
    flags: ServeFlags,
    host: Annotated[str, typer.Option(help="The address to listen on; any but this machine's needs a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes one that is free.")] = 8080,
    token: Annotated[list[str] | None, typer.Option(metavar="SECRET", help=_BEARER_HELP, show_default=False)] = None,
    read_token: Annotated[
        list[str] | None,
        typer.Option(metavar="SECRET", help="The same for reading and asking only; also LONGCTX_READ_TOKEN."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A further name of this server, such as a proxy's.")
    ] = None,
    watch: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Keep the first index in step with this folder.")
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, help="How many answers are generated at the same time.")] = 1,
    waiting: Annotated[int, typer.Option(min=0, help="How many questions may wait for their turn.")] = 32,
    max_files: Annotated[int, typer.Option(min=1, help="The most files of one upload.")] = 100,
    max_upload: Annotated[int, typer.Option(min=1, metavar="BYTES", help="The largest upload.")] = 1_000_000_000,
    max_size: Annotated[
        int | None, typer.Option(metavar="BYTES", help="The largest file to read (default: 100000000)")
    ] = None,
    grace: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long answers may take to finish.")] = 60,
    log_level: Annotated[LogLevel, typer.Option(help="The least severe level that is logged.")] = LogLevel.info,
) -> None:
    """Serve indexes: a page for the browser, OpenAI's protocol, an API, and MCP, at http://127.0.0.1:8080.

    Ctrl-C or SIGTERM ends it when the answers that have begun are finished.
    """
    settings = replace(flags, index=None).settings(max_size=max_size)
    listening = {
        "host": host,
        "port": port,
        "tokens": (*split_names(token), *split_names([os.environ.get("LONGCTX_TOKEN", "")])),
        "read_tokens": (*split_names(read_token), *split_names([os.environ.get("LONGCTX_READ_TOKEN", "")])),
        "hosts": split_names(allow_host),
        "watch": tuple(watch or ()),
        "parallel": parallel,
        "waiting": waiting,
        "max_files": max_files,
        "max_upload": max_upload,
        "grace": grace,
    }
    _needs("server", "fastapi", "uvicorn", "python_multipart", "prometheus_client", "watchfiles")
    options = _options(flags, settings, listening)
    with waiting_for("loading the model"):
        model = _model(settings)
    from longctx.server import serve as run

    run(_places(flags, settings), model, options, log_level.value)


@with_flags(ServeFlags)
def mcp(flags: ServeFlags) -> None:
    """Offer indexes to an MCP client, over standard input and output: search, ask, read, list."""
    _needs("mcp", "mcp", "fastapi", "prometheus_client")
    settings = replace(flags, index=None).settings()
    options = _options(flags, settings, {})
    from longctx.server import serve_mcp

    serve_mcp(_places(flags, settings), lambda: _model(settings), options)


def _places(flags: ServeFlags, settings: Settings) -> list[Path | str]:
    """The indexes to serve: those that are named, or else that of the settings, unless there is a folder of them."""
    return [*flags.index] if flags.index else [] if flags.folder else [settings.index]


def _needs(name: str, *packages: str) -> None:
    from importlib.util import find_spec

    from longctx.errors import extra

    if missing := [package for package in packages if find_spec(package) is None]:
        echo(f"longctx: {missing[0]} is not installed: get {extra(name)}", err=True)
        sys.exit(1)


def _options(flags: ServeFlags, settings: Settings, more: dict[str, Any]) -> ServerOptions:
    from longctx.server import ServerOptions

    plain = replace(flags, index=None)
    return ServerOptions(
        ask=plain.options(settings),
        folder=flags.folder,
        max_size=settings.max_size,
        max_seconds=settings.max_seconds,
        identity=identity(settings),
        **more,
    )


def identity(settings: Settings) -> dict[str, str | None]:
    """Where the model of the settings comes from and how it is loaded; None for what is left as it is."""
    named = {name: getattr(settings, name) for name in IDENTITY}
    return {name: None if value in (None, "auto") else str(value) for name, value in named.items()}


def _model(settings: Settings) -> Model:
    from contextlib import ExitStack

    from longctx.backends import check_loading, open_model
    from longctx.probe import load_report
    from longctx.server import Model

    how = (settings.scaling, settings.window, settings.loading)
    check_loading(settings.model, *how)
    opened = open_model(settings.model, *how, ExitStack())
    measured = () if settings.report is None else load_report(settings.report).measurements()
    return Model(opened, settings.template, measured, settings.reranker, settings.encoder)
