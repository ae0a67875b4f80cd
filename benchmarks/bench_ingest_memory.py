"""Peak memory of an ingest as the corpus grows, longctx beside llama-index's pipeline, in one run.

    python benchmarks/bench_ingest_memory.py [--sizes 250 1000 4000]
    python benchmarks/bench_ingest_memory.py --data ../shared/data [--one 1 10 100] [--kinds txt jsonl html]

The second form ingests ONE document of so many megabytes: paragraphs of the books and of JSQuAD by turns, as plain
text, as records of JSON lines, as HTML. llama-index reads each as text, and gets no more than 1 MB: its time grows.
What a child process takes to read a format apart from the ingest is printed beside it. Each ingest has a process of
its own, whose peak resident memory is printed. Both embed with a stand-in that costs nothing (384 numbers from a
hash), so that what is measured is the pipelines; an encoder adds a constant.
"""

from __future__ import annotations

import argparse
import html
import json
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from itertools import cycle, product
from pathlib import Path

import numpy as np

DIMENSION = 384
MOST_OF_THE_PEER = 1  # megabytes
WORDS = ("river", "stone", "lantern", "harbour", "winter", "engine", "ledger", "copper", "signal", "orchard")


def vector(text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    numbers = np.random.default_rng(zlib.crc32(text.encode())).standard_normal(DIMENSION, dtype=np.float32)
    return numbers / np.linalg.norm(numbers)


class StandIn:
    """An `indexes.Encoder` without a model."""

    name, fingerprint, max_tokens, languages = "stand-in", "0", 256, None

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[(i, min(i + 5, len(text))) for i in range(0, len(text), 5)] for text in texts]

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        return np.stack([vector(text) for text in texts])

    def encode_query(self, text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        return vector(text)


def ingest_longctx(corpus: Path, index: Path) -> None:
    from indexes import CorpusIndex

    with CorpusIndex.open(index, StandIn()) as opened:
        report = opened.ingest([corpus])
        assert not report.failed, report.failed


def ingest_llama_index(corpus: Path, index: Path) -> None:
    from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
    from llama_index.core.node_parser import SentenceSplitter
    from same_encoder import SameEncoder

    documents = SimpleDirectoryReader(corpus, recursive=True).load_data()
    splitter = SentenceSplitter(chunk_size=256, chunk_overlap=0)
    built = VectorStoreIndex.from_documents(
        documents, embed_model=SameEncoder(StandIn(), batch=10), transformations=[splitter]
    )
    built.storage_context.persist(index)


PIPELINES = {"longctx": ingest_longctx, "llama-index": ingest_llama_index}


def make_corpus(folder: Path, documents: int) -> None:
    random = np.random.default_rng(0)
    for number in range(documents):
        sentences = (" ".join(random.choice(WORDS, 12)) + "." for _ in range(120))
        path = folder / f"{number // 500:03}" / f"{number:06}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(sentences))


def make_document(folder: Path, data: Path, megabytes: float, kind: str) -> None:
    """One file of mixed prose: a paragraph of the books, one of JSQuAD, and so on, over again."""
    english = [part for book in sorted(data.glob("books/*.txt")) for part in book.read_text().split("\n\n")]
    articles = json.loads((data / "jsquad-valid-v1.3.json").read_text())["data"]
    japanese = [part["context"].split("[SEP]")[-1].strip() for article in articles for part in article["paragraphs"]]
    paragraphs = (part for pair in zip(cycle(english), cycle(japanese), strict=False) for part in pair)
    with (folder / f"document.{kind}").open("w", encoding="utf-8") as file:
        left = megabytes * 1e6
        while (left := left - file.write(written := WRITTEN[kind](next(paragraphs)))) > 0:
            left += len(written) - len(written.encode())


WRITTEN: dict[str, Callable[[str], str]] = {
    "txt": lambda part: f"{part}\n\n",
    "jsonl": lambda part: json.dumps({"text": part}, ensure_ascii=False) + "\n",
    "html": lambda part: f"<p>{html.escape(part)}</p>\n",
}


def measure(pipeline: str, corpus: Path) -> tuple[float, float, float]:
    """Peak resident memory in MB of the ingest and of its child processes, and seconds."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, __file__, "--child", pipeline, str(corpus), str(Path(folder) / "index")]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        own, childs = map(float, done.stdout.split()[-2:])
        return own, childs, time.perf_counter() - began


def many_documents(sizes: Sequence[int]) -> None:
    print(f"{'documents':>10}{'MB of text':>12}" + "".join(f"{name + ' MB':>18}{'s':>8}" for name in PIPELINES))
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            make_corpus(Path(folder), size)
            megabytes = sum(file.stat().st_size for file in Path(folder).rglob("*.txt")) / 1e6
            results = [measure(name, Path(folder)) for name in PIPELINES]
        print(f"{size:>10}{megabytes:>12.1f}" + "".join(f"{own:>18.0f}{s:>8.1f}" for own, _, s in results), flush=True)


def one_document(data: Path, sizes: Sequence[float], kinds: Sequence[str]) -> None:
    print(
        f"{'one document':<14}{'MB':>6}" + "".join(f"{name + ' MB':>16}{'child MB':>10}{'s':>8}" for name in PIPELINES)
    )
    for kind, size in product(kinds, sizes):
        with tempfile.TemporaryDirectory() as folder:
            make_document(Path(folder), data, size, kind)
            names = [name for name in PIPELINES if name == "longctx" or size <= MOST_OF_THE_PEER]
            results = [measure(name, Path(folder)) for name in names]
        cells = "".join(f"{own:>16.0f}{childs:>10.0f}{s:>8.1f}" for own, childs, s in results)
        print(f"{kind:<14}{size:>6.0f}{cells}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[250, 1000, 4000], help="documents of about 10 kB")
    parser.add_argument("--data", type=Path, help="the folder in which books/ and JSQuAD lie, for one document")
    parser.add_argument("--one", type=float, nargs="+", default=[1, 10, 99], help="megabytes of one document")
    parser.add_argument("--kinds", choices=WRITTEN, nargs="+", default=list(WRITTEN))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        pipeline, corpus, index = arguments.child
        PIPELINES[pipeline](Path(corpus), Path(index))
        of = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        print(*(resource.getrusage(each).ru_maxrss / 1024 for each in of))
    elif arguments.data is not None:
        one_document(arguments.data, arguments.one, arguments.kinds)
    else:
        many_documents(arguments.sizes)


if __name__ == "__main__":
    main()
