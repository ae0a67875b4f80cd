"""Search in a large index: time to open, to search and to add, memory, and recall, beside llama-index's FAISS store.

    python benchmarks/bench_search.py make FOLDER [--chunks 1000000]         a longctx index of made chunks
    python benchmarks/bench_search.py make-peer FOLDER [--chunks 100000]     llama-index's FaissVectorStore, persisted
    python benchmarks/bench_search.py search FOLDER [--peer FOLDER]          measures and prints a table
    python benchmarks/bench_search.py make FOLDER --chunks 100000 --chunks-of-document 1
    python benchmarks/bench_search.py filters FOLDER                         measures filters among many documents
    python benchmarks/bench_search.py node-filters FOLDER                    llama-index's filters, beside the peer's
    python benchmarks/bench_search.py training FOLDER                        searches while an ingest trains

`made_chunks.py` says what the chunks are. Each side is measured in a process that is bound to one core, after its files
have been read once, so that they are in the system's cache. A query comes with its vector; what it takes to encode one
is printed by itself. longctx's search gives chunks with their text, and so does llama-index's retriever, whose
IndexFlatIP is exact. llama-index's FAISS store has no filters: they are compared with a look at every document, and
llama-index's own filters with its SimpleVectorStore, which has the same nodes. `training` makes an index of 60,000
chunks in a new FOLDER and adds 60,000, which trains a model; the times of searches are printed, before and meanwhile,
in another thread of that process and in another process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from made_chunks import DIMENSION, Mixture, StandIn, Words, batches, exact, make, queries

K = 10
ASKED = {  # of a million chunks
    "open, s": "≤ 1",
    "hybrid, p50 ms": "≤ 15",
    "hybrid, p99 ms": "≤ 50",
    "recall at 10, dense": "≥ .95",
    "resident memory, MB": "≤ 2,560",
    "add 100 chunks, s": "≤ 1",
}
Figures = dict[str, float]


def make_peer(folder: Path, chunks: int) -> None:
    import faiss
    from llama_index.core import StorageContext, VectorStoreIndex
    from llama_index.core.embeddings import MockEmbedding
    from llama_index.core.schema import TextNode
    from llama_index.vector_stores.faiss import FaissVectorStore

    store = FaissVectorStore(faiss_index=faiss.IndexFlatIP(DIMENSION))
    context = StorageContext.from_defaults(vector_store=store)
    index = VectorStoreIndex([], storage_context=context, embed_model=MockEmbedding(DIMENSION))
    for _, texts, vectors in batches(chunks):
        index.insert_nodes([TextNode(text=t, embedding=v.tolist()) for t, v in zip(texts, vectors, strict=True)])
    index.storage_context.persist(str(folder))


def measure_longctx(folder: Path, count: int) -> Figures:
    from indexes import CorpusIndex

    encoder, figures = StandIn(), Figures()
    with timed("open, s", figures):
        index = CorpusIndex.open(folder, encoder)
    figures["chunks"] = index.info().chunks
    asked = {words: asked_queries(encoder, count, words) for words in (8, 24)}
    warm = asked_queries(encoder, 50, 8, seed=9)
    with timed("first search, s", figures):
        index.search(warm[0])
    for text in warm:
        index.search(text)
    for mode in ("hybrid", "dense", "lexical"):
        figures |= quantiles(mode, lambda i, mode=mode: index.search(asked[8][i], K, mode), count)
    figures |= quantiles("hybrid of 24 words", lambda i: index.search(asked[24][i], K), count)
    figures |= memory()
    found = [{hit.chunk.id for hit in index.search(text, K, "dense")} for text in asked[8]]
    truth = exact(int(figures["chunks"]), queries(count, 8, 7)[1], K).tolist()
    figures["recall at 10, dense"] = float(np.mean([len(a & {*b}) / K for a, b in zip(found, truth, strict=True)]))
    return figures | add_and_remove(index)


def asked_queries(encoder: StandIn, count: int, words: int, seed: int = 7) -> list[str]:
    texts, vectors = queries(count, words, seed)
    encoder.queries |= dict(zip(texts, vectors, strict=True))
    return texts


def add_and_remove(index: Any) -> Figures:
    """Files of 100 chunks in all, ingested and removed again: the slowest of three times."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as corpus:
        for number in range(3):
            new = Path(corpus) / str(number)
            new.mkdir()
            for file, text in enumerate(Words().texts(100, 100_000 + number)):
                (new / f"{file}.txt").write_text(text)
            with timed("add 100 chunks, s", figures):
                assert index.ingest([new]).chunks == 100
            with timed("remove 100 chunks, s", figures):
                assert index.remove(new) == 100
    return figures


def measure_peer(folder: Path, count: int) -> Figures:
    import faiss
    from llama_index.core import QueryBundle, StorageContext, load_index_from_storage
    from llama_index.core.embeddings import MockEmbedding
    from llama_index.core.schema import TextNode
    from llama_index.vector_stores.faiss import FaissVectorStore

    faiss.omp_set_num_threads(1)
    figures = Figures()
    with timed("open, s", figures):
        store = FaissVectorStore.from_persist_dir(str(folder))
        context = StorageContext.from_defaults(vector_store=store, persist_dir=str(folder))
        index = load_index_from_storage(context, embed_model=MockEmbedding(DIMENSION))
    figures["chunks"] = store.client.ntotal
    retriever = index.as_retriever(similarity_top_k=K)
    bundles = [QueryBundle(text, embedding=v.tolist()) for text, v in zip(*queries(count + 50, 8, 7), strict=True)]
    with timed("first search, s", figures):
        retriever.retrieve(bundles[-1])
    for bundle in bundles[count:]:
        retriever.retrieve(bundle)
    figures |= quantiles("dense", lambda i: retriever.retrieve(bundles[i]), count)
    figures |= memory() | {"recall at 10, dense": 1.0}
    new = [TextNode(text=f"new {i}", embedding=v.tolist()) for i, v in enumerate(Mixture().draw(100, 99))]
    with tempfile.TemporaryDirectory() as again, timed("add 100 chunks, s", figures):
        index.insert_nodes(new)
        index.storage_context.persist(again)
    return figures


def measure_encoding(_: Path, count: int) -> Figures:
    from indexes.encoders import load_encoder

    encoder = load_encoder()
    encoder.encode_query("warm")
    texts = ["How is the rotary position embedding scaled past the window?", "When do cats hunt?"]
    return quantiles("encoding a query", lambda i: encoder.encode_query(texts[i % 2]), min(count, 100))


def filters(folder: Path) -> None:
    """What each kind of filter takes: to choose the documents, to look at every document instead, and to search."""
    from indexes import CorpusIndex, SearchFilter

    kinds = {
        "source, a folder": SearchFilter("/made/0002"),
        "source, a pattern": SearchFilter("/made/*/0*777.txt"),
        "title": SearchFilter(title="000777"),
        "title, a pattern": SearchFilter(title="*777"),
        "metadata": SearchFilter(metadata={"author": "Author 77"}),
        "date": SearchFilter(after="1984-05-01", before="1984-06-01"),
        "half of the documents": SearchFilter(after="1995-01-01"),
    }
    encoder = StandIn()
    text = asked_queries(encoder, 1, 8)[0]
    with CorpusIndex.open(folder, encoder) as index:
        index.search(text)
        print(f"{index.info().documents:,} documents")
        print(f"{'':<24}{'allowed':>10}{'chosen, ms':>14}{'by a look at all, ms':>24}{'hybrid search, ms':>20}")
        for name, wanted in kinds.items():
            allows = wanted.matcher()
            allowed, chosen = milliseconds(partial(index.documents, wanted))
            looked, all_of_them = milliseconds(lambda f=allows: [*filter(f, index.documents())], times=1)
            assert allowed == looked
            _, searched = milliseconds(partial(index.search, text, filters=wanted))
            print(f"{name:<24}{len(allowed):>10,}{chosen:>14.1f}{all_of_them:>24,.0f}{searched:>20.1f}", flush=True)


def node_filters(folder: Path) -> None:
    """llama-index's filters among the documents of an index that `make` made, in its vector store and in the peer's."""
    from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, SimpleVectorStore
    from llama_index.core.vector_stores.types import VectorStoreQuery

    from indexes import CorpusIndex
    from indexes.llama_index import CorpusVectorStore
    from indexes.search import Retrieval

    kinds = {
        "author ==": ("author", "Author 77", "=="),
        "author in": ("author", ["Author 77", "Author 78"], "in"),
        "year >": ("year", "2010", ">"),
        "title contains": ("title", "777", "text_match"),
        "author !=": ("author", "Author 77", "!="),
    }
    with CorpusIndex.open(folder, StandIn()) as index:
        ours, peer = CorpusVectorStore.from_index(index), SimpleVectorStore()

        def vectors(retrieval: Retrieval) -> Any:
            return retrieval.store.vectors.of(retrieval.store.vectors.chunk_ids().tolist())

        nodes = ours.get_nodes()
        for node, vector in zip(nodes, index.read(vectors), strict=True):
            node.embedding = vector.tolist()
        peer.add(nodes)
        asked = queries(1, 8, 7)[1][0].tolist()
        print(f"{len(nodes):,} nodes, one to a document\n{'':<18}{'longctx, ms':>14}{'SimpleVectorStore, ms':>24}")
        for name, (key, value, operator) in {"(none)": ("", "", ""), **kinds}.items():
            leaves = [MetadataFilter(key=key, value=value, operator=operator)] if key else []
            query = VectorStoreQuery(
                query_embedding=asked, similarity_top_k=K, filters=MetadataFilters(filters=leaves) if leaves else None
            )
            found, own = milliseconds(partial(ours.query, query))
            expected, others = milliseconds(partial(peer.query, query), times=2)
            assert found.ids == expected.ids
            print(f"{name:<18}{own:>14.1f}{others:>24.1f}", flush=True)


def training(folder: Path) -> None:
    """The times of searches in another thread of the ingesting process, and in another process, before and during."""
    import threading

    make(folder, 60_000)
    process = subprocess.Popen(
        [sys.executable, __file__, "searching", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "searching\n"
    own: list[tuple[float, float]] = []
    stop = threading.Event()
    thread = threading.Thread(target=search_on, args=(folder, own, stop.is_set))
    thread.start()
    new = [*batches(120_000, 60_000)]  # not made meanwhile: that would hold the searches up
    time.sleep(6)
    began = time.time()
    times = train_times()
    make(folder, 120_000, made=new)
    ended = time.time()
    time.sleep(1)
    stop.set()
    thread.join()
    others = [tuple(each) for each in json.loads(process.communicate("")[0])]
    print(f"the ingest took {ended - began:.1f} s; training, {', '.join(f'{b - a:.2f} s' for a, b in times)}")
    print(f"{'searches, ms':<20}{'':>24}{'count':>8}{'p50':>10}{'p99':>10}{'worst':>10}")
    spans = {"before": [(began - 6, began)], "during the ingest": [(began, ended)], "during training": times}
    for name, measured in (("another thread", own), ("another process", others)):
        for when, stretches in spans.items():
            some = [1000 * (b - a) for a, b in measured if any(a < end and b > start for start, end in stretches)]
            cells = "".join(f"{value:>10.1f}" for value in (*np.quantile(some, [0.5, 0.99]), max(some)))
            print(f"{name:<20}{when:>24}{len(some):>8}{cells}")


def train_times() -> list[tuple[float, float]]:
    """When each training of this process began and ended, from now on."""
    from indexes.storage.dense import ivf

    times: list[tuple[float, float]] = []
    train = ivf.train

    def timed_train(*arguments: Any) -> Any:
        began = time.time()
        model = train(*arguments)
        times.append((began, time.time()))
        return model

    ivf.train = timed_train
    return times


def search_on(folder: Path, times: list[tuple[float, float]], stopped: Callable[[], bool]) -> None:
    from indexes import CorpusIndex

    encoder = StandIn()
    texts = asked_queries(encoder, 200, 8)
    with CorpusIndex.open(folder, encoder) as index:
        for number in range(10):
            index.search(texts[number])
        while not stopped():
            for text in texts[:20]:
                began = time.time()
                assert len(index.search(text)) == K
                times.append((began, time.time()))
                time.sleep(0.005)


def searching(folder: Path) -> None:
    """Searches until its standard input is closed, and prints when each search began and ended."""
    import threading

    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    print("searching", flush=True)
    times: list[tuple[float, float]] = []
    search_on(folder, times, over.is_set)
    print(json.dumps(times))


def milliseconds(call: Callable[[], Any], times: int = 5) -> tuple[Any, float]:
    """What a call gives, and the median of what it takes."""
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        result = call()
        spent.append((time.perf_counter() - began) * 1000)
    return result, float(np.median(spent))


@contextmanager
def timed(name: str, figures: Figures) -> Iterator[None]:
    """The seconds that a block takes, or took the slowest time, under a name."""
    began = time.perf_counter()
    yield
    figures[name] = max(figures.get(name, 0.0), time.perf_counter() - began)


def quantiles(name: str, call: Callable[[int], object], count: int) -> Figures:
    seconds = []
    for number in range(count):
        began = time.perf_counter()
        call(number)
        seconds.append(time.perf_counter() - began)
    p50, p99 = np.quantile(seconds, [0.5, 0.99]) * 1000
    return {f"{name}, p50 ms": p50, f"{name}, p99 ms": p99}


def memory() -> Figures:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "resident memory, MB": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "resident memory at most, MB": peak / 2**10,
    }


MEASURES = {"longctx": measure_longctx, "llama-index": measure_peer, "encoding": measure_encoding}

ALONE = {"filters": filters, "node-filters": node_filters, "training": training, "searching": searching}


def child(what: str, folder: Path, count: int) -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(json.dumps(MEASURES[what](folder, count)))


def in_a_process(what: str, folder: Path, count: int) -> Figures:
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                while stream.read(1 << 24):
                    pass
    command = [sys.executable, __file__, what, str(folder), "--queries", str(count)]
    figures: Figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return figures


def search(folder: Path, peer: Path | None, count: int) -> None:
    columns = {"longctx": in_a_process("longctx", folder, count)}
    columns["longctx"] |= in_a_process("encoding", folder, count)
    if peer is not None:
        columns["llama-index"] = in_a_process("llama-index", peer, count)
    print(f"{'':<30}{'asked':>10}" + "".join(f"{name:>14}" for name in columns))
    for name in columns["longctx"]:
        cells = "".join(f"{_cell(name, figures):>14}" for figures in columns.values())
        asked = ASKED.get(name, "") if columns["longctx"]["chunks"] >= 1_000_000 else ""
        print(f"{name:<30}{asked:>10}{cells}")
    sizes = [(name, sum(f.stat().st_size for f in folder.rglob(name)) // 2**20) for name in ("*", "*.faiss")]
    print("longctx, MB on the disk: " + ", ".join(f"{name} {size:,}" for name, size in sizes))


def _cell(name: str, figures: Figures) -> str:
    if name not in figures:
        return "-"
    return f"{figures[name]:,.{0 if name == 'chunks' or 'MB' in name else 1 if 'ms' in name else 3}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "make-peer", "search", *ALONE, *MEASURES])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chunks", type=int)
    parser.add_argument("--chunks-of-document", type=int, default=10)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--peer", type=Path, help="what make-peer made, for a second column")
    arguments = parser.parse_args()
    if arguments.what == "make":
        make(arguments.folder, arguments.chunks or 1_000_000, arguments.chunks_of_document)
    elif arguments.what == "make-peer":
        make_peer(arguments.folder, arguments.chunks or 100_000)
    elif arguments.what in ALONE:
        ALONE[arguments.what](arguments.folder)
    elif arguments.what == "search":
        search(arguments.folder, arguments.peer, arguments.queries)
    else:
        child(arguments.what, arguments.folder, arguments.queries)


if __name__ == "__main__":
    main()
