"""Where `longctx ingest` reads and embeds: in this process, in several on this machine, or on a Dask cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from longctx.cli.terminal import echo, name
from longctx.errors import BadRequest, extra

_SECONDS_TO_CONNECT = 10


@contextmanager
def ingest_workers(count: int | None, cluster: str | None) -> Iterator[Executor | None]:
    """Start processes, or connect to a cluster, for a `with` block.

    Args:
        count: How many processes on this machine; None for none.
        cluster: The address of a Dask scheduler; None for none.

    Yields:
        The workers; None for this process alone.
    """
    if count is not None and cluster is not None:
        raise BadRequest("--workers and --cluster say where to work: give one of them")
    if count is not None:
        from indexes import ProcessWorkers

        with ProcessWorkers(count) as processes:
            yield processes
    elif cluster is not None:
        with _connected(cluster) as client:
            if not client.scheduler_info()["workers"]:
                echo(f"{name(cluster)} has no workers yet: `dask worker {name(cluster)}` starts some", err=True)
            yield client.get_executor()
    else:
        yield None


def _connected(cluster: str) -> Any:
    """A client of the scheduler at an address."""
    try:
        from distributed import Client
    except ImportError as error:
        raise BadRequest(f"--cluster needs Dask, which comes with {extra('cluster')}") from error
    try:
        asyncio.run(_greet(cluster))
        return Client(cluster, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError, MemoryError, asyncio.TimeoutError) as error:
        why = str(error) or "it is silent"
        raise BadRequest(f"no Dask scheduler answers at {cluster} ({why}): start one with `dask scheduler`") from error


async def _greet(cluster: str) -> None:
    """Have an address answer as Dask does: a `Client` would wait for ever, and is hard to be rid of once it is made."""
    from distributed import Security
    from distributed.comm.core import connect

    given = Security().get_connection_args("client")
    comm = await asyncio.wait_for(connect(cluster, timeout=_SECONDS_TO_CONNECT, **given), _SECONDS_TO_CONNECT + 1)
    await comm.close()
