"""Ingesting beside llama-index's pipeline with the same encoder, in one run.

    python benchmarks/bench_ingest.py --data ../shared/data [--characters 300000] [--files 1000 4000]

First, the three books (books/*.txt, the whole of them without `--characters`), chunked, embedded and indexed: longctx
as it is, longctx in fp32, and llama-index (SentenceSplitter, IngestionPipeline, VectorStoreIndex, and
an embedding as its HuggingFaceEmbedding is by default: fp32, ten texts at a time). Each has a process of its own, in
which the model is loaded before the clock starts. SentenceSplitter is told a size at which its chunks are on average
as long as ours. The vectors of longctx are compared with those that it makes in fp32. Recall is of the vectors alone:
the longest sentence of every third chunk should find its chunk among all of the same table row.

Then as many small files as `--files` says: the first time, again unchanged, and with one file changed. The peer is an
IngestionPipeline with a docstore, which recognises what it has seen. `--characters 0` leaves out the books, `--files`
without a number the files.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from indexes import CorpusIndex, Encoder
from indexes.encoders import load_encoder
from indexes.storage import LexicalIndex
from indexes.text import sentence_spans

SAME_SIZE = 222  # tokens; SentenceSplitter(256) fills its chunks to 240 on average, ours have about 200
Times = dict[str, float]


class Recorder:
    """An encoder that keeps the passages and vectors of an ingest, and counts the seconds of its parts."""

    def __init__(self, encoder: Encoder) -> None:
        self.name, self.fingerprint = encoder.name, encoder.fingerprint
        self.max_tokens, self.languages = encoder.max_tokens, encoder.languages
        self.encode_query = encoder.encode_query
        self._encoder = encoder
        self.seconds = {"embedding": 0.0, "tokenising": 0.0, "making the lexical index": 0.0}
        self.texts: list[str] = []
        self.vectors: list[Any] = []

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return self.timed("tokenising", self._encoder.token_offsets, texts)

    def encode_passages(self, texts: Sequence[str]) -> Any:
        self.texts += texts
        self.vectors.append(self.timed("embedding", self._encoder.encode_passages, texts))
        return self.vectors[-1]

    def timed(self, job: str, work: Callable[..., Any], *given: Any) -> Any:
        began = time.perf_counter()
        result = work(*given)
        self.seconds[job] += time.perf_counter() - began
        return result


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def warm(encoder: Encoder) -> None:
    encoder.encode_passages(["a text"] * 20)
    encoder.encode_query("a text")


def ingest(folder: Path, index: Path, encoder: Encoder) -> None:
    with CorpusIndex.open(index, encoder) as opened:
        assert not opened.ingest([folder]).failed


def books_longctx(corpus: Path, folder: Path, fp32: bool) -> dict[str, Any]:
    """What was measured; the vectors go to a file in `folder`."""
    if fp32:
        import indexes.encoders.cpu_inference as inference

        inference.has_bf16 = inference.has_int8 = lambda: False
    encoder = Recorder(load_encoder())
    warm(encoder)
    encoder.texts.clear(), encoder.vectors.clear()
    encoder.seconds = dict.fromkeys(encoder.seconds, 0.0)
    sync = LexicalIndex.sync
    LexicalIndex.sync = lambda *given: encoder.timed("making the lexical index", sync, *given)
    total = seconds(lambda: ingest(corpus, folder / f"index-{fp32}", encoder))
    vectors = np.concatenate(encoder.vectors)
    np.save(folder / f"{fp32}.npy", vectors)
    tokens = sum(map(len, encoder.token_offsets(encoder.texts)))
    shares = {job: spent / total for job, spent in encoder.seconds.items()}
    found = recall(encoder.encode_query, encoder.texts, vectors)
    return {"chunks": len(vectors), "tokens": tokens, "seconds": total, "shares": shares, "recall": found}


def recall(encode_query: Callable[[str], Any], texts: list[str], vectors: Any) -> list[float]:
    """At 1, 5 and 10: the longest sentence of every third chunk as the question, that chunk as the answer."""
    import torch

    torch.set_num_threads(1)  # the clock has stopped
    ranks = []
    for number in range(0, len(texts), 3):
        body = texts[number].split("\n", 1)[-1]
        start, end = max(sentence_spans(body), key=lambda span: span[1] - span[0])
        scores = vectors @ np.asarray(encode_query(body[start:end]), np.float32)
        ranks.append(int((scores > scores[number]).sum()))
    return [float(np.mean(np.array(ranks) < k)) for k in (1, 5, 10)]


def llama_embedding() -> Any:
    """The default encoder as llama-index's HuggingFaceEmbedding runs a model: plain, ten texts at a time."""
    from same_encoder import SameEncoder
    from sentence_transformers import SentenceTransformer

    model, batch = SentenceTransformer(str(load_encoder().folder), device="cpu"), 10
    encode = partial(model.encode, batch_size=batch, normalize_embeddings=True, show_progress_bar=False)
    embedding = SameEncoder(SimpleNamespace(name="default", encode_passages=encode, encode_query=encode), batch)
    embedding.get_text_embedding_batch(["a text"] * 20)
    return embedding


def llama_documents(corpus: Path) -> Any:
    """Every file with its name as its metadata, as our chunks have their title; its path is its id."""
    from llama_index.core import SimpleDirectoryReader

    title = lambda path: {"title": Path(path).stem}  # noqa: E731
    return SimpleDirectoryReader(corpus, recursive=True, filename_as_id=True, file_metadata=title).load_data()


def llama_splitter() -> Any:
    from llama_index.core.node_parser import SentenceSplitter

    tokenizer = load_encoder()._model.tokenizer  # its counts are the encoder's, as ours are
    count = partial(tokenizer.encode, add_special_tokens=False, verbose=False)
    return SentenceSplitter(chunk_size=SAME_SIZE, chunk_overlap=0, tokenizer=count)


def books_llama_index(corpus: Path, folder: Path) -> dict[str, Any]:
    from llama_index.core import VectorStoreIndex
    from llama_index.core.ingestion import IngestionPipeline
    from llama_index.core.schema import MetadataMode

    embedding, splitter, nodes = llama_embedding(), llama_splitter(), []

    def work() -> None:
        nodes.extend(IngestionPipeline(transformations=[splitter, embedding]).run(documents=llama_documents(corpus)))
        VectorStoreIndex(nodes, embed_model=embedding).storage_context.persist(folder / "llama-index")

    total = seconds(work)
    texts = [node.get_content(MetadataMode.EMBED) for node in nodes]
    tokens = sum(map(len, load_encoder().token_offsets(texts)))
    vectors = np.array([node.embedding for node in nodes], np.float32)
    found = recall(embedding.get_query_embedding, texts, vectors)
    return {"chunks": len(nodes), "tokens": tokens, "seconds": total, "recall": found}


def files_longctx(corpus: Path, folder: Path) -> dict[str, Any]:
    encoder = load_encoder()
    warm(encoder)
    return {"seconds": three_times(corpus, lambda: ingest(corpus, folder / "files", encoder))}


def files_llama_index(corpus: Path, folder: Path) -> dict[str, Any]:
    from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
    from llama_index.core.storage.docstore import SimpleDocumentStore
    from llama_index.core.vector_stores import SimpleVectorStore

    pipeline = IngestionPipeline(
        transformations=[llama_splitter(), llama_embedding()],
        docstore=SimpleDocumentStore(),
        vector_store=SimpleVectorStore(),
        docstore_strategy=DocstoreStrategy.UPSERTS,
        disable_cache=True,
    )

    def work() -> None:
        pipeline.run(documents=llama_documents(corpus))
        pipeline.persist(str(folder / "pipeline"))
        pipeline.vector_store.persist(str(folder / "pipeline" / "vectors.json"))

    return {"seconds": three_times(corpus, work)}


def three_times(corpus: Path, work: Callable[[], None]) -> list[float]:
    """Seconds the first time, again unchanged, and with one file changed."""
    times = [seconds(work), seconds(work)]
    changed = min(corpus.glob("*.txt"))
    changed.write_text(changed.read_text() + " Changed.")
    return [*times, seconds(work)]


JOBS = {
    "longctx": partial(books_longctx, fp32=False),
    "longctx, fp32": partial(books_longctx, fp32=True),
    "llama-index": books_llama_index,
    "files longctx": files_longctx,
    "files llama-index": files_llama_index,
}


def measure(job: str, corpus: Path, folder: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", job, str(corpus), str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare_books(books: list[Path], characters: int | None, folder: Path) -> None:
    corpus = folder / "books"
    corpus.mkdir()
    for book in books:
        (corpus / book.name).write_text(book.read_text(encoding="utf-8")[:characters], encoding="utf-8")
    print(
        f"{'the books':<16}{'chunks':>8}{'tokens each':>13}{'s':>8}{'chunks/s':>10}{'tokens/s':>10}{'R@1':>9}{'R@5':>8}"
    )
    results = {}
    for job in ("longctx", "longctx, fp32", "llama-index"):
        got = results[job] = measure(job, corpus, folder)
        chunks, tokens, spent = got["chunks"], got["tokens"], got["seconds"]
        found = "".join(f"{value:>8.4f}" for value in got["recall"][:2])
        rates = f"{chunks / spent:>10.1f}{tokens / spent:>10.0f}"
        print(f"{job:<16}{chunks:>8}{tokens / chunks:>13.0f}{spent:>8.1f}{rates} {found}", flush=True)
    peer = results["llama-index"]
    for job in ("longctx", "longctx, fp32"):
        got = results[job]
        chunks = (got["chunks"] / got["seconds"]) / (peer["chunks"] / peer["seconds"])
        tokens = (got["tokens"] / got["seconds"]) / (peer["tokens"] / peer["seconds"])
        print(f"{job}: {chunks:.2f} times the chunks per second of llama-index, {tokens:.2f} times the tokens")
        print("    of its time: " + ", ".join(f"{share:.0%} {job}" for job, share in got["shares"].items()))
    cosines = (np.load(folder / "True.npy") * np.load(folder / "False.npy")).sum(1)
    print(f"cosine to fp32: {cosines.mean():.6f} on average, {cosines.min():.6f} at least")


def compare_files(books: list[Path], files: int, folder: Path) -> None:
    text = "".join(book.read_text(encoding="utf-8") for book in books)
    size = min(700, len(text) // files)
    print(f"\n{f'{files} files':<16}{'first, s':>12}{'again':>12}{'one changed':>14}{'first / again':>16}")
    for job in ("longctx", "llama-index"):
        corpus = folder / f"files {job}"
        corpus.mkdir()
        for number in range(files):
            (corpus / f"{number:06}.txt").write_text(text[number * size : (number + 1) * size], encoding="utf-8")
        first, again, changed = measure(f"files {job}", corpus, folder)["seconds"]
        print(f"{job:<16}{first:>12.2f}{again:>12.3f}{changed:>14.3f}{first / again:>16.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder in which books/ lies")
    parser.add_argument("--characters", type=int, help="read that many of each book; 0: leave the books out")
    parser.add_argument("--files", type=int, nargs="*", default=[1000], help="small files for the second part")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        job, corpus, folder = arguments.child
        print(json.dumps(JOBS[job](Path(corpus), Path(folder))))
        return
    books = sorted((arguments.data / "books").glob("*.txt")) if arguments.data else []
    if not books:
        sys.exit(f"there is no books/*.txt in {arguments.data}: name their folder with --data")
    if arguments.characters != 0:
        with tempfile.TemporaryDirectory() as folder:
            compare_books(books, arguments.characters, Path(folder))
    for files in arguments.files:
        with tempfile.TemporaryDirectory() as folder:
            compare_files(books, files, Path(folder))


if __name__ == "__main__":
    main()
