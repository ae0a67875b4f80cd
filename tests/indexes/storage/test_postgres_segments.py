"""The lexical index and the index of vectors in PostgreSQL: segments that are merged, and older schemas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from postgres_server import PostgresServer

from indexes import CorpusIndex, Document, IndexMismatch, IndexNotFound
from indexes.storage.postgres.postings import POSTING

FORMAT_1 = Path(__file__).with_name("postgres_format_1.sql")
UNCHANGED = ("documents", "texts", "chunks", "vectors", "nodes", "tables", "copies", "terms", "languages", "statistics")
WORDS = ("lamp", "tower", "fog", "signal", "灯台", "猫")


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_schema()


def documents(count: int) -> list[Document]:
    texts = (" ".join(WORDS[i * j % len(WORDS)] for j in range(3 + i % 7)) for i in range(count))
    return [Document(f"{i}", f"Document {i} of many: {text}.", f"Title {i}") for i, text in enumerate(texts)]


def add_one_by_one(index: CorpusIndex, count: int) -> None:
    for document in documents(count):
        index.add([document])


def ranking(index: CorpusIndex, query: str, mode: str = "lexical") -> list[tuple[str, float]]:
    hits = [(hit.chunk.source, round(hit.score, 4)) for hit in index.search(query, 100, mode)]
    return sorted(hits, key=lambda hit: (-hit[1], hit[0]))


def rows(index: CorpusIndex, sql: str) -> list[tuple]:
    return index._read(lambda store: [*store.rows(sql)])


def test_small_segments_are_merged_and_the_ranking_stays(
    url: str, tmp_path: Path, hashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexes.storage.postgres.segments._ALIKE", 4)
    with CorpusIndex.open(url, hashing) as there, CorpusIndex.open(tmp_path / "index", hashing) as here:
        here.add(documents(24))
        add_one_by_one(there, 24)
        assert rows(there, "SELECT count(*), sum(chunks)::int FROM segments")[0][0] < 8
        assert rows(there, "SELECT sum(chunks)::int FROM segments") == [(24,)]
        for word in WORDS:
            assert ranking(there, word) == ranking(here, word)
        assert there.verify().problems == ()


def test_removed_chunks_are_not_found_and_leave_their_segments(
    url: str, tmp_path: Path, hashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CorpusIndex.open(url, hashing) as there, CorpusIndex.open(tmp_path / "index", hashing) as here:
        there.add(documents(24))
        here.add(documents(24)[18:])
        before = {word: [hit for hit in ranking(there, word) if int(hit[0]) >= 18] for word in WORDS}
        for number in range(18):
            there.remove(f"{number}")
        assert {word: ranking(there, word) for word in WORDS} == before  # as in a folder, all are counted
        assert [hit.chunk.source for hit in there.search('"of many" lamp', 30)]
        assert rows(there, "SELECT sum(chunks)::int FROM segments") == [(24,)]
        monkeypatch.setattr("indexes.storage.postgres.segments._FEW", 0)
        there.remove("18")
        here.remove("18")
        assert rows(there, "SELECT sum(chunks)::int FROM segments") == [(5,)]
        for word in WORDS:
            assert [hit[0] for hit in ranking(there, word)] == [hit[0] for hit in ranking(here, word)]
        assert there.verify().problems == ()


def test_a_document_of_more_chunks_than_a_segment_is_found(url: str, hashing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexes.storage.postgres.postings.SEGMENT_SIZE", 3)
    with CorpusIndex.open(url, hashing) as index:
        index.add([Document("long", "\n\n".join(f"Paragraph {i} about the lamp. " * 9 for i in range(12)), "long")])
        chunks = index.info().chunks
        assert chunks > 6
        assert len(index.search("lamp", 100, "lexical")) == chunks
        assert rows(index, "SELECT max(chunks)::int, sum(chunks)::int FROM segments") == [(3, chunks)]


def test_a_renamed_file_is_found_by_its_new_name_alone(url: str, tmp_path: Path, hashing) -> None:
    old, new = tmp_path / "heron.txt", tmp_path / "stork.txt"
    old.write_text("A bird that stands in shallow water.")
    with CorpusIndex.open(url, hashing) as index:
        index.ingest([tmp_path])
        old.rename(new)
        assert index.ingest([tmp_path]).renamed == 1
        assert [hit.chunk.source for hit in index.search("stork", mode="lexical")] == [str(new)]
        assert not any("heron" in hit.chunk.title for hit in index.search("heron", mode="lexical"))
        assert [hit.chunk.source for hit in index.search("bird in water", mode="dense")] == [str(new)]
        assert index.verify().problems == ()


def test_chunks_that_the_lexical_index_lacks_are_named(url: str, hashing) -> None:
    with CorpusIndex.open(url, hashing) as index:
        index.add(documents(3))
        with index.changing(wait=False) as (store, _):
            store.rows("DELETE FROM postings")
        assert len([each for each in index.verify().problems if "lacks chunk" in each]) == 3
        index.repair()
        assert index.verify().problems == ()


@pytest.fixture
def many_vectors(url: str, hashing, monkeypatch: pytest.MonkeyPatch) -> Iterator[CorpusIndex]:
    """An index with an HNSW index, which pgvector looks for 20 vectors in at once."""
    for name, value in {"FLAT_BELOW": 20, "_LEAST_EFFORT": 5, "_MOST_EFFORT": 20, "_MORE_CANDIDATES": 5}.items():
        monkeypatch.setattr(f"indexes.storage.postgres.vectors.{name}", value)
    with CorpusIndex.open(url, hashing) as index:
        index.add(documents(100))
        yield index


_SCANS = "SELECT pg_stat_get_xact_numscans(each::regclass) FROM unnest(ARRAY['vectors_hnsw', 'vectors', 'vectors_pkey']) each"


def found_by_index(
    index: CorpusIndex, query: np.ndarray, k: int, allowed: set[int] | None = None
) -> list[tuple[int, float]]:
    """Search, and check that the HNSW index alone was looked at, and not all vectors."""

    def search(store):
        store.rows("SET LOCAL enable_seqscan = off")  # which is quicker for a hundred
        before = [*store.rows(_SCANS)]
        hits = store.vectors.search(query, k, allowed)
        (by_index,), *others = [*store.rows(_SCANS)]
        assert by_index == before[0][0] + 1
        assert others == before[1:]
        return hits

    return index._read(search)


def check_nearest(index: CorpusIndex, query: np.ndarray, hits: list[tuple[int, float]], allowed: set[int]) -> None:
    ids = sorted(allowed)
    scores = dict(zip(ids, (index._read(lambda store: store.vectors.of(ids)) @ query).tolist(), strict=True))
    assert [score for _, score in hits] == pytest.approx(sorted(scores.values(), reverse=True)[: len(hits)], abs=1e-5)
    assert [scores[chunk_id] for chunk_id, _ in hits] == pytest.approx([score for _, score in hits], abs=1e-5)


def test_more_vectors_than_pgvector_looks_for_at_once_are_found_by_its_index(
    many_vectors: CorpusIndex, hashing
) -> None:
    query = hashing.encode_query("Document of many: lamp fog.")
    hits = found_by_index(many_vectors, query, 60)
    assert len({chunk_id for chunk_id, _ in hits}) == 60
    check_nearest(many_vectors, query, hits, {*range(1, 101)})


def test_a_filter_that_allows_many_is_searched_by_the_index_of_vectors(many_vectors: CorpusIndex, hashing) -> None:
    query, allowed = hashing.encode_query("Document of many: lamp fog."), set(range(1, 101, 2))
    hits = found_by_index(many_vectors, query, 10, allowed)
    assert len({chunk_id for chunk_id, _ in hits}) == 10
    check_nearest(many_vectors, query, hits, allowed)
    few = many_vectors._read(lambda store: store.vectors.search(query, 10, {1, 2, 3}))
    assert {chunk_id for chunk_id, _ in few} == {1, 2, 3}


def format_1(postgres: PostgresServer, hashing) -> tuple[str, str]:
    """An index in the tables of format 1, made by its own statements, and the same in those of today."""
    url = postgres.new_database()
    with CorpusIndex.open(url, hashing) as index:
        index.add(documents(20))
    postgres.sql(url, "CREATE SCHEMA old")
    path = "SET search_path = old, public;"
    postgres.sql(url, path + FORMAT_1.read_text(encoding="utf-8"))
    copies = "".join(f"INSERT INTO {t} OVERRIDING SYSTEM VALUE SELECT * FROM longctx.{t};" for t in UNCHANGED)
    meta = "INSERT INTO meta SELECT * FROM longctx.meta WHERE key NOT IN ('format', 'generation');"
    numbers = "SELECT setval('chunk_ids', 1000); SELECT setval('documents_id_seq', 1000);"
    postgres.sql(url, f"{path}{copies}{meta}UPDATE meta SET value = '1' WHERE key = 'format'; {numbers}")
    document_of = dict(postgres.sql(url, "SELECT id, document_id FROM longctx.chunks"))
    values = []
    for term, chunks in postgres.sql(url, "SELECT term, chunks FROM longctx.postings"):
        its = defaultdict(list)
        for posting in np.frombuffer(chunks, POSTING):
            its[document_of[int(posting["chunk"])]].append(posting.tobytes().hex())
        values += [f"($${term}$$, {d}, {n}, '\\x{p}')" for d, ps in its.items() for n, p in enumerate(ps)]
    postgres.sql(url, f"{path}INSERT INTO postings VALUES {', '.join(values)}")
    return f"{url}&schema=old", url


def test_an_index_of_format_1_is_brought_up_to_date_when_it_is_opened(postgres: PostgresServer, hashing) -> None:
    old, new = format_1(postgres, hashing)
    with CorpusIndex.open(old, hashing) as migrated, CorpusIndex.open(new, hashing) as made:
        assert rows(migrated, "SELECT value FROM meta WHERE key = 'format'") == [("2",)]
        for query in (*WORDS, "Document 7", '"of many"', "lamb"):
            for mode in ("lexical", "hybrid"):
                assert ranking(migrated, query, mode) == ranking(made, query, mode)
        assert migrated.verify().problems == ()
        for index in (migrated, made):
            index.add([Document("new", "A new text about the lamp.", "")])
            index.remove("3")
        assert ranking(migrated, "lamp") == ranking(made, "lamp")
        assert migrated.verify().problems == ()


def test_an_index_of_format_1_stays_as_it_is_for_who_may_only_read_it(postgres: PostgresServer, hashing) -> None:
    old, url = format_1(postgres, hashing)
    for statement in ("DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN"):
        postgres.sql("postgres", statement)
    postgres.sql(url, "GRANT USAGE ON SCHEMA old TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA old TO reader")
    as_reader = old.replace("postgres@", "reader@")
    with pytest.raises(IndexMismatch, match=r"has the older format 1 .*run `longctx index info --index") as raised:
        CorpusIndex.open(as_reader, hashing)
    assert "\n" not in str(raised.value)
    assert postgres.sql(url, "SELECT value FROM old.meta WHERE key = 'format'") == [("1",)]
    postgres.sql(url, "DROP OWNED BY reader")
    postgres.sql("postgres", "DROP ROLE reader")


@pytest.mark.parametrize("unknown", ["two", "0", ""])
def test_a_schema_of_an_unknown_format_is_refused_and_left_alone(
    postgres: PostgresServer, hashing, unknown: str
) -> None:
    url = postgres.new_database()
    with CorpusIndex.open(url, hashing) as index:
        index.add(documents(2))
    postgres.sql(url, f"UPDATE longctx.meta SET value = '{unknown}' WHERE key = 'format'")
    with pytest.raises(IndexNotFound, match=r"holds something else: name another") as raised:
        CorpusIndex.open(url, hashing)
    assert "\n" not in str(raised.value)
    assert postgres.sql(url, "SELECT count(*) FROM longctx.documents") == [(2,)]
