"""Output to a terminal: the one way to it for text that comes from documents, file names, servers and models.

Such text may hold sequences that clear the screen, set its title, fill the clipboard, or reverse what is read. They are
shown as what they are. The commands print through `echo`, `secho` and `echo_json`, and put `cell` into rich's tables;
ruff refuses `typer.echo` elsewhere.
"""

from __future__ import annotations

import re
from typing import Any

import typer

# Control characters other than tab and line break (a carriage return only before one), marks that change the direction
# or the form of the text after them or put notes above it, line separators of Unicode, and halves of surrogate pairs,
# which no encoding can write.
_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_DIRECTIONS = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\ufff9-\ufffb"
_UNSAFE = re.compile(rf"[{_CONTROLS}{_DIRECTIONS}\u2028\u2029\ud800-\udfff]|\r(?!\n)")
_LINE_BREAKS = re.compile(r"[\r\n]")


def escaped(text: str, *, lines: bool = True) -> str:
    r"""Escape control and bidirectional characters.

    Args:
        text: The text.
        lines: Whether it may have several lines. If not, as for a name, a line break is escaped, too.

    Returns:
        The text with each such character as Python writes it, such as `\x1b` or `\u202e`.
    """
    shown = _UNSAFE.sub(_python_escape, text)
    return shown if lines else _LINE_BREAKS.sub(_python_escape, shown)


def name(text: str) -> str:
    """Return a title, a heading or a file's name for a terminal: on one line, without control characters."""
    return escaped(text, lines=False)


def cell(text: str) -> str:
    """Return a text for rich, which would take brackets for markup."""
    from rich.markup import escape

    return escape(escaped(text))


def echo(message: Any = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text with its control characters escaped.

    Args:
        message: The text.
        err: Whether to print it on standard error.
        nl: Whether to end the line.
    """
    typer.echo(escaped(str(message)), err=err, nl=nl)


def secho(message: str, *, err: bool = False, **style: Any) -> None:
    """Print a text with its control characters escaped, in a style.

    Args:
        message: The text.
        err: Whether to print it on standard error.
        style: The style, as `typer.style` takes it.
    """
    typer.secho(escaped(message), err=err, **style)


def echo_json(text: str) -> None:
    """Print JSON; a character that a terminal would act on becomes an escape of JSON's, which means the same."""
    typer.echo(_UNSAFE.sub(_json_escape, text))


def _python_escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _json_escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
