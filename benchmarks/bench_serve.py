"""Many clients at a server: errors, answers that are another question's, memory, and the time of searches and answers.

    python benchmarks/bench_serve.py [--clients 50] [--minutes 10]

The demo model answers from documents of which each holds one pass key. Every question is asked alone first; under load
its answer and its passages must be the same to the letter, since the model chooses greedily. The clients do not pause:
each asks or searches, at random, as soon as it has been answered. They and the server share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from train_demo_model import question, statement

# fmt: off
NAMES = [
    "bakery", "bridge", "castle", "cellar", "chapel", "factory", "forest", "garden", "harbour", "hospital", "island",
    "kitchen", "library", "market", "museum", "palace", "prison", "school", "stable", "station", "theatre", "tower",
    "village",
]
# fmt: on
MODEL = Path(__file__).parents[1] / "examples" / "models" / "passkey-llama"
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@dataclass
class Seen:
    """What the clients have seen: seconds, and how often something was not as it should be."""

    searches: list[float] = field(default_factory=list)
    first_tokens: list[float] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)


def write_documents(folder: Path) -> dict[str, str]:
    """A document for each name; the key that each holds."""
    folder.mkdir()
    rng = random.Random(0)
    keys = {name: str(rng.randrange(10_000, 100_000)) for name in NAMES}
    for name, key in keys.items():
        (folder / f"{name}.txt").write_text(f"The {name} was quiet. {statement(name)} {key}. Nobody came that day.\n")
    return keys


@contextmanager
def served(folder: Path, clients: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server on the documents: the address of its index, and the process."""
    longctx, index = [sys.executable, "-m", "longctx"], folder / "index"
    subprocess.run([*longctx, "ingest", str(folder / "documents"), "--index", str(index)], check=True, **QUIET)
    flags = ["--model", str(MODEL), "--max-new-tokens", "16", "-k", "2", "--route", "retrieval", "--port", "0"]
    log = folder / "log"
    with log.open("w") as errors:
        serve = [*longctx, "serve", "--index", str(index), *flags, "--waiting", str(clients)]
        server = subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=errors)
    try:
        while "listening on " not in log.read_text():
            if server.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.2)
        address = log.read_text().split("listening on ")[1].split('"')[0]
        yield f"{address}/api/v1/indexes/index", server
    finally:
        server.terminate()
        server.wait()


async def search(http: httpx.AsyncClient, name: str, seen: Seen) -> str:
    """The documents of a search, best first."""
    began = time.perf_counter()
    response = await http.post("search", json={"query": question(name), "k": 5})
    response.raise_for_status()
    seen.searches.append(time.perf_counter() - began)
    return " ".join(hit["document"] for hit in response.json())


async def ask(http: httpx.AsyncClient, name: str, seen: Seen) -> str:
    """The text of an answer, with the documents of its passages."""
    began, kind, first = time.perf_counter(), "", True
    async with http.stream("POST", "ask", json={"question": question(name)}) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            kind = line.removeprefix("event: ") if line.startswith("event: ") else kind
            if kind == "piece" and first:
                seen.first_tokens.append(time.perf_counter() - began)
                first = False
            if line.startswith("data: ") and kind in ("answer", "error"):
                value = json.loads(line.removeprefix("data: "))
                if kind == "error":
                    raise RuntimeError(value["error"]["message"])
                return " ".join([value["text"], *(passage["source"] for passage in value["passages"])])
    raise RuntimeError("the stream ended before the answer")


WAYS = {"search": search, "ask": ask}


async def client(
    http: httpx.AsyncClient, number: int, until: float, alone: dict[tuple[str, str], str], seen: Seen
) -> None:
    rng = random.Random(number)
    while time.perf_counter() < until:
        way, name = rng.choice(list(WAYS)), rng.choice(NAMES)
        try:
            said = await WAYS[way](http, name, seen)
        except (httpx.HTTPError, RuntimeError) as error:
            seen.wrong[f"{way}: {str(error) or type(error).__name__}"[:100]] += 1
            await asyncio.sleep(1)
            continue
        if said != alone[way, name]:
            others = [other for other in NAMES if alone[way, other] == said]
            seen.wrong[f"{way}: {'the answer of another question' if others else 'another answer than alone'}"] += 1


def resident(process: int) -> float:
    """Resident memory of a process, in MB."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def at(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100, method="inclusive")[percent - 1]


async def measure(address: str, process: int, clients: int, minutes: float, keys: dict[str, str]) -> None:
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=address, timeout=600, limits=limits, trust_env=False) as http:
        alone = {(way, name): await WAYS[way](http, name, Seen()) for way in WAYS for name in NAMES}
        right = sum(key in alone["ask", name] for name, key in keys.items())
        print(f"alone: {right} of {len(keys)} answers hold the key; {len(set(alone.values()))} of {len(alone)} differ")
        seen, load, began, before = Seen(), os.getloadavg()[0], time.perf_counter(), resident(process)
        until, memory = began + 60 * minutes, []

        async def watch() -> None:
            while time.perf_counter() < until:
                await asyncio.sleep(min(60, until - time.perf_counter()))
                memory.append(round(resident(process)))

        await asyncio.gather(watch(), *(client(http, number, until, alone, seen) for number in range(clients)))
    took, now = (time.perf_counter() - began) / 60, os.getloadavg()[0]
    print(f"{clients} clients, {took:.1f} minutes; load average {load:.1f}, at the end {now:.1f}")
    print(f"resident memory: {before:.0f} MB before, then each minute {memory}, {resident(process):.0f} at the end")
    print(f"not as they should be: {dict(seen.wrong) or 'none'}")
    print("| | number | median s | 99th percentile s | longest s |\n| --- | --- | --- | --- | --- |")
    for what, times in {"a search": seen.searches, "the first token": seen.first_tokens}.items():
        print(f"| {what} | {len(times)} | {at(times, 50):.2f} | {at(times, 99):.2f} | {max(times):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10)
    given = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        keys = write_documents(folder / "documents")
        with served(folder, given.clients) as (address, process):
            asyncio.run(measure(address, process.pid, given.clients, given.minutes, keys))


if __name__ == "__main__":
    main()
