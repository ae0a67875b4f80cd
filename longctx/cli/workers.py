"""Where `longctx ingest` reads and embeds: in this process, in several on this machine, or on a cluster."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from longctx.cli.terminal import echo, name
from longctx.errors import BadRequest, extra

_SECONDS_TO_CONNECT = 10
_RAY = "ray:"


@contextmanager
def ingest_workers(count: int | None, cluster: str | None) -> Iterator[Executor | None]:
    """Start processes, or connect to a cluster, for a `with` block.

    Args:
        count: How many processes on this machine; None for none.
        cluster: The address of a Dask scheduler, or ray:host:port for a Ray cluster, ray: for this machine's; None for
            none.

    Yields:
        The workers; None for this process alone.
    """
    if count is not None and cluster is not None:
        raise BadRequest("--workers and --cluster say where to work: give one of them")
    if count is not None:
        from indexes import ProcessWorkers

        with ProcessWorkers(count) as processes:
            yield processes
    elif cluster is not None and cluster.startswith(_RAY):
        with _ray(cluster.removeprefix(_RAY)) as executor:
            yield executor
    elif cluster is not None:
        with _connected(cluster) as client:
            if not client.scheduler_info()["workers"]:
                echo(f"{name(cluster)} has no workers yet: `dask worker {name(cluster)}` starts some", err=True)
            yield client.get_executor()
    else:
        yield None


@contextmanager
def _ray(address: str) -> Iterator[Executor]:
    """The workers of the Ray cluster at an address, or of that to which this machine belongs."""
    try:
        import ray
    except ImportError as error:
        raise BadRequest(f"--cluster ray:… needs Ray, which comes with {extra('ray')}") from error
    from indexes import RayWorkers

    try:
        if address:  # of which Ray would ask for a minute, and then end the process
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=_SECONDS_TO_CONNECT).close()
        ray.init(address=address or "auto", log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError, OverflowError, RuntimeError) as error:
        where = f"at {address}" if address else "on this machine"
        why = " ".join(str(error).split())
        raise BadRequest(
            f"no Ray cluster answers {where} ({why:.200}): start one with `ray start --head`, and write ray: on its "
            "machines, or ray:HOST:6379"
        ) from error
    try:
        yield RayWorkers()
    finally:
        ray.shutdown()


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
