"""`longctx ingest --cluster` with an address where no Dask scheduler is: one line, soon, and nothing left behind."""

from __future__ import annotations

import socket

import pytest

from longctx import BadRequest
from longctx.cli import workers


@pytest.mark.parametrize("address", ["", "http://x", "tcp://h:port", "silent"])
def test_an_address_without_a_scheduler_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_SECONDS_TO_CONNECT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:  # which takes connections, and says nothing
        given = address if address != "silent" else f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(BadRequest, match=r"no Dask scheduler answers at .*"),
            workers.ingest_workers(None, given),
        ):
            pass
