"""The index in a folder, as it is and as another commit has it: what the servers beside it cost whoever uses none.

    git archive COMMIT | tar x -C OLD
    python benchmarks/bench_default_path.py OLD --data ../shared/data [--new TREE] [--rounds 7]

Both trees ingest the same paragraphs of XQuAD and JSQuAD, open the index, search it and add to it, in turns, each time
in a new process. Vectors are hashes of words, so that no model hides the difference. Printed are the medians, and the
median of the ratios of each pair of runs; below them, which packages for servers and clusters a run has imported.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
FOREIGN = ("psycopg", "pymilvus", "distributed", "dask", "ray", "fsspec", "s3fs")
PARAGRAPHS, QUESTIONS = 400, 150  # of each language


class Hashing:
    """An encoder without a model."""

    name, fingerprint, max_tokens, languages = "hashing", "1", 256, None

    def token_offsets(self, texts: list[str]) -> list[list[tuple[int, int]]]:
        return [[(i, min(i + 5, len(text))) for i in range(0, len(text), 5)] for text in texts]

    def encode_passages(self, texts: list[str]) -> Any:
        vectors = np.full((len(texts), 384), 1e-3, dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.split():
                row[zlib.crc32(word.encode()) % 384] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode_query(self, text: str) -> Any:
        return self.encode_passages([text])[0]


def write_corpus(data: Path, folder: Path) -> list[str]:
    questions = []
    for language, file in {"en": "xquad.en.json", "ja": "jsquad-valid-v1.3.json"}.items():
        articles = json.loads((data / file).read_text(encoding="utf-8"))["data"]
        paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
        (folder / language).mkdir(parents=True)
        for number, paragraph in enumerate(paragraphs[:PARAGRAPHS]):
            (folder / language / f"{number}.md").write_text(paragraph["context"], encoding="utf-8")
        questions += [paragraph["qas"][0]["question"] for paragraph in paragraphs[:QUESTIONS]]
    return questions


def run(corpus: Path) -> None:
    """What one process measures."""
    figures: dict[str, float] = {}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        began = time.process_time()  # what others do on the machine does not count
        result = call()
        figures[name] = (time.process_time() - began) * 1000
        return result

    def imported() -> Any:
        import indexes
        import longctx  # noqa: F401

        indexes.CorpusIndex, indexes.Document  # noqa: B018  # which is imported now
        return indexes

    indexes = timed("import", imported)
    questions, encoder = json.loads((corpus / "questions.json").read_text()), Hashing()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "index"

        def ingest() -> None:
            with indexes.CorpusIndex.open(place, encoder) as index:
                assert not index.ingest([corpus / "en", corpus / "ja"]).failed

        timed(f"ingest {len(list(corpus.glob('*/*.md')))} files", ingest)
        index = timed("open", lambda: indexes.CorpusIndex.open(place, encoder))
        index.search(questions[0])
        for mode in ("hybrid", "lexical", "dense"):
            timed(
                f"{len(questions)} searches, {mode}", lambda mode=mode: [index.search(q, 10, mode) for q in questions]
            )
        timed("ingest again, unchanged", lambda: index.ingest([corpus / "en", corpus / "ja"]))
        new = [indexes.Document(f"new {n}", f"A new text about lamp {n}.", "") for n in range(20)]
        timed("add 20 documents, one by one", lambda: [index.add([document]) for document in new])
        index.close()
    figures["imported"] = [name for name in FOREIGN if name in sys.modules]  # type: ignore[assignment]
    print(json.dumps(figures))


def compare(old: Path, new: Path, data: Path, rounds: int) -> None:
    trees, found = {"old": old.resolve(), "new": new.resolve()}, {"old": [], "new": []}  # type: ignore[var-annotated]
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder)
        (corpus / "questions.json").write_text(json.dumps(write_corpus(data, corpus)))
        for turn in range(rounds + 1):  # the first warms up
            for name in sorted(trees, reverse=turn % 2 == 0):
                environment = {**os.environ, "PYTHONPATH": str(trees[name])}
                command = [sys.executable, __file__, "run", "--data", str(corpus)]
                done = subprocess.run(command, env=environment, cwd=trees[name], capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(done.stderr)
                found[name] += [json.loads(done.stdout.splitlines()[-1])] if turn else []
    print(f"{'ms of CPU, median of ' + str(rounds):<28}{'before':>10}{'now':>10}{'now/before':>12}")
    for what in found["new"][0]:
        if what == "imported":
            continue
        before, now = (np.array([each[what] for each in found[name]]) for name in ("old", "new"))
        print(f"{what:<28}{np.median(before):>10.1f}{np.median(now):>10.1f}{np.median(now / before):>12.3f}")
    print("imported for servers and clusters:", ", ".join(found["new"][0]["imported"]) or "nothing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, help="the tree of another commit")
    parser.add_argument("--data", type=Path, required=True, help="the folder of XQuAD and JSQuAD")
    parser.add_argument("--new", type=Path, default=ROOT, help="the other tree (default: this one)")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    run(given.data) if str(given.old) == "run" else compare(given.old, given.new, given.data, given.rounds)


if __name__ == "__main__":
    main()
