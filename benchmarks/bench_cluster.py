"""Ingest on a Dask cluster of two workers, each in a network namespace without the files, one of which is killed.

The scheduler runs in this process's namespace, the workers behind veth pairs. The files' folder is hidden from them, so
that what they read has to be sent. In each round a worker is sent SIGKILL at a random moment, and started again; the
index must equal that of one process. Run it as root on Linux: `python benchmarks/bench_cluster.py --rounds 50`.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

from distributed import Client

from indexes import CorpusIndex
from indexes.ingest import pipeline

ADDRESS = "tcp://10.231.{}.1:8786"
WORDS = ("keeper", "wick", "and", "lamp", "oil", "the", "boat", "harbour", "fog", "horn", "night", "storm", "glass")
FORKS_WORKERS = """
import os, signal, sys
import sentence_transformers, torch
import indexes.ingest.parts
from distributed.cli.dask_worker import main
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in sys.stdin:
    if not (pid := os.fork()):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 1)
        main()
    print(pid, flush=True)
"""
KANJI = "灯台守霧笛海夜嵐油船港鐘鎖硝子真鍮時計"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--files", type=int, default=24, help="files of about 8,000 characters, for the rates")
    options = parser.parse_args()
    pipeline._PENDING_CHARACTERS = 12_000  # in place of 150,000: a small corpus in many batches
    with tempfile.TemporaryDirectory() as scratch, Cluster(Path(scratch, "files")) as cluster:
        folder = Path(scratch)
        with Client(ADDRESS.format(1), set_as_default=False) as client:
            client.wait_for_workers(2)
            print(f"{kill_in_rounds(folder, options.rounds, cluster, client)} of {options.rounds} indexes equal")
            compare_rates(folder, options.files, cluster, client)


def compare_rates(folder: Path, files: int, cluster: Cluster, client: Client) -> None:
    """The same files, none of whose passages is like another, by one process and by both workers."""
    write_files(folder / "files", files, repeats=1)
    for name, by in (("one process", None), ("two workers", client)):
        before = cluster.done(client)
        made, seconds = ingest(folder, name.replace(" ", "-"), by)
        chunks, done = made["chunks"], {each: n - before.get(each, 0) for each, n in cluster.done(client).items()}
        shares = ", ".join(f"{n / max(1, sum(done.values())):.0%}" for n in done.values())
        print(
            f"{name}: {chunks / seconds:.1f} chunks/s ({chunks} chunks in {seconds:.1f} s); shares {shares}", flush=True
        )


def kill_in_rounds(folder: Path, rounds: int, cluster: Cluster, client: Client) -> int:
    """How many indexes are equal to that of one process."""
    write_files(folder / "files", 16, repeats=8)
    alone, _ = ingest(folder, "alone", None)
    ingest(folder, "warm", client)  # the workers load the encoder
    made, longest = ingest(folder, "together", client)
    assert made == alone
    draw, equal, done = random.Random(time.time()), 0, [0, 0]
    for number in range(rounds):
        before = cluster.done(client)
        clock = threading.Timer(draw.uniform(0, longest), cluster.kill, [number % 2])
        clock.start()
        made, seconds = ingest(folder, f"round{number}", client)
        clock.join()
        other = cluster.addresses[1 - number % 2]
        done[1 - number % 2] += sum(
            n - before.get(each, 0) for each, n in cluster.done(client).items() if other in each
        )
        equal += made == alone
        cluster.revive()
        client.wait_for_workers(2)
        shutil.rmtree(folder / f"round{number}")
        print(f"round {number + 1}: {'equal' if made == alone else 'DIFFERENT'} in {seconds:.1f} s", flush=True)
    print(f"tasks of the workers that were not killed: {done}")
    return equal


def write_files(folder: Path, count: int, repeats: int) -> None:
    """Files of paragraphs, each of which comes `repeats` times: equal passages are embedded once."""
    draw = random.Random(repeats)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number in range(count):
        if number % 4 == 3:
            text = [
                "。".join("".join(draw.choices(KANJI, k=18)) for _ in range(12)) + "。" for _ in range(8 // repeats)
            ]
        else:
            text = [". ".join(" ".join(draw.choices(WORDS, k=14)) for _ in range(14)) for _ in range(8 // repeats)]
        if number % 4 == 2:  # HTML is read in the sandbox, and so by a worker
            page = "".join(f"<p>{each}.</p>" for each in text * repeats)
            (folder / f"{number:03}.html").write_text(f"<html><body>{page}</body></html>", encoding="utf-8")
        else:
            (folder / f"{number:03}.txt").write_text("\n\n".join(text * repeats), encoding="utf-8")


def ingest(folder: Path, name: str, client: Client | None) -> tuple[dict[str, object], float]:
    """What is in the index, and how long it took."""
    executor = None if client is None else client.get_executor()
    with CorpusIndex.open(folder / name) as index:
        began = time.monotonic()
        report = index.ingest(folder / "files", executor=executor)
        seconds = time.monotonic() - began
        assert not report.failed, report.failed
        found = [index.search(query, mode=mode) for query in ("keeper lamp", "灯台") for mode in ("lexical", "dense")]
    with closing(sqlite3.connect(folder / name / "corpus.sqlite3")) as database:
        tables = [database.execute(f"SELECT * FROM {each}").fetchall() for each in ("texts", "chunks", "vectors")]
    return {"chunks": report.chunks, "found": found, "tables": tables}, seconds


class Cluster:
    """A scheduler, and two workers in network namespaces of their own."""

    def __init__(self, hidden: Path) -> None:
        self.hidden = hidden
        self.killed: list[int] = []
        self.addresses = ["10.231.1.2", "10.231.2.2"]

    def __enter__(self) -> Cluster:
        self.hidden.mkdir()
        for i in (1, 2):
            for command in (
                f"ip netns add fleet{i}",
                f"ip link add fleet{i} type veth peer name eth0 netns fleet{i}",
                f"ip addr add 10.231.{i}.1/24 dev fleet{i}",
                f"ip link set fleet{i} up",
                f"ip netns exec fleet{i} ip addr add 10.231.{i}.2/24 dev eth0",
                f"ip netns exec fleet{i} ip link set eth0 up",
                f"ip netns exec fleet{i} ip link set lo up",
                f"ip netns exec fleet{i} ip route add default via 10.231.{i}.1",
            ):
                subprocess.run(command.split(), check=True)
        start = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
        self.scheduler = self._start([*start, "--host", "0.0.0.0", "--port", "8786", "--no-dashboard"])
        time.sleep(3)
        self.parents = [self._parent(1), self._parent(2)]
        self.workers = [self._worker(0), self._worker(1)]
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        for process in (*self.parents, self.scheduler):
            process.kill()
            process.wait()
        for i in (1, 2):
            subprocess.run(["ip", "netns", "delete", f"fleet{i}"], check=True)

    def kill(self, number: int) -> None:
        os.kill(self.workers[number], signal.SIGKILL)
        self.killed.append(number)

    def revive(self) -> None:
        while self.killed:
            number = self.killed.pop()
            self.workers[number] = self._worker(number)

    def done(self, client: Client) -> dict[str, int]:
        """How many tasks each worker has done since it began, by its address."""
        return client.run(lambda dask_worker: dask_worker.state.executed_count, on_error="ignore")

    def _worker(self, number: int) -> int:
        """Have a worker forked from a process in its namespace that has imported what it needs; its process id."""
        parent = self.parents[number]
        parent.stdin.write(b"\n")
        parent.stdin.flush()
        return int(parent.stdout.readline())

    def _parent(self, i: int) -> subprocess.Popen[bytes]:
        hide = f"mount -t tmpfs none {self.hidden}"  # in its own mount namespace
        worker = [ADDRESS.format(i), "--host", f"10.231.{i}.2", "--nthreads", "1", "--nworkers", "1", "--no-nanny"]
        command = ["sh", "-c", f'{hide} && exec "$@"', "sh", sys.executable, "-c", FORKS_WORKERS, *worker]
        return self._start(
            ["ip", "netns", "exec", f"fleet{i}", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def _start(self, command: list[str], **pipes: int) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            command, **{"stdout": subprocess.DEVNULL, **pipes}, stderr=subprocess.DEVNULL, env=environment
        )


if __name__ == "__main__":
    main()
