"""An index in PostgreSQL: what is not as in a folder. All else is in the tests that run on both."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hashing_encoder import OtherEncoder, python
from postgres_server import PASSWORD, WITH_PASSWORD, PostgresServer

from indexes import CorpusError, CorpusIndex, Document, IndexBusy, IndexDamaged, IndexMismatch, IndexNotFound
from indexes.storage import DatabaseAddress, kept_beside

TEXTS = {
    "tower": "The tower is forty metres high. Its lamp was lit with rape oil until 1871.",
    "灯台": "灯台は一八七一年に建てられた。高さは四十メートルである。",
    "cat": "吾輩は猫である。名前はまだ無い。",
    "kitchen": "Knead the dough for ten minutes and let it rise before the oven is hot.",
    "leuchtturm": "Der Leuchtturm ist vierzig Meter hoch. Seine Lampe brannte mit Öl.",
    "codes": "Error E-17 means that the lamp is out; E-21 that the fog signal fails.",
}
QUERIES = (
    "lamp of the tower",
    "灯台の高さ",
    "猫",
    "E17",
    "lamb",
    "rise*",
    '"fog signal"',
    "wie hoch ist der Turm",
    "水",
)


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_schema()


def documents(copies: int = 1) -> list[Document]:
    return [Document(f"{name}-{i}", f"{text} {i}", name) for i in range(copies) for name, text in TEXTS.items()]


def ranking(index: CorpusIndex, query: str, mode: str) -> list[tuple[str, int, float]]:
    """The hits with their scores, in an order in which those that differ by less than rounding are alike."""
    hits = [(hit.chunk.source, hit.chunk.start, hit.score) for hit in index.search(query, 100, mode)]
    hits.sort(key=lambda hit: (-round(hit[2], 4), hit[0]))
    return [(*where, pytest.approx(score, abs=1e-4)) for *where, score in hits]


@pytest.mark.parametrize("copies", [1, 5])
def test_the_ranking_is_that_of_a_folder(url: str, tmp_path: Path, hashing, copies: int) -> None:
    with CorpusIndex.open(url, hashing) as there, CorpusIndex.open(tmp_path / "index", hashing) as here:
        for index in (there, here):
            index.add(documents(copies))
        assert there.languages() == here.languages()
        assert there.content_idf("lamp and tower") == pytest.approx(here.content_idf("lamp and tower"))
        for query in QUERIES:
            for mode in ("lexical", "dense", "hybrid"):
                assert ranking(there, query, mode) == ranking(here, query, mode), (query, mode)


@pytest.mark.parametrize(
    ("first", "second"), [("folder", "postgres"), ("postgres", "folder"), ("postgres", "postgres")]
)
def test_a_copy_of_an_index_is_the_same(
    postgres: PostgresServer, tmp_path: Path, hashing, first: str, second: str
) -> None:
    def place(kind: str, name: str) -> str | Path:
        return postgres.new_schema() if kind == "postgres" else tmp_path / name

    (tmp_path / "table.md").write_text("# Table\n\n| a | b |\n|---|---|\n| lamp | 1 |\n", encoding="utf-8")
    (tmp_path / "same.md").write_bytes((tmp_path / "table.md").read_bytes())
    other = place(second, "to")
    with CorpusIndex.open(place(first, "from"), hashing) as index:
        index.add(documents())
        index.ingest([tmp_path / "table.md", tmp_path / "same.md"])
        assert index.copy(other) == len(TEXTS) + 1
        with CorpusIndex.open(other, hashing) as copy:
            assert copy.documents() == index.documents()
            assert copy.verify().problems == ()
            for query in QUERIES:
                assert ranking(copy, query, "hybrid") == ranking(index, query, "hybrid")
            assert copy.ingest([tmp_path / "table.md", tmp_path / "same.md"]).unchanged == 2
            with pytest.raises(CorpusError, match="holds documents already: name a new or an empty index"):
                index.copy(other)


def test_what_postgresql_cannot_store_is_replaced_in_titles_and_refused_in_names(url: str, hashing) -> None:
    with CorpusIndex.open(url, hashing) as index:
        index.add([Document("odd", "A text with \0 in it.", "A \0 title")])
        assert index.text("odd") == "A text with \0 in it."
        assert index.documents()[0].title == "A \ufffd title"
        with pytest.raises(CorpusError, match="cannot contain NUL"):
            index.add([Document("odd\0name", "A text.", "")])
        assert index.verify().problems == ()


def test_a_snapshot_stays_as_it_is_while_others_write(url: str, hashing) -> None:
    with CorpusIndex.open(url, hashing) as index, CorpusIndex.open(url, hashing) as other:
        index.add(documents())
        with index.snapshot() as snapshot:
            other.add([Document("tower-0", "Nothing of that is left.", "tower")])
            other.remove("cat-0")
            assert len(snapshot.documents()) == len(TEXTS)
            assert snapshot.search("猫", mode="lexical")[0].chunk.source == "cat-0"
            assert "rape oil" in snapshot.text("tower-0")
            assert snapshot.languages() == {"de": 1, "en": 3, "ja": 2}
        assert [hit.chunk.source for hit in index.search("猫", mode="lexical")] == []


def test_a_writer_that_is_in_the_middle_does_not_keep_others_waiting(url: str, hashing) -> None:
    with CorpusIndex.open(url, hashing) as index, CorpusIndex.open(url, hashing) as other:
        index.add(documents())
        with index._storage.writing() as writer, writer.batch(["tower-0"]) as generation:
            writer.store.remove_document("tower-0", generation)
            assert other.add([Document("new", "A new text.", "")], wait=0.01).added == 1
            assert other.remove("cat-0", wait=0.01) == 1
            with pytest.raises(IndexBusy, match="another process writes the same documents"):
                other.remove("tower-0", wait=0.01)
        assert {document.source for document in index.documents()} == {*(f"{n}-0" for n in TEXTS if n != "cat"), "new"} - {"tower-0"}  # fmt: skip


def test_two_first_writers_with_different_encoders_do_not_mix(url: str, hashing) -> None:
    with CorpusIndex.open(url, hashing) as index, CorpusIndex.open(url, OtherEncoder()) as other:
        index.add(documents())
        with pytest.raises(IndexMismatch, match="made with the encoder 'hashing', not 'other'"):
            other.add([Document("new", "A new text.", "")])


_WRITER = """
from indexes import Document
url, seed = sys.argv[1], int(sys.argv[2])
with CorpusIndex.open(url, HashingEncoder()) as index:
    print("begun", flush=True)
    for round in range(10_000):
        names = [f"shared-{(seed * 7 + round * 3 + i) % 12}" for i in range(4)] + [f"own-{seed}-{round % 5}"]
        index.add([Document(name, f"Writer {seed} in round {round} of {name}. " * 20, name) for name in names])
        if round % 3 == 2:
            index.remove(names[0])
        if round == int(sys.argv[3]):
            break
"""


def start_writer(url: str, seed: int, rounds: int = 9_999) -> subprocess.Popen[str]:
    command = [*python(_WRITER), url, str(seed), str(rounds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def check_whole(index: CorpusIndex) -> None:
    with index.snapshot() as snapshot:
        listed = snapshot.documents()
        assert len({document.source for document in listed}) == len(listed)
        for document in listed:
            assert snapshot.text(document.source).count(f"of {document.source}.") == 20
        assert len(snapshot.chunks()) == sum(document.chunks for document in listed)
        for mode in ("lexical", "dense"):
            found = snapshot.search("writer in round", 10_000, mode)
            assert len(found) == len(snapshot.chunks()), mode


def test_several_writers_and_readers_lose_double_and_halve_nothing(postgres: PostgresServer, url: str, hashing) -> None:
    with CorpusIndex.open(url, hashing) as index:
        index.add([Document("own-0-9", "Writer 0 in round 9 of own-0-9. " * 20, "own-0-9")])
        writers = [start_writer(url, seed, 6) for seed in (1, 2)]
        victim = start_writer(url, 3)
        try:
            for writer in (*writers, victim):
                assert writer.stdout is not None
                assert writer.stdout.readline() == "begun\n"
            for _ in range(3):
                check_whole(index)
            time.sleep(random.Random(0).random())
            os.kill(victim.pid, signal.SIGKILL)
            while any(writer.poll() is None for writer in writers):
                check_whole(index)
            assert [writer.wait() for writer in writers] == [0, 0]
        finally:
            for process in (*writers, victim):
                process.kill()
                process.wait()
                assert process.stdout is not None
                process.stdout.close()
        check_whole(index)
        assert {"own-1-0", "own-2-0"} <= {document.source for document in index.documents()}
        assert index.verify().problems == ()


def test_statistics_are_added_up_and_stay_right(url: str, hashing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexes.storage.postgres.postings._MOST_STATISTICS", 4)
    with CorpusIndex.open(url, hashing) as index:
        for number in range(6):
            index.add([Document(f"{number}", f"Text {number} about the lamp.", "")])
        [[rows]] = index._read(lambda store: [*store.rows("SELECT count(*) FROM statistics")])
        assert rows <= 5
        assert index.languages() == {"en": 6}
        assert index.verify().problems == ()


def test_many_vectors_get_an_index_and_are_found(url: str, hashing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexes.storage.postgres.vectors.FLAT_BELOW", 20)
    with CorpusIndex.open(url, hashing) as index:
        index.add(documents())
        exact = {query: ranking(index, query, "dense")[:6] for query in QUERIES}
        assert not index._read(lambda store: store.vectors.has_index())
        index.add(documents(4))
        assert index._read(lambda store: store.vectors.has_index())
        index.remove("tower-3")
        index.add([Document("last", "The last document that was added, after there was an index.", "")])
        assert index.search("last document added after index", 1, "dense")[0].chunk.source == "last"
        for query in QUERIES:
            with_index = index.search(query, 5, "dense")
            monkeypatch.setattr("indexes.storage.postgres.vectors._MOST_CANDIDATES", 0)
            assert with_index == index.search(query, 5, "dense")
            monkeypatch.setattr("indexes.storage.postgres.vectors._MOST_CANDIDATES", 1000)
        assert exact
        for document in index.documents():
            index.remove(document.source)
        index.add([Document("again", "The first of new documents.", "")])
        assert index.verify().problems == ()


def test_a_restarted_server_is_found_again(hashing) -> None:
    with PostgresServer() as server:
        url = server.new_database()
        with CorpusIndex.open(url, hashing) as index:
            index.add(documents())
            server.stop()
            with pytest.raises(
                CorpusError, match=r"cannot be reached .*: see that the server runs there, and try again"
            ):
                index.search("lamp")
            server.start()
            assert index.search("lamp")
            index.add([Document("new", "A new text.", "")])
            with pytest.raises(CorpusError, match="try again"):
                break_off(index, server)
            assert len(index.documents()) == len(TEXTS) + 1
            assert index.verify().problems == ()


def break_off(index: CorpusIndex, server: PostgresServer) -> None:
    """Crash the server in the middle of a change."""
    with index.changing(wait=False) as (store, generation):
        store.remove_document("new", generation)
        server.stop("immediate")
        server.start()
        store.remove_document("cat-0", generation)


def wrong_password(server: PostgresServer) -> str:
    return server.url("postgres", f"{WITH_PASSWORD}:{quote('not-' + PASSWORD, safe='')}")


def without_rights(server: PostgresServer) -> str:
    url = server.new_database()
    server.sql("postgres", "DROP ROLE IF EXISTS nobody_special")
    server.sql("postgres", "CREATE ROLE nobody_special LOGIN")
    return url.replace("postgres@", "nobody_special@")


def something_else(server: PostgresServer) -> str:
    url = server.new_database()
    server.sql(url, "CREATE SCHEMA longctx CREATE TABLE mine (id int)")
    return url


def in_latin_1(server: PostgresServer) -> str:
    server.sql("postgres", "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    return server.url("latin")


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (wrong_password, CorpusError, "password authentication failed .*PGPASSWORD"),
        (lambda server: server.url("none"), CorpusError, 'database "none" does not exist.*: make it on the server'),
        (lambda _: "postgresql://me:hush@127.0.0.1:1/db", CorpusError, "cannot be reached .*see that the server runs"),
        (lambda _: "postgresql://me:hu/sh@localhost/db", CorpusError, "has a / .* before its @"),
        (lambda server: f"{server.url('postgres')}&odd=1", CorpusError, "invalid URI query parameter"),
        (lambda server: f"{server.url('postgres')}&schema=Odd", CorpusError, "schema is 'Odd': name one of"),
        (without_rights, CorpusError, "lacks the extension vector .*CREATE EXTENSION vector"),
        (something_else, IndexNotFound, "holds something else: name another"),
        (in_latin_1, CorpusError, "is in LATIN1: make a database in UTF8"),
    ],
)
def test_a_server_that_cannot_be_used_is_named_with_the_remedy_and_without_the_password(
    postgres: PostgresServer, hashing, make: Callable[[PostgresServer], str], kind: type[CorpusError], message: str
) -> None:
    url = make(postgres)
    with pytest.raises(kind, match=message) as raised:
        CorpusIndex.open(url, hashing)
    said = str(raised.value)
    assert "\n" not in said
    for secret in ("hush", "hu/sh", PASSWORD, quote(PASSWORD, safe="")):
        assert secret not in said


def test_an_index_of_a_newer_longctx_is_refused_and_left_alone(postgres: PostgresServer, hashing) -> None:
    url = postgres.new_database()
    with CorpusIndex.open(url, hashing) as index:
        index.add(documents())
    postgres.sql(url, "UPDATE longctx.meta SET value = '99' WHERE key = 'format'")
    with pytest.raises(IndexMismatch, match=r"has format 99 and this longctx knows format 2: upgrade longctx"):
        CorpusIndex.open(url, hashing)
    postgres.sql(url, "UPDATE longctx.meta SET value = '2' WHERE key = 'format'")
    postgres.sql(url, "UPDATE longctx.meta SET value = '99' WHERE key = 'analysis'")
    with pytest.raises(IndexMismatch, match="made by a newer longctx: upgrade longctx"):
        CorpusIndex.open(url, hashing)


def test_an_index_of_an_older_analyzer_is_indexed_again(postgres: PostgresServer, hashing) -> None:
    url = postgres.new_database()
    with CorpusIndex.open(url, hashing) as index:
        index.add(documents())
        before = ranking(index, "lamp of the tower", "lexical")
    postgres.sql(url, "UPDATE longctx.meta SET value = '1' WHERE key = 'analysis'")
    postgres.sql(url, "UPDATE longctx.postings SET term = term || 'x'")
    with CorpusIndex.open(url, hashing) as index:
        assert ranking(index, "lamp of the tower", "lexical") == before
        assert index.verify().problems == ()


def test_there_is_no_index_before_one_is_made(url: str, hashing) -> None:
    with pytest.raises(IndexNotFound, match=r"there is no index in .*: make one with `longctx ingest PATH --index"):
        CorpusIndex.open(url, hashing, create=False)


@pytest.mark.parametrize(
    ("damage", "problem", "mended"),
    [
        ("UPDATE vectors SET checksum = 0 WHERE chunk_id = 1", "the vector of chunk 1", "embedded 1 chunks of"),
        ("UPDATE documents SET characters = 7 WHERE id = 1", "document 1", "removed"),
        ("DELETE FROM statistics", "statistics", "the search indexes were made again"),
        ("DELETE FROM vectors WHERE chunk_id = 2", "1 chunks without a vector", "embedded 1 chunks of"),
    ],
)
def test_what_is_damaged_is_found_and_mended(
    postgres: PostgresServer, hashing, damage: str, problem: str, mended: str
) -> None:
    url = postgres.new_database()
    with CorpusIndex.open(url, hashing) as index:
        index.add(documents())
        with index.changing(wait=False) as (store, _):
            store.rows(damage)
        assert any(problem in each for each in index.verify().problems)
        assert any(mended in each for each in index.repair())
        assert index.verify().problems == ()


def test_a_damaged_vector_is_no_answer(url: str, hashing) -> None:
    with CorpusIndex.open(url, hashing) as index:
        index.add(documents())
        with index.changing(wait=False) as (store, _):
            store.rows("UPDATE documents SET title = 'another'")
        with pytest.raises(IndexDamaged, match=r"is not what it was; mend it with `longctx index repair`"):
            index.search("lamp")


def test_what_is_kept_beside_an_index_depends_on_where_it_is_and_not_on_the_password() -> None:
    one = "postgresql://me:one@host/db?schema=a"
    assert kept_beside(one) == kept_beside("postgresql://you:two@host/db?password=three&schema=a")
    assert kept_beside(one) != kept_beside("postgresql://me:one@host/db?schema=b")
    assert kept_beside(one) != kept_beside("postgresql://me:one@other/db?schema=a")
    assert kept_beside(Path("folder")) == Path("folder")
    address = DatabaseAddress.parse("postgresql://me:a%2Fb@host:5433/db?password=c&sslmode=require&schema=longctx")
    assert address.shown == "postgresql://me@host:5433/db?sslmode=require"
    assert address.masked("a/b and a%2Fb\n and c") == "… and … and …"
    assert "schema" not in address.conninfo
