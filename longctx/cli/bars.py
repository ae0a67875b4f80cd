"""Progress on standard error: bars on a terminal, lines or nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from longctx.cli.terminal import short_path

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

    from indexes import IngestProgress
    from longctx.requests import Progress


@contextmanager
def ingest_progress(quiet: bool) -> Iterator[Callable[[IngestProgress], None] | None]:
    """A progress bar on a terminal, a plain line a file elsewhere, nothing if `quiet`; on standard error."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        yield from _progress_bar()
    else:
        yield _plain_line()


@contextmanager
def prefill_progress(quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
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

        def show(progress: Progress) -> None:
            update(total=progress.total, completed=progress.done, rate=progress.tokens_per_second, visible=True)

        yield show


@contextmanager
def bar_on_stderr(*columns: ProgressColumn, **fields: Any) -> Iterator[Callable[..., None]]:
    """A progress bar that vanishes at the end; what it gives is called with what has changed, as rich's `update` is."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield partial(bar.update, bar.add_task(**{"description": "", "total": None, **fields}))


def _plain_line() -> Callable[[IngestProgress], None]:
    done = 0

    def show(progress: IngestProgress) -> None:
        nonlocal done
        if progress.done > done:
            done = progress.done
            typer.echo(f"[{done}/{progress.total}] {short_path(progress.source)}", err=True)

    return show


def _progress_bar() -> Iterator[Callable[[IngestProgress], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[chunks]} chunks"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[source]}", markup=False),
    )
    with bar_on_stderr(*columns, chunks=0, source="") as update:

        def show(progress: IngestProgress) -> None:
            update(
                total=progress.total,
                completed=progress.done,
                chunks=progress.chunks,
                source=Path(progress.source).name,
            )

        yield show
