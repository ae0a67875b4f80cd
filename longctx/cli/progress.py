"""Progress on standard error: bars on a terminal, lines or nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from longctx.cli.output import short_path

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

    from indexes import IngestProgress
    from longctx.engine import PrefillProgress

_SECONDS_BETWEEN_LINES = 10.0  # where there is no terminal


@contextmanager
def ingest_progress(quiet: bool) -> Iterator[Callable[[IngestProgress], None] | None]:
    """A progress bar on a terminal, a line every ten seconds elsewhere, nothing if `quiet`; on standard error."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        yield from _ingest_bar()
    else:
        yield _ingest_lines()


@contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """On a terminal, say on standard error what is being done, until it is done; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


@contextmanager
def prefill_progress(quiet: bool) -> Iterator[Callable[[PrefillProgress], None] | None]:
    """A bar on a terminal while the model reads a prompt, on standard error; nothing elsewhere, or if `quiet`."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("reading the prompt"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tokens, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    with bar_on_stderr(*columns, rate=0.0, visible=False) as update:

        def show(progress: PrefillProgress) -> None:
            update(total=progress.total, completed=progress.done, rate=progress.tokens_per_second, visible=True)

        yield show


@contextmanager
def bar_on_stderr(*columns: ProgressColumn, **fields: Any) -> Iterator[Callable[..., None]]:
    """A progress bar that vanishes at the end; what it gives is called with what has changed, as rich's `update` is."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield partial(bar.update, bar.add_task(**{"description": "", "total": None, **fields}))


def _ingest_lines() -> Callable[[IngestProgress], None]:
    last = time.monotonic()

    def show(progress: IngestProgress) -> None:
        nonlocal last
        if time.monotonic() - last < _SECONDS_BETWEEN_LINES:
            return
        last = time.monotonic()
        typer.echo(f"{_counted(progress)}{progress.doing}: {short_path(progress.source)}".removesuffix(": "), err=True)

    return show


def _ingest_bar() -> Iterator[Callable[[IngestProgress], None]]:
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[counted]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[source]}", markup=False),
    )
    with bar_on_stderr(*columns, description="opening the index", counted="", source="") as update:
        shown = ""

        def show(progress: IngestProgress) -> None:
            nonlocal shown
            changed, shown = progress.doing != shown, progress.doing
            update(
                refresh=changed,  # at once, since what is done now may take long
                description=progress.doing,
                total=progress.total or None,
                completed=progress.done,
                counted=_counted(progress),
                source=Path(progress.source).name,
            )

        yield show


def _counted(progress: IngestProgress) -> str:
    """How far an ingest is; empty while the files are being looked for."""
    return f"{progress.done:,}/{progress.total:,} files, {progress.chunks:,} chunks  " if progress.total else ""
