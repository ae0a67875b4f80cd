"""A model on llama.cpp's own servers, loopback: the demo model as GGUF, which finds pass keys there too.

llama-cpp-python's server runs where `llama_cpp` and what its server needs can be imported, llama.cpp's own where
`llama-server` is on the PATH; both need `gguf` to write the model. Where they are not there, the tests are skipped.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from gguf_writer import write_gguf

from indexes import SearchFilter
from longctx import DocumentQA, ServedModel

DEMO = Path(__file__).parents[3] / "examples" / "models" / "passkey-llama"
QUESTION = "What is the pass key?"
KEY = "The pass key is 40917"
PROSE = "The keeper walked along the shore in the evening and looked at the sea. "
NATIVE, WINDOW = 256, 1024
MODULES = ("llama_cpp", "fastapi", "uvicorn", "sse_starlette", "starlette_context", "pydantic_settings")


def python_server(model: Path, port: int) -> list[str]:
    options = ["--n_ctx", str(WINDOW), "--model_alias", "demo", "--port", str(port), "--host", "127.0.0.1"]
    return [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--n_threads", "1", *options]


def own_server(model: Path, port: int) -> list[str]:
    options = ["-c", str(WINDOW), "--alias", "demo", "--port", str(port), "--host", "127.0.0.1", "-np", "1", "--jinja"]
    return [str(shutil.which("llama-server")), "-m", str(model), "-t", "1", *options]


SERVERS: dict[str, tuple[Callable[[Path, int], list[str]], list[str]]] = {
    "llama-cpp-python": (python_server, [name for name in MODULES if importlib.util.find_spec(name) is None]),
    "llama-server": (own_server, [] if shutil.which("llama-server") else ["llama-server on the PATH"]),
}


@pytest.fixture(scope="module")
def gguf_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "demo.gguf"
    # "smollm": each digit alone, and then GPT-2's words, as the demo's; its template writes a BOS
    return write_gguf(DEMO, path, "smollm", with_yarn, window=WINDOW, bos=False)


class Served(NamedTuple):
    address: str
    window: int | None  # to be given, because the server does not say it


@pytest.fixture(scope="module", params=SERVERS)
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    command, missing = SERVERS[request.param]
    missing = [*missing, *(name for name in ["gguf"] if importlib.util.find_spec(name) is None)]
    if missing:
        pytest.skip(f"{request.param} needs {', '.join(missing)}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = request.getfixturevalue("gguf_model")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command(model, port), env=environment, **quiet) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}/v1/models", server)
            yield Served(f"openai:http://127.0.0.1:{port}/v1", None if request.param == "llama-server" else WINDOW)
        finally:
            server.terminate()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert server.poll() is None, f"the server ended with {server.returncode}"
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not begin within a minute")


def with_yarn(writer: Any) -> None:
    """YaRN to `WINDOW` tokens."""
    import gguf

    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(WINDOW / NATIVE)
    writer.add_rope_scaling_orig_ctx_len(NATIVE)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, encoder) -> Path:
    folder = tmp_path_factory.mktemp("served")
    (folder / "short.txt").write_text(f"{PROSE * 3}{KEY} {PROSE * 3}")
    (folder / "long.txt").write_text(f"{PROSE * 40}{KEY} {PROSE * 40}")
    with DocumentQA.open(folder / "index", encoder=encoder) as qa:
        qa.ingest([folder / "short.txt", folder / "long.txt"])
    return folder


def ask(address: str, indexed: Path, encoder, name: str, window: int | None = None):
    chosen = SearchFilter((str(indexed / f"{name}.txt"),))
    with (
        ServedModel.connect(address, window=window) as model,
        DocumentQA.open(indexed / "index", model, encoder=encoder) as qa,
    ):
        stream = qa.stream(QUESTION, max_new_tokens=12, filters=chosen)
        pieces = list(stream)
        assert "".join(pieces).strip() == stream.answer.text
        assert len(pieces) > 2
        qa.stream(QUESTION, max_new_tokens=200, filters=chosen).close()
        stopped = qa.stream(QUESTION, max_new_tokens=200, filters=chosen)
        next(stopped)
        stopped.close()
        assert qa.ask(QUESTION, max_new_tokens=12, filters=chosen).text == stream.answer.text
        return stream.answer


@pytest.mark.parametrize(("name", "route"), [("short", "native"), ("long", "retrieval")])
def test_llama_cpp_finds_the_key(served: Served, indexed: Path, encoder, name: str, route: str) -> None:
    answer = ask(served.address, indexed, encoder, name, served.window)
    assert answer.text.startswith(KEY)
    assert (answer.plan.route, answer.plan.window) == (route, WINDOW)
    assert 0 <= answer.plan.prompt_tokens - answer.usage.prompt_tokens <= 25
    assert 10 <= answer.usage.completion_tokens <= 12


def test_llama_cpp_takes_less_than_was_said(served: Served, indexed: Path, encoder) -> None:
    answer = ask(served.address, indexed, encoder, "long", 4 * WINDOW)
    assert answer.text.startswith(KEY)
    assert "refused a prompt" in answer.plan.reason
    assert (answer.plan.route, answer.plan.window) == ("retrieval", WINDOW)
