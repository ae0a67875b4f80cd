"""Search in a large index: time to open, to search and to add, memory, and recall, beside llama-index's FAISS store.

    python benchmarks/bench_search.py make FOLDER [--chunks 1000000]
    python benchmarks/bench_search.py search FOLDER [--queries 300]
    python benchmarks/bench_search.py peer [--chunks 100000]

`make` fills an index with made chunks, without an encoder. Their vectors are a mixture of 4,000 Gaussians on the sphere
of 384 dimensions, of unequal weight, whose noise has a decaying spectrum (variance 1/i in dimension i of a random
basis), as that of embeddings does; queries are drawn from the same mixture. Their texts are words of a vocabulary of
100,000, by Zipf's law. `search` measures in a process that is bound to one core, and `peer` puts llama-index's
FaissVectorStore (an exact IndexFlatIP) beside an index of ours, with the same vectors and texts. A query's words are
taken from a random chunk.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

DIMENSION, CLUSTERS, VOCABULARY, WORDS, CHUNKS_OF_DOCUMENT = 384, 4000, 100_000, 160, 10
BATCH = 20_000
Vectors = npt.NDArray[np.float32]


class Mixture:
    """Where the vectors come from; `draw` gives unit vectors."""

    def __init__(self) -> None:
        random = np.random.default_rng(123)
        self._basis = np.linalg.qr(random.standard_normal((DIMENSION, DIMENSION)))[0].astype(np.float32)
        spectrum = 1 / np.sqrt(np.arange(1, DIMENSION + 1))
        self._spectrum = (spectrum / np.linalg.norm(spectrum)).astype(np.float32)
        self._centres = unit(self._noise(random, CLUSTERS))
        weights = 1 / np.sqrt(np.arange(1, CLUSTERS + 1))
        self._weights = weights / weights.sum()

    def draw(self, count: int, seed: int) -> Vectors:
        random = np.random.default_rng(seed)
        of = random.choice(CLUSTERS, count, p=self._weights)
        return unit(self._centres[of] + np.float32(0.8) * self._noise(random, count))

    def _noise(self, random: np.random.Generator, count: int) -> Vectors:
        noise: Vectors = (random.standard_normal((count, DIMENSION), dtype=np.float32) * self._spectrum) @ self._basis
        return noise


def unit(vectors: Vectors) -> Vectors:
    scaled: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


class Words:
    """Where the texts come from."""

    def __init__(self) -> None:
        random = np.random.default_rng(5)
        syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
        picks = random.integers(len(syllables), size=(VOCABULARY, 4))
        self._words = ["".join(syllables[i] for i in row[: 1 + number % 4]) for number, row in enumerate(picks)]
        self._upto = np.cumsum(1 / np.arange(1, VOCABULARY + 1))

    def texts(self, count: int, seed: int) -> list[str]:
        draws = np.random.default_rng(seed).random((count, WORDS)) * self._upto[-1]
        return [" ".join(map(self._words.__getitem__, row)) for row in np.searchsorted(self._upto, draws).tolist()]


class StandIn:
    """An `indexes.Encoder` without a model: a query has the vector that was put beside it, a passage a random one."""

    name, fingerprint, max_tokens, languages = "stand-in", "0", 256, None

    def __init__(self) -> None:
        self.queries: dict[str, Vectors] = {}
        self._mixture = Mixture()

    def token_offsets(self, texts: list[str]) -> list[list[tuple[int, int]]]:
        return [[(i, min(i + 5, len(text))) for i in range(0, len(text), 5)] for text in texts]

    def encode_passages(self, texts: list[str]) -> Vectors:
        return self._mixture.draw(len(texts), len(texts[0]))

    def encode_query(self, text: str) -> Vectors:
        return self.queries[text]


def batches(chunks: int, there: int = 0) -> Iterator[tuple[int, list[str], Vectors]]:
    """Number, texts and vectors of each batch that is not there yet."""
    mixture, words = Mixture(), Words()
    for number, first in enumerate(range(0, chunks, BATCH)):
        if first < there:
            continue
        count = min(BATCH, chunks - first)
        yield number, words.texts(count, 1000 + number), mixture.draw(count, 1000 + number)


def make(folder: Path, chunks: int) -> None:
    from indexes.folder import IndexFolder

    began = time.perf_counter()
    index = IndexFolder.open(folder, create=True)
    with index.writing() as writer:
        for number, texts, vectors in batches(chunks, writer.store.counts()[1]):
            with writer.batch() as generation:
                writer.store.set_meta("encoder", StandIn.name)
                writer.store.set_meta("encoder_fingerprint", StandIn.fingerprint)
                for first in range(0, len(texts), CHUNKS_OF_DOCUMENT):
                    rows = slice(first, first + CHUNKS_OF_DOCUMENT)
                    add_document(
                        writer.store, f"/made/{number:04}/{first:06}.txt", texts[rows], vectors[rows], generation
                    )
            print(f"{(number + 1) * BATCH:>9} chunks, {time.perf_counter() - began:.0f} s", flush=True)
    index.close()
    print(f"made in {time.perf_counter() - began:.0f} s, {megabytes(folder)} MB on the disk")


def add_document(store, source: str, texts: list[str], vectors: Vectors, generation: int) -> None:  # noqa: ANN001
    from indexes.types import Chunk, Document

    text = "\n".join(texts)
    document_id = store.add_document(Document(source, text, Path(source).stem), source, generation)
    chunks, start = [], 0
    for line, each in enumerate(texts, start=1):
        chunks.append(Chunk(each, source, Path(source).stem, "", None, start, start + len(each), line, WORDS))
        start += len(each) + 1
    store.add_chunks(document_id, chunks, vectors, generation)


def megabytes(folder: Path) -> dict[str, int]:
    parts = {
        "database": folder.glob("corpus*"),
        "dense": folder.glob("dense/*"),
        "lexical": folder.rglob("lexical/*/*"),
    }
    return {name: sum(file.stat().st_size for file in files) // 2**20 for name, files in parts.items()}


def queries(count: int, words: int, seed: int) -> tuple[list[str], Vectors]:
    random = np.random.default_rng(seed)
    texts = [" ".join(random.choice(text.split(), words, replace=False)) for text in Words().texts(count, seed)]
    return texts, Mixture().draw(count, seed)


def exact(chunks: int, asked: Vectors, k: int) -> npt.NDArray[np.int64]:
    """Ids (n, k) of the chunks with the largest products: the chunk ids count from 1."""
    scores, ids = np.full((len(asked), k), -9, np.float32), np.zeros((len(asked), k), np.int64)
    mixture = Mixture()
    for number, first in enumerate(range(0, chunks, BATCH)):
        new = asked @ mixture.draw(min(BATCH, chunks - first), 1000 + number).T
        best = np.argpartition(-new, k, axis=1)[:, :k]
        scores, ids = np.hstack([scores, np.take_along_axis(new, best, 1)]), np.hstack([ids, best + first + 1])
        order = np.argsort(-scores, axis=1)[:, :k]
        scores, ids = np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
    return ids


def timed(call: Callable[[int], object], count: int) -> str:
    seconds = []
    for number in range(count):
        began = time.perf_counter()
        call(number)
        seconds.append(time.perf_counter() - began)
    p50, p99 = np.quantile(seconds, [0.5, 0.99]) * 1000
    return f"p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   slowest {max(seconds) * 1000:6.1f} ms"


def child(folder: Path, count: int) -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from indexes import CorpusIndex

    encoder = StandIn()
    began = time.perf_counter()
    index = CorpusIndex.open(folder, encoder)
    report("open", f"{time.perf_counter() - began:.3f} s")
    texts, vectors = queries(count, 8, 7)
    encoder.queries = dict(zip(texts, vectors, strict=True))
    began = time.perf_counter()
    index.search(texts[0])
    report("first search", f"{time.perf_counter() - began:.3f} s")
    for mode in ("hybrid", "dense", "lexical"):
        report(f"{mode}, 8 words", timed(lambda number, mode=mode: index.search(texts[number], 10, mode), count))
    longer, vectors_too = queries(count, 24, 8)
    encoder.queries = dict(zip(longer, vectors_too, strict=True))
    report("hybrid, 24 words", timed(lambda number: index.search(longer[number]), count))
    report(
        "resident memory", f"{resident()} MB now, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB peak"
    )
    chunks = index.info().chunks
    encoder.queries = dict(zip(texts, vectors, strict=True))
    ids = [{hit.chunk.id for hit in index.search(text, 10, "dense")} for text in texts]
    truth = exact(chunks, vectors, 10)
    report(
        "recall at 10, dense",
        f"{np.mean([len(a & set(b)) / 10 for a, b in zip(ids, truth.tolist(), strict=True)]):.4f}",
    )


def add(folder: Path, rounds: int) -> None:
    """Files of 100 chunks in all, ingested into the index and removed again."""
    from indexes import CorpusIndex

    with tempfile.TemporaryDirectory() as corpus, CorpusIndex.open(folder, StandIn()) as index:
        for number in range(rounds):
            new = Path(corpus) / str(number)
            new.mkdir()
            for file, text in enumerate(Words().texts(100, 100_000 + number)):
                (new / f"{file}.txt").write_text(text)
            began = time.perf_counter()
            ingested = index.ingest([new])
            report(f"add {ingested.chunks} chunks", f"{time.perf_counter() - began:.2f} s")
            began = time.perf_counter()
            index.remove(new)
            report("remove them", f"{time.perf_counter() - began:.2f} s")


def encoding() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from indexes.encoders import load_encoder

    encoder = load_encoder()
    encoder.encode_query("warm")
    texts = ["How is the rotary position embedding scaled past the window?", "When do cats hunt?"]
    report("encode one query", timed(lambda number: encoder.encode_query(texts[number % 2]), 100))


def peer(chunks: int, count: int) -> None:
    import faiss
    from llama_index.core import StorageContext, VectorStoreIndex
    from llama_index.core.embeddings import MockEmbedding
    from llama_index.core.schema import TextNode
    from llama_index.core.vector_stores.types import VectorStoreQuery
    from llama_index.vector_stores.faiss import FaissVectorStore

    faiss.omp_set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        store = FaissVectorStore(faiss_index=faiss.IndexFlatIP(DIMENSION))
        context = StorageContext.from_defaults(vector_store=store)
        index = VectorStoreIndex([], storage_context=context, embed_model=MockEmbedding(DIMENSION))
        for _, texts, vectors in batches(chunks):
            index.insert_nodes([TextNode(text=t, embedding=v.tolist()) for t, v in zip(texts, vectors, strict=True)])
        index.storage_context.persist(folder)
        del index, store, context
        began = time.perf_counter()
        loaded = StorageContext.from_defaults(
            vector_store=FaissVectorStore.from_persist_dir(folder), persist_dir=folder
        )
        report("llama-index: open", f"{time.perf_counter() - began:.3f} s")
        _, asked = queries(count, 8, 7)
        vector_queries = [VectorStoreQuery(query_embedding=v.tolist(), similarity_top_k=10) for v in asked]
        report("llama-index: dense", timed(lambda number: loaded.vector_store.query(vector_queries[number]), count))
        report("llama-index: resident memory", f"{resident()} MB")
        new = [TextNode(text=f"new {i}", embedding=v.tolist()) for i, v in enumerate(Mixture().draw(100, 99))]
        began = time.perf_counter()
        loaded.vector_store.add(new)
        loaded.docstore.add_documents(new)
        loaded.persist(folder)
        report("llama-index: add 100 chunks", f"{time.perf_counter() - began:.2f} s")


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20


def report(what: str, value: str) -> None:
    print(f"{what:<30}{value}", flush=True)


def run_child(*arguments: str) -> None:
    subprocess.run([sys.executable, __file__, *arguments], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "search", "child", "add", "encode", "peer"])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("made-index"))
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=300)
    arguments = parser.parse_args()
    parts: dict[str, Callable[[], None]] = {
        "make": lambda: make(arguments.folder, arguments.chunks),
        "child": lambda: child(arguments.folder, arguments.queries),
        "add": lambda: add(arguments.folder, 3),
        "encode": encoding,
        "peer": lambda: peer(min(arguments.chunks, 100_000), arguments.queries),
        "search": lambda: [run_child(part, str(arguments.folder)) for part in ("child", "encode", "add")] and None,
    }
    parts[arguments.what]()


if __name__ == "__main__":
    main()
