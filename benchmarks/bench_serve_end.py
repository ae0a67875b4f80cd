"""The end of a server under load: by SIGTERM every answer ends whole, and kill -9 loses no turn and no document.

    python benchmarks/bench_serve_end.py [--clients 30] [--kills 3]

Each client goes on with a conversation of its own, in streams, and two more upload documents. In the first run the
server gets SIGTERM: each answer that was asked for must end whole, and the process with status 0. In the others it is
killed; after a new start on the same folder each turn whose end a client has seen must be in its conversation, and each
document whose upload was accepted in the index.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from bench_serve import NAMES, question, served, write_documents

SECONDS = 20  # of load before the end
UPLOADERS = 2


@dataclass
class Seen:
    """What clients have seen until the server ended."""

    turns: dict[str, list[str]] = field(default_factory=dict)  # the answers that came whole, of each conversation
    uploads: list[str] = field(default_factory=list)  # that were accepted
    cut: Counter[str] = field(default_factory=Counter)  # answers that had begun
    refused: Counter[str] = field(default_factory=Counter)
    begun: int = 0  # answers, when the server is told to end
    ending: bool = False


async def converse(http: httpx.AsyncClient, number: int, seen: Seen) -> None:
    """Ask in a conversation until the server refuses."""
    rng, name = random.Random(number), f"client-{number}"
    turns = seen.turns.setdefault(name, [])
    while True:
        kind, answer, begun = "", None, False
        try:
            asked = {"question": question(rng.choice(NAMES)), "conversation": name}
            async with http.stream("POST", "ask", json=asked) as response:
                response.raise_for_status()
                async for line in response.aiter_lines():
                    if not begun:
                        begun, seen.begun = True, seen.begun + 1
                    kind = line.removeprefix("event: ") if line.startswith("event: ") else kind
                    if line.startswith("data: ") and kind in ("answer", "error"):
                        answer = json.loads(line.removeprefix("data: ")).get("text")
        except httpx.HTTPError as error:
            kind = type(error).__name__
        seen.begun -= begun
        if answer is not None:
            turns.append(answer)
        elif begun:
            seen.cut[kind] += 1
            return
        else:
            seen.refused[kind] += 1
            return


async def upload(http: httpx.AsyncClient, number: int, seen: Seen) -> None:
    """Upload documents until the server refuses."""
    count = 0
    while True:
        name, count = f"upload-{number}-{time.time_ns()}.txt", count + 1
        try:
            files = {"files": (name, f"Note {count} of {name}: nobody came.\n".encode())}
            response = await http.post("documents", files=files)
            response.raise_for_status()
        except httpx.HTTPError:
            return
        seen.uploads.append(name)
        await asyncio.sleep(0.5)


async def load(address: str, clients: int, end: signal.Signals, process: int) -> Seen:
    """Put a server under load, end it, and tell what the clients have seen."""
    seen = Seen()
    limits = httpx.Limits(max_connections=clients + UPLOADERS)
    async with httpx.AsyncClient(base_url=address, timeout=600, limits=limits, trust_env=False) as http:

        async def stop() -> None:
            await asyncio.sleep(SECONDS)
            print(
                f"{end.name}: {seen.begun} answers have begun or wait, {sum(map(len, seen.turns.values()))} are whole"
            )
            os.kill(process, end)

        each = [converse(http, number, seen) for number in range(clients)]
        await asyncio.gather(stop(), *each, *(upload(http, number, seen) for number in range(UPLOADERS)))
    return seen


async def lost(address: str, before: list[Seen]) -> tuple[int, int]:
    """How many of the turns and of the documents that clients have seen are not there any more."""
    turns = documents = 0
    async with httpx.AsyncClient(base_url=address, timeout=600, trust_env=False) as http:
        while any(job["state"] in ("waiting", "running") for job in (await http.get("jobs")).json()):
            await asyncio.sleep(0.2)
        names = {each["name"] for each in (await http.get("documents")).json()}
        for name in before[0].turns:
            wanted = [text for seen in before for text in seen.turns[name]]
            response = await http.get(f"conversations/{name}")
            kept = Counter(turn["answer"]["text"] for turn in response.json()) if response.is_success else Counter()
            turns += (Counter(wanted) - kept).total()
        documents = sum(name not in names for seen in before for name in seen.uploads)
    return turns, documents


def report(seen: Seen, status: int, seconds: float) -> None:
    turns = sum(map(len, seen.turns.values()))
    print(f"  {turns} turns whole, {len(seen.uploads)} uploads accepted; cut: {dict(seen.cut) or 'none'}")
    print(f"  refused: {dict(seen.refused) or 'none'}; exit status {status}, {seconds:.1f} s after the last client")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--kills", type=int, default=3)
    given = parser.parse_args()
    print(f"{given.clients} conversations, {UPLOADERS} uploaders; load average {os.getloadavg()[0]:.1f}")
    before: list[Seen] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_documents(folder / "documents")
        for end in (signal.SIGTERM, *[signal.SIGKILL] * given.kills):
            with served(folder, given.clients) as (address, process):
                if before:
                    print("lost after the last end: {} turns, {} documents".format(*asyncio.run(lost(address, before))))
                before.append(asyncio.run(load(address, given.clients, end, process.pid)))
                began = time.perf_counter()
                status = process.wait()
            report(before[-1], status, time.perf_counter() - began)
        with served(folder, given.clients) as (address, _):
            print("lost after the last end: {} turns, {} documents".format(*asyncio.run(lost(address, before))))


if __name__ == "__main__":
    main()
