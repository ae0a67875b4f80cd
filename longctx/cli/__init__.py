"""The command line. A command parses, makes one library call and prints; heavy imports are inside it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from longctx import __version__
from longctx.cli import ask, chat, estimate, extend, index, ingest, probe, rope, search, serve
from longctx.cli.eval import evaluate_questions
from longctx.cli.output import INTERRUPTED, one_line
from longctx.cli.terminal import echo, escaped
from longctx.models import hide_bitsandbytes

_UsageError: Any = typer.BadParameter.__base__  # click's, which newer releases of typer have inside
_GROUPS: tuple[list[str], ...] = ([], ["index"])  # command lines that lack a command: they show the help


@contextmanager
def _escaped_usage() -> Iterator[None]:
    """Have what is wrong with a command line printed escaped: in `longctx ingest *`, names of files are its options."""
    try:
        yield
    except _UsageError as error:
        error.message = escaped(error.message, lines=False)
        raise


class _Commands(TyperGroup):
    """The commands. Ctrl-C ends any of them with one line, unless the command prints its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the command."""
        with _escaped_usage():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            with _escaped_usage():
                return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:  # it may say how much has been done
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second one ends it at once
            echo(f"\ninterrupted{f': {interrupt}' if str(interrupt) else ''}", err=True)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="longctx",
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    help="Ask questions of documents that are longer than a model's window.",
)
_COMMANDS = (ingest.ingest, search.search, ask.ask, chat.chat, estimate.estimate, rope.rope, extend.extend, probe.probe)
_SERVERS = (serve.serve, serve.mcp)
for _command in (*_COMMANDS, *_SERVERS):
    app.command()(_command)
app.command(name="eval")(evaluate_questions)
app.add_typer(index.app, name="index")


def _print_version(wanted: bool) -> None:
    if wanted:
        echo(f"longctx {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; allowed anywhere.")] = False,
) -> None:
    """Ask questions of documents that are longer than a model's window."""


def _with_only(named: list[str]) -> typer.Typer:
    """The application with the named command alone, since typer builds every command that it has, which takes long."""
    alone = copy(app)
    alone.registered_groups = []
    alone.registered_commands = [
        each for each in app.registered_commands if [each.name or getattr(each.callback, "__name__", "")] == named
    ]
    return alone if alone.registered_commands else app


def main() -> NoReturn:
    """Run the command line; an error ends it with one line on standard error and exit code 1."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    if not debug:
        # transformers warns about things that a user of longctx cannot change.
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # the bars of the libraries, such as transformers' 'Loading weights'
    hide_bitsandbytes()
    given = [argument for argument in arguments if argument != "--debug"]
    try:
        _with_only(given[:1])([*given, "--help"] if given in _GROUPS else given)
    except Exception as error:
        echo(traceback.format_exc() if debug else f"longctx: {one_line(error)}", err=True)
    sys.exit(1)
