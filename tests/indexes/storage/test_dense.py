"""The dense index through the folder of an index: whole vectors, shards of codes, and the way from one to the other."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexes.storage.dense import ivf
from indexes.storage.index_folder import IndexFolder
from indexes.types import Chunk, Document

DIMENSION = 24
ALL_FLAT, ALL_CODES = 10**9, 2


def clustered(count: int, seed: int, clusters: int = 50) -> np.ndarray:
    centres = np.random.default_rng(0).standard_normal((clusters, DIMENSION))
    random = np.random.default_rng(seed)
    found = centres[random.integers(clusters, size=count)] + 0.7 * random.standard_normal((count, DIMENSION))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """And every change goes into files."""
    monkeypatch.setattr("indexes.storage.sqlite.vectors.SEGMENT_SIZE", 150)
    monkeypatch.setattr("indexes.storage.dense.files.UNFILED", 0)


class Filled:
    """An index's folder with made documents of 10 chunks, and what is in it, to compare with."""

    def __init__(self, path: Path) -> None:
        self.path, self.seed = path, 0
        self.vectors: dict[int, np.ndarray] = {}
        self.documents: dict[str, range] = {}
        self.open()

    def open(self) -> None:
        self.folder = IndexFolder.open(self.path, create=True)

    def add(self, documents: int) -> None:
        with self.folder.writing() as writer, writer.batch() as generation:
            for _ in range(documents):
                self.seed += 1
                vectors, source = clustered(10, self.seed), f"/{self.seed}"
                document_id = writer.store.add_document(Document(source, "a" * 10, source), source, generation)
                chunks = [Chunk("a", source, source, "", None, i, i + 1, 1, 1) for i in range(10)]
                ids = writer.store.add_chunks(document_id, chunks, vectors)
                self.documents[source] = ids
                self.vectors.update(zip(ids, vectors, strict=True))

    def remove(self, sources: list[str]) -> None:
        with self.folder.writing() as writer, writer.batch() as generation:
            for source in sources:
                assert writer.store.remove_document(source, generation)
                for chunk_id in self.documents.pop(source):
                    del self.vectors[chunk_id]

    def search(self, query: np.ndarray, k: int, allowed: set[int] | None = None) -> list[tuple[int, float]]:
        with self.folder.session() as session:
            return session.search(lambda searchers: searchers.dense.search(query, k, allowed))

    def exact(self, query: np.ndarray, k: int, allowed: set[int] | None = None) -> list[int]:
        ids = [i for i in self.vectors if allowed is None or i in allowed]
        return sorted(ids, key=lambda i: -float(self.vectors[i] @ query))[:k]

    def is_right(self) -> bool:
        queries = clustered(10, 10**6)
        same = all([i for i, _ in self.search(q, 10)] == self.exact(q, 10) for q in queries)
        with self.folder.session() as session:
            held = session.search(lambda searchers: searchers.dense.count())
        return same and held == len(self.vectors)

    def names(self) -> list[str]:
        return sorted(file.name for file in (self.path / "dense").iterdir())

    def coded(self) -> int:
        """How many files are shards."""
        return sum(name.count("-") == 3 for name in self.names())


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, int], Filled]]:
    made: list[Filled] = []

    def one(flat_below: int, documents: int) -> Filled:
        monkeypatch.setattr("indexes.storage.dense.index.FLAT_BELOW", flat_below)
        filled = Filled(tmp_path / f"index{len(made)}")
        filled.add(documents)
        made.append(filled)
        return filled

    yield one
    for filled in made:
        filled.folder.close()


@pytest.mark.parametrize("flat_below", [ALL_FLAT, ALL_CODES])
def test_a_search_finds_the_nearest_with_their_products(make, flat_below: int) -> None:
    filled = make(flat_below, 160)
    assert filled.coded() == (0 if flat_below == ALL_FLAT else 3)
    assert filled.is_right()
    query = clustered(1, 77)[0]
    found = filled.search(query, 5)
    assert [score for _, score in found] == pytest.approx([filled.vectors[i] @ query for i, _ in found], abs=1e-6)
    assert len(filled.search(query, 5000)) == 1600, "k beyond what there is gives all"


@pytest.mark.parametrize("flat_below", [ALL_FLAT, ALL_CODES])
def test_what_is_removed_or_changed_is_found_no_more(make, flat_below: int) -> None:
    filled = make(flat_below, 160)
    filled.remove([f"/{n}" for n in range(1, 160, 3)])
    assert filled.is_right()
    filled.add(5)
    filled.remove(["/161", "/2"])
    filled.add(60)
    assert filled.is_right()
    filled.remove(list(filled.documents))
    assert filled.search(clustered(1, 1)[0], 3) == []
    filled.add(3)
    assert filled.is_right()


@pytest.mark.parametrize("flat_below", [ALL_FLAT, ALL_CODES])
def test_few_changes_are_found_and_make_no_file(make, flat_below: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexes.storage.dense.files.UNFILED", 100)
    filled = make(flat_below, 160)
    before = filled.names()
    for step in range(1, 4):
        filled.remove([f"/{step}", f"/{step + 50}"])
        filled.add(1)
        if step > 1:
            filled.remove([f"/{filled.seed - 1}"])  # which came and went between two files
        assert filled.is_right()
        assert filled.names() == before
    allowed = {i for i in filled.vectors if i > 30}
    query = clustered(1, 3)[0]
    assert [i for i, _ in filled.search(query, 9, allowed)] == filled.exact(query, 9, allowed)
    filled.folder.close()
    filled.open()
    assert filled.is_right()


@pytest.mark.parametrize("flat_below", [ALL_FLAT, ALL_CODES])
def test_where_there_are_many_changes_the_files_with_most_are_made_anew(
    make, flat_below: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexes.storage.dense.files.UNFILED", 100)
    filled = make(flat_below, 160)
    before = filled.names()
    filled.remove([f"/{n}" for n in (1, 2, 3, *range(120, 132))])  # of the first shard, and of the last but one
    assert filled.is_right()
    assert {name[:6] for name in before if name not in filled.names()} == (
        {"000008"} if flat_below == ALL_FLAT else {"000002"}
    )
    for _ in range(30):
        filled.add(2)
        filled.remove([f"/{filled.seed - 140}"])
    assert filled.is_right()


def test_the_kind_of_file_follows_the_size_one_shard_at_a_time(make) -> None:
    filled = make(2000, 190)
    assert filled.coded() == 0
    assert filled.is_right()
    filled.add(20)  # 2,100 chunks in 4 shards: the last changes, and 1 of the others follows
    assert filled.coded() == 2
    assert filled.is_right()
    filled.remove(["/61"])  # of the second shard
    filled.add(1)
    assert filled.coded() == 4
    assert filled.is_right()
    filled.remove(list(filled.documents)[10:])
    for _ in range(4):
        filled.add(1)
        assert filled.is_right()
    assert filled.coded() == 0
    assert not any(name.startswith("model") for name in filled.names())


def test_a_corpus_that_outgrows_its_model_gets_another(make) -> None:
    filled = make(ALL_CODES, 10)
    small = [name for name in filled.names() if name.startswith("model")]
    filled.add(300)
    models = [name for name in filled.names() if name.startswith("model")]
    assert len(small) == len(models) == 1
    assert models > small
    assert filled.is_right()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("file", ["model-*", "000001-*"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: os.truncate(path, 1000), flip])
@pytest.mark.parametrize("is_open", [False, True], ids=["then opened", "while open"])
def test_a_file_that_is_lost_is_made_again(make, file: str, damage: Callable[[Path], None], is_open: bool) -> None:
    filled = make(ALL_CODES, 160)
    filled.folder.close()
    if is_open:
        filled.open()
    [path] = (filled.path / "dense").glob(file)
    damage(path)
    if not is_open:
        filled.open()
    assert filled.is_right()
    assert filled.folder.read(filled.folder.derived.problems) == []


@pytest.mark.parametrize("flat_below", [ALL_FLAT, ALL_CODES])
def test_a_writer_that_fails_leaves_the_index_as_it_was(make, flat_below: int, monkeypatch: pytest.MonkeyPatch) -> None:
    filled = make(flat_below, 160)
    with monkeypatch.context() as patched:
        patched.setattr(filled.folder.derived.lexical, "sync", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            filled.add(1)
    filled.documents.popitem()
    for chunk_id in range(1601, 1611):
        del filled.vectors[chunk_id]
    assert filled.is_right()
    filled.add(1)
    assert filled.is_right()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Filled]]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("indexes.storage.sqlite.vectors.SEGMENT_SIZE", 150)
        both = {kind: Filled(tmp_path_factory.mktemp("large")) for kind in (ALL_FLAT, ALL_CODES)}
        for flat_below, filled in both.items():
            patched.setattr("indexes.storage.dense.index.FLAT_BELOW", flat_below)
            filled.add(250)
            filled.remove([f"/{n}" for n in range(1, 250, 5)])
    yield both
    for filled in both.values():
        filled.folder.close()


@pytest.mark.parametrize("kind", [ALL_FLAT, ALL_CODES])
@settings(max_examples=settings.default.max_examples // 4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.0, 0.001, 0.1, 0.6, 0.9, 1.0]), k=st.integers(1, 60))
def test_allowed_ids_are_the_only_ones_and_the_best_of_them(large, kind: int, seed: int, share: float, k: int) -> None:
    filled = large[kind]
    random = np.random.default_rng(seed)
    ids = np.array(list(filled.vectors), dtype=np.int64)
    allowed = set(ids[random.random(len(ids)) < share].tolist())
    query = clustered(1, seed)[0]
    assert [i for i, _ in filled.search(query, k, allowed)] == filled.exact(query, k, allowed)


def test_a_filter_against_the_query_still_finds_the_best(large, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where a search without a filter scans hardly any lists."""
    monkeypatch.setattr("indexes.storage.dense.ivf._SCANNED", 0)
    monkeypatch.setattr("indexes.storage.dense.ivf._FEWEST_LISTS", 1)
    filled = large[ALL_CODES]
    query = clustered(1, 3)[0]
    farthest = set(filled.exact(-query, 1500))
    found = [i for i, _ in filled.search(query, 20, farthest)]
    assert found == filled.exact(query, 20, farthest)


def test_behind_the_first_hundred_products_may_be_those_of_the_codes(large) -> None:
    filled, query = large[ALL_CODES], clustered(1, 5)[0]
    ids, products = zip(*filled.search(query, 400), strict=True)
    true = [float(filled.vectors[each] @ query) for each in ids]
    assert [*ids[:100]] == filled.exact(query, 100)
    assert products[:100] == pytest.approx(true[:100], abs=1e-6)
    assert products == pytest.approx(true, abs=0.01)
    assert [*products] == sorted(products, reverse=True)
    assert len({*ids}) == 400


def test_a_search_of_few_lists_goes_on_until_it_has_k(large, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexes.storage.dense.ivf._SCANNED", 0)
    monkeypatch.setattr("indexes.storage.dense.ivf._FEWEST_LISTS", 1)
    assert len(large[ALL_CODES].search(clustered(1, 3)[0], 900)) == 900


def test_a_reader_is_served_while_the_writer_trains(make) -> None:
    filled = make(500, 20)
    stop, found, errors = threading.Event(), set(), []

    def read() -> None:
        query = clustered(1, 5)[0]
        while not stop.is_set():
            try:
                found.add(len(filled.search(query, 10)))
            except Exception as error:
                errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for documents in (20, 40, 80, 160):
        filled.add(documents)
    stop.set()
    reader.join()
    assert (found, errors) == ({10}, [])
    assert filled.coded() > 0
    assert filled.is_right()


def test_readers_have_the_old_index_until_the_new_one_is_published(make, monkeypatch: pytest.MonkeyPatch) -> None:
    filled = make(500, 20)
    query, seen, train = clustered(1, 5)[0], [], ivf.train
    before = filled.search(query, 300)

    def training(*arguments):
        seen.append(filled.search(query, 300))
        return train(*arguments)

    monkeypatch.setattr("indexes.storage.dense.ivf.train", training)
    filled.add(40)
    assert (seen, len(before)) == ([before], 200)
    assert len(filled.search(query, 900)) == 600
    assert filled.coded() == 2
    assert len(seen) == 1, "a search trains nothing"


def test_recall_of_the_default_settings(tmp_path: Path) -> None:
    """120,000 vectors: more than one query scans."""
    vectors, queries = clustered(120_000, 1, clusters=1000), clustered(100, 2, clusters=1000)
    lists = ivf.lists_for(len(vectors))
    model = ivf.train(vectors[: ivf.sample_size(lists)], lists)
    paths = [tmp_path / str(first) for first in range(0, len(vectors), 30_000)]
    for path in paths:
        shard, first = ivf.new_shard(model), int(path.name)
        shard.add_with_ids(vectors[first : first + 30_000], np.arange(first, first + 30_000))
        with ivf.without_centroids(shard) as written:
            _write(written, path)
    shards = ivf.Shards(model, paths)
    truth = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    hits = [len({*shards.candidates(q, 60)[0].tolist()} & {*t}) for q, t in zip(queries, truth.tolist(), strict=True)]
    assert np.mean(hits) / 10 >= 0.95
    assert shards.count == 120_000


def _write(index, path: Path) -> None:
    import faiss

    faiss.write_index(index, str(path))
