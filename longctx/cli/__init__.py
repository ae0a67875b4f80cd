"""The command line. A command parses, makes one library call and prints; what is heavy is imported inside it."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from longctx import __version__
from longctx.cli import ask, chat, estimate, extend, index, ingest, probe, rope, search
from longctx.cli.output import INTERRUPTED, one_line
from longctx.models import hide_bitsandbytes

_GROUPS: tuple[list[str], ...] = ([], ["index"])  # commands of which nothing can be done, and that show their help


class _Commands(TyperGroup):
    """The commands; any of them that Ctrl-C stops ends in one line, unless it has its own to say."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("\ninterrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="longctx",
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    help="Ask questions of documents that are longer than a model's window.",
)
app.command()(ingest.ingest)
app.command()(search.search)
app.command()(ask.ask)
app.command()(chat.chat)
app.add_typer(index.app, name="index")
app.command()(estimate.estimate)
app.command()(rope.rope)
app.command()(extend.extend)
app.command()(probe.probe)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"longctx {__version__}")
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


def main() -> NoReturn:
    """Run the command line: one line on standard error, and exit code 1, for whatever goes wrong."""
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
        app([*given, "--help"] if given in _GROUPS else given)
    except Exception as error:
        if debug:
            raise
        typer.echo(f"longctx: {one_line(error)}", err=True)
    sys.exit(1)
