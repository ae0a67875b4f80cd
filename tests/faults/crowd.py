"""Many writers and many readers on one index folder, each a process of its own.

    python tests/faults/crowd.py [--writers 10] [--readers 50] [--minutes 10] [--seed 0]

Each writer ingests, changes and removes documents of its own, and all of them also write one that they share. Nothing may
be lost or doubled, no reader may see a half document, and the only errors are those that say that another process writes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "support"))
from hashing_encoder import HashingEncoder

BUSY = re.compile(r"another process is writing|changed while it was read|replaced or damaged while they were read")
NAME = re.compile(r"subject(\w+) in version(\d+)\.")
DOCUMENTS = 6  # of each writer


def text_of(name: str, version: int) -> str:
    """Several chunks, each of which says which document and which version it is of."""
    lines = 8 + version % 7
    return "".join(f"subject{name} in version{version}. Line {n} of {lines}, no more.\n" for n in range(1, lines + 1))


def opened(folder: Path) -> Any:
    from indexes import CorpusIndex

    return CorpusIndex.open(folder / "index", HashingEncoder())


class Worker:
    """What a process did: counts of what went well, busy answers, and what was wrong."""

    def __init__(self, seed: int) -> None:
        self.luck, self.counts, self.wrong = random.Random(seed), Counter[str](), Counter[str]()
        self.stored: dict[str, int | None] = {}

    def attempt(self, what: str, action: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        from indexes.errors import CorpusError

        try:
            result = action(*arguments, **options)
        except CorpusError as error:
            self.counts["busy" if BUSY.search(str(error)) else "wrong"] += 1
            if not BUSY.search(str(error)) or "\n" in str(error):
                self.wrong[f"{what}: {error}"[:500]] += 1
        except Exception as error:
            self.wrong[f"{what}: {type(error).__name__} {error}"[:500]] += 1
        else:
            self.counts[what] += 1
            return result
        return None

    def write(self, folder: Path, me: int, until: float) -> None:
        version, index = 0, opened(folder)
        while time.monotonic() < until:
            version += 1
            name = f"{me}x{self.luck.randrange(DOCUMENTS)}" if self.luck.random() < 0.9 else "shared"
            path, wait = folder / "docs" / f"{name}.txt", self.luck.choice([False, True, 2.0])
            if self.luck.random() < 0.2 and name != "shared":
                if self.attempt("removed", index.remove, path, wait=wait) is not None:
                    self.stored[name] = None
                continue
            with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as new:
                new.write(text_of(name, version))
            Path(new.name).replace(path)
            if self.attempt("ingested", index.ingest, path, wait=wait) is not None and name != "shared":
                self.stored[name] = version
                self.attempt("found", self.check, index, name, version)
            if self.luck.random() < 0.1:
                index.close()
                index = opened(folder)
        index.close()

    def read(self, folder: Path, me: int, until: float) -> None:
        while time.monotonic() < until:
            if (index := self.attempt("opened", opened, folder)) is None:
                continue
            with index:
                for _ in range(self.luck.randint(1, 20)):
                    mode = self.luck.choice(["lexical", "dense", "hybrid"])
                    self.attempt("searched", self.search, index, mode)
                    self.attempt("looked", self.look, index)

    def check(self, index: Any, name: str, version: int) -> None:
        assert index.text(index.path.parent / "docs" / f"{name}.txt") == text_of(name, version), f"{name} is another"

    def search(self, index: Any, mode: str) -> None:
        for hit in index.search(f"subject{self.luck.randrange(10)}x{self.luck.randrange(DOCUMENTS)}", k=20, mode=mode):
            [(name, version)] = set(NAME.findall(hit.chunk.text)) or {("", "0")}
            whole = text_of(name, int(version))
            assert not name or whole[hit.chunk.start : hit.chunk.end] == hit.chunk.text, (
                f"a chunk of another text: {hit}"
            )

    def look(self, index: Any) -> None:
        """Every document of a generation once and whole, and each found by its chunks."""
        with index.snapshot() as snapshot:
            documents = snapshot.documents()
            names = Counter(Path(document.source).stem for document in documents)
            assert not documents or max(names.values()) == 1, f"doubled: {names.most_common(2)}"
            for document in self.luck.sample(documents, min(3, len(documents))):
                text = snapshot.text(document.source)
                [(name, version)] = set(NAME.findall(text))
                assert text == text_of(name, int(version)), f"half a document: {text!r}"
                hits = snapshot.search(f"subject{name}", k=500, mode="lexical")
                found = [hit.chunk for hit in hits if hit.chunk.source == document.source]
                assert len(found) == document.chunks, f"{len(found)} of {document.chunks} chunks of {name}"
                assert all(text[chunk.start : chunk.end] == chunk.text for chunk in found), f"chunks of another {name}"


def forked(job: Callable[[], Worker], report: Path) -> int:
    if pid := os.fork():
        return pid
    try:
        done = job()
        report.write_text(json.dumps([done.counts, done.wrong, done.stored]))
    finally:
        os._exit(0)


def run(folder: Path, writers: int, readers: int, seconds: float, seed: int) -> int:
    (folder / "docs").mkdir()
    opened(folder).close()
    until, jobs = time.monotonic() + seconds, []
    for number in range(writers + readers):

        def job(number: int = number) -> Worker:
            worker = Worker(seed * 1000 + number)
            (worker.write if number < writers else worker.read)(folder, number, until)
            return worker

        jobs.append((forked(job, folder / f"report-{number}"), folder / f"report-{number}"))
    counts, wrong, stored = Counter[str](), Counter[str](), {}
    for pid, report in jobs:
        os.waitpid(pid, 0)
        if not report.exists():
            wrong[f"{report.name}: the process died"] += 1
            continue
        done, errors, kept = json.loads(report.read_text())
        counts.update(done)
        wrong.update(errors)
        stored |= kept
    with opened(folder) as index:
        there = {
            Path(d.source).stem: index.text(d.source) for d in index.documents() if Path(d.source).stem != "shared"
        }
        wanted = {name: text_of(name, version) for name, version in stored.items() if version is not None}
        lost, more = wanted.keys() - there.keys(), there.keys() - wanted.keys()
        other = [name for name in wanted.keys() & there.keys() if wanted[name] != there[name]]
        problems = index.verify().problems
    for what, number in wrong.most_common():
        print(f"WRONG, {number} times: {what}")
    print(f"{writers} writers, {readers} readers, {seconds / 60:g} minutes: {dict(counts)}")
    print(
        f"at the end {len(there)} documents: lost {lost or 0}, too many {more or 0}, other {other or 0}; {problems or 'whole'}"
    )
    return 1 if wrong or lost or more or other or problems else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("writers", 10), ("readers", 50), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--minutes", type=float, default=10)
    given = parser.parse_args()
    if "OMP_NUM_THREADS" not in os.environ:
        threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")}
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | threads)
    importlib.import_module("forked_longctx").import_everything()
    importlib.import_module("indexes.text").text_language("What takes each process a second to load.")
    with tempfile.TemporaryDirectory(prefix="longctx-crowd-") as folder:
        return run(Path(folder), given.writers, given.readers, 60 * given.minutes, given.seed)


if __name__ == "__main__":
    sys.exit(main())
