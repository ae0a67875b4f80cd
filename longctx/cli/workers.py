"""Where `longctx ingest` reads and embeds: in this process, in several on this machine, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from longctx.errors import BadRequest

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
        try:
            from distributed import Client
        except ImportError as error:
            raise BadRequest("--cluster needs Dask: install longctx with the extra `cluster`") from error
        try:
            client = Client(cluster, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise BadRequest(
                f"no Dask scheduler answers at {cluster} ({error}): start one with `dask scheduler`"
            ) from error
        with client:
            yield client.get_executor()
    else:
        yield None
