"""`longctx ingest --cluster`: where no cluster is, one line, soon, and nothing left behind; and on Ray's."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

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


@pytest.mark.parametrize("address", ["ray:127.0.0.1:1", "ray:here", "ray:127.0.0.1:99999"])
def test_an_address_without_a_ray_cluster_is_refused(address: str) -> None:
    why = r"no Ray cluster answers at .*: start one with `ray start" if find_spec("ray") else r"needs Ray, which comes"
    with pytest.raises(BadRequest, match=why) as raised, workers.ingest_workers(None, address):
        pass
    assert "\n" not in str(raised.value)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of files that Ray leaves open
def test_ingest_reads_on_the_ray_cluster_of_this_machine(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason='the extra "ray" is not installed')
    for name in ("one", "two"):
        (tmp_path / f"{name}.md").write_text(f"# {name}\n\nThe lamp of house {name} is lit at dusk.\n")
    command = [sys.executable, "-m", "longctx", "ingest", str(tmp_path), "--index", str(tmp_path / "index"), "--json"]
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
    try:
        done = subprocess.run([*command, "--cluster", "ray:"], capture_output=True, text=True, cwd=tmp_path)
    finally:
        ray.shutdown()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["added"] == 2
    assert "Traceback" not in done.stderr
