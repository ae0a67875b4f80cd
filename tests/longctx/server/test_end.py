"""How a server ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from running_server import running, until

from longctx import load_model

BASE = "/api/v1/indexes/index"
LONG = {"question": "What asks for a doctor?", "max_new_tokens": 1500}


def test_sigterm_is_no_failure(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "longctx", "serve", "--index", str(tmp_path / "index"), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        assert any("listening on" in line for line in server.stderr)
        server.terminate()
        assert "Traceback" not in server.stderr.read()
    assert server.returncode == 0


def test_answers_that_take_longer_than_the_grace_are_broken_off_in_words(
    make_index: Callable, tiny_llama: Path
) -> None:
    index = make_index({"a.txt": "A red flag asks for a doctor."})
    with running(index, model=load_model(tiny_llama), grace=0.2) as server, httpx.Client(timeout=60) as other:
        with server.http.stream("POST", f"{BASE}/ask", json=LONG) as runs:
            lines = runs.iter_lines()
            while next(lines) != "event: piece":
                pass
            with other.stream("POST", f"{server.url}{BASE}/ask", json=LONG) as waits:
                until(lambda: server.library.turns.waiting == 1)
                server.server.end()
                for last in ([*lines], [*waits.iter_lines()]):
                    name, data = [line for line in last if line][-2:]
                    assert name == "event: error"
                    assert json.loads(data.removeprefix("data: "))["error"]["code"] == "server_ends"
        with pytest.raises(httpx.TransportError):
            other.get(f"{server.url}/healthz")


def test_uploads_that_wait_when_the_server_ends_are_ingested_by_the_next(tmp_path: Path) -> None:
    index = tmp_path / "index"
    with running(index) as server, server.library.find("index").index.changing(wait=True):  # another writer
        files = [("files", ("late.txt", b"Not too late."))]
        assert server.http.post(f"{BASE}/documents", files=files).status_code == 202
        server.server.end()
        until(lambda: not server.thread.is_alive())
    with running(index) as server:
        until(lambda: [each["name"] for each in server.http.get(f"{BASE}/documents").json()] == ["late.txt"])
