"""Keeping the first index in step with folders, as files in them come, change and go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from watchfiles import awatch

from longctx.errors import BadRequest
from longctx.server.library import Library

_QUIET = 1_500  # milliseconds without a change, after which what has changed is ingested
_LOG = logging.getLogger("longctx.server")


@asynccontextmanager
async def watching(library: Library) -> AsyncIterator[None]:
    """Ingest the folders of the options at once, and again whenever something in them has changed.

    Args:
        library: Whose first index is kept in step.

    Yields:
        Nothing; it goes on until the `with` block ends.

    Raises:
        BadRequest: For a folder that is none.
    """
    folders = [folder.expanduser().absolute() for folder in library.options.watch]
    if odd := [folder for folder in folders if not folder.is_dir()]:
        raise BadRequest(f"{odd[0]} is no folder to watch: name one that is there (--watch)")
    stop = asyncio.Event()
    task = asyncio.create_task(_watch(library, folders, stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def _watch(library: Library, folders: list[Path], stop: asyncio.Event) -> None:
    jobs, own = library.find(None).jobs, library.find(None).index.path
    jobs.start(folders, prune=True)
    async for changes in awatch(*folders, stop_event=stop, debounce=_QUIET, step=200):
        seen = [path for _, path in changes if not Path(path).is_relative_to(own)]
        if seen:
            _LOG.info("%d files have changed in the folders that are watched", len(seen))
            jobs.start(folders, prune=True)
