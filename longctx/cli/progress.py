"""Progress on standard error: one bar on a terminal, lines or nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from longctx.cli.output import short_path
from longctx.cli.terminal import echo, name

if TYPE_CHECKING:
    from indexes import IngestProgress
    from longctx.engine import PrefillProgress

ProgressT = TypeVar("ProgressT")
_SECONDS_BETWEEN_LINES = 10.0  # where there is no terminal
_LONGEST_SILENCE = 300.0  # seconds, of work that is told by tenths


@contextmanager
def progress_on_stderr(
    bar: Callable[[ProgressT], dict[str, Any]],
    line: Callable[[ProgressT], str | None],
    *,
    quiet: bool = False,
    begin: str = "",
    shows_time_left: bool = True,
) -> Iterator[Callable[[ProgressT], None] | None]:
    """Show the progress of a command: a bar that vanishes at the end on a terminal, lines elsewhere.

    Args:
        bar: What the bar shows: rich's `description`, `total` and `completed`, then `count` and, if any, `detail`.
        line: The line to print where there is no terminal, or None to print nothing this time.
        quiet: Show nothing.
        begin: The bar's description until the first call; if empty, the bar appears with the first call.
        shows_time_left: Whether the bar shows rich's estimate of the time left.

    Yields:
        The callback to report progress to, or None if nothing is shown.
    """
    if quiet:
        yield None
        return
    if not sys.stderr.isatty():
        yield lambda progress: _print_if_any(line(progress))
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        *([TimeRemainingColumn()] if shows_time_left else []),
        TextColumn("{task.fields[detail]}", markup=False),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True) as display:
        task = display.add_task(begin, total=None, visible=bool(begin), count="", detail="")

        def show(progress: ProgressT) -> None:
            fields: dict[str, Any] = {
                key: name(value) if isinstance(value, str) else value for key, value in bar(progress).items()
            }
            # A new step is shown at once: it may take long until the next call.
            is_new = fields["description"] != display.tasks[0].description
            display.update(task, visible=True, refresh=is_new, **fields)

        yield show


def _now_and_then(text: Callable[[ProgressT], str]) -> Callable[[ProgressT], str | None]:
    """A line for `progress_on_stderr`, every ten seconds."""
    last = time.monotonic()

    def line(progress: ProgressT) -> str | None:
        nonlocal last
        if time.monotonic() - last < _SECONDS_BETWEEN_LINES:
            return None
        last = time.monotonic()
        return text(progress)

    return line


def line_each_tenth(text: Callable[[Any], str]) -> Callable[[Any], str | None]:
    """Make the `line` of `progress_on_stderr` that is printed whenever another tenth is done, or after five minutes.

    Args:
        text: Writes the line, of a value with `done` and `total`.

    Returns:
        The function.
    """
    told, last = -1, 0.0

    def line(progress: Any) -> str | None:
        nonlocal told, last
        tenths = 10 * progress.done // max(progress.total, 1)
        if tenths <= told and time.monotonic() - last < _LONGEST_SILENCE:
            return None
        told, last = max(told, tenths), time.monotonic()
        return text(progress).rstrip()

    return line


def _print_if_any(text: str | None) -> None:
    if text is not None:
        echo(text, err=True)


def ingest_progress(quiet: bool) -> AbstractContextManager[Callable[[IngestProgress], None] | None]:
    """Show the progress of an ingest; without a terminal, as a line every ten seconds."""

    def count(progress: IngestProgress) -> str:
        """How many files are done; empty while they are being looked for."""
        return f"{progress.done:,}/{progress.total:,} files, {progress.chunks:,} chunks" if progress.total else ""

    def bar(progress: IngestProgress) -> dict[str, Any]:
        return {
            "description": progress.doing,
            "total": progress.total or None,
            "completed": progress.done,
            "count": count(progress),
            "detail": Path(progress.source).name,
        }

    def line(progress: IngestProgress) -> str:
        return f"{count(progress)}  {progress.doing}: {short_path(progress.source)}".removesuffix(": ").lstrip()

    return progress_on_stderr(bar, _now_and_then(line), quiet=quiet, begin="opening the index")


def publish_progress(where: str, quiet: bool) -> AbstractContextManager[Callable[[tuple[int, int]], None] | None]:
    """Show how many documents have been written elsewhere; without a terminal, as a line every ten seconds."""

    def count(progress: tuple[int, int]) -> str:
        return f"{progress[0]:,}/{progress[1]:,} documents"

    def bar(progress: tuple[int, int]) -> dict[str, Any]:
        done, total = progress
        return {"description": begin, "total": total, "completed": done, "count": count(progress)}

    def line(progress: tuple[int, int]) -> str:
        return f"{count(progress)} in {name(where)}"

    begin = f"writing to {name(where)}"
    return progress_on_stderr(bar, _now_and_then(line), quiet=quiet, begin=begin)


def prefill_progress(quiet: bool) -> AbstractContextManager[Callable[[PrefillProgress], None] | None]:
    """Show how much has been read, on a terminal; elsewhere, on route `map`, as a line every ten seconds."""

    def bar(progress: PrefillProgress) -> dict[str, Any]:
        return {
            "description": progress.doing,
            "total": progress.total,
            "completed": progress.done,
            "count": count(progress),
        }

    def count(progress: PrefillProgress) -> str:
        return f"{progress.done:,}/{progress.total:,} tokens, {progress.tokens_per_second:,.0f}/s"

    def line(progress: PrefillProgress) -> str:
        return f"{progress.doing}, {count(progress)}"

    now_and_then = _now_and_then(line)
    return progress_on_stderr(bar, lambda progress: now_and_then(progress) if progress.parts else None, quiet=quiet)


@contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Show a message on a terminal during a `with` block; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield
