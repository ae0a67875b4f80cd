"""Peak memory of an ingest as the corpus grows, longctx beside llama-index's pipeline, in one run.

    python benchmarks/bench_ingest_memory.py [--sizes 250 1000 4000]

Each ingest has a process of its own, whose peak resident memory is printed. Both embed with a stand-in that costs
nothing (384 numbers from a hash), so that what is measured is the pipelines; an encoder adds a constant.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

DIMENSION = 384
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
        opened.ingest([corpus])


def ingest_llama_index(corpus: Path, index: Path) -> None:
    from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.node_parser import SentenceSplitter

    class Embedding(BaseEmbedding):
        def _get_text_embedding(self, text: str) -> list[float]:
            return vector(text).tolist()

        def _get_query_embedding(self, query: str) -> list[float]:
            return vector(query).tolist()

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return vector(query).tolist()

    documents = SimpleDirectoryReader(corpus, recursive=True).load_data()
    splitter = SentenceSplitter(chunk_size=256, chunk_overlap=0)
    built = VectorStoreIndex.from_documents(documents, embed_model=Embedding(), transformations=[splitter])
    built.storage_context.persist(index)


PIPELINES = {"longctx": ingest_longctx, "llama-index": ingest_llama_index}


def make_corpus(folder: Path, documents: int) -> None:
    random = np.random.default_rng(0)
    for number in range(documents):
        sentences = (" ".join(random.choice(WORDS, 12)) + "." for _ in range(120))
        path = folder / f"{number // 500:03}" / f"{number:06}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(sentences))


def measure(pipeline: str, corpus: Path) -> tuple[float, float]:
    """Peak resident memory in MB and seconds."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, __file__, "--child", pipeline, str(corpus), str(Path(folder) / "index")]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return float(done.stdout.split()[-1]), time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[250, 1000, 4000], help="documents of about 10 kB")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        pipeline, corpus, index = arguments.child
        PIPELINES[pipeline](Path(corpus), Path(index))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    print(f"{'documents':>10}{'MB of text':>12}" + "".join(f"{name + ' MB':>18}{'s':>8}" for name in PIPELINES))
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            make_corpus(Path(folder), size)
            megabytes = sum(file.stat().st_size for file in Path(folder).rglob("*.txt")) / 1e6
            results = [measure(name, Path(folder)) for name in PIPELINES]
        print(f"{size:>10}{megabytes:>12.1f}" + "".join(f"{peak:>18.0f}{s:>8.1f}" for peak, s in results), flush=True)


if __name__ == "__main__":
    main()
