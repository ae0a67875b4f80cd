"""`repair` mends what `verify` finds, and a search reads no file whose content is not what was written."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hashing_encoder import HashingEncoder

from indexes import CorpusError, CorpusIndex, Document, Encoder
from indexes.readers import READER_VERSION
from indexes.types import Vectors


def flip(path: Path, place: int) -> None:
    """Flip a bit as a failing disk does: size and time stay."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(place % status.st_size)
        [byte] = file.read(1)
        file.seek(place % status.st_size)
        file.write(bytes([byte ^ (1 << place % 8)]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def derived(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and path.parent != folder and path.suffix != ".lock"
    )


def answers(index: CorpusIndex) -> list[object]:
    return [
        [(hit.chunk.source, hit.chunk.start) for hit in index.search(f"subject{n}", 5, mode)]
        for n in range(4)
        for mode in ("lexical", "dense")
    ]


@pytest.mark.parametrize("seed", range(6))
def test_a_flipped_bit_in_a_derived_file_is_noticed_by_the_first_search(
    folder: Path, hashing: Encoder, seed: int
) -> None:
    with CorpusIndex.open(folder, hashing) as index:
        right = answers(index)
    luck = random.Random(seed)
    for path in luck.sample(derived(folder), 2):
        flip(path, luck.randrange(10**6))
    with CorpusIndex.open(folder, hashing) as index:
        assert index.verify().problems
        assert answers(index) == right
        assert index.verify().problems == ()


def test_many_bytes_are_checked_beside_the_search_which_waits(
    folder: Path, hashing: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexes.storage.content_check._AT_ONCE", -1)
    test_a_flipped_bit_in_a_derived_file_is_noticed_by_the_first_search(folder, hashing, 1)
    [*_, last] = derived(folder)
    flip(last, 7)
    with CorpusIndex.open(folder, hashing) as index, index.snapshot() as snapshot:
        assert answers(snapshot)


def test_an_ingest_does_not_carry_a_damaged_file_on(folder: Path, hashing: Encoder) -> None:
    with CorpusIndex.open(folder, hashing) as index:
        right = answers(index)
    for path in derived(folder):
        flip(path, 100)
    with CorpusIndex.open(folder, hashing) as index:
        index.add([Document("new", "nothing that is asked for", "new")])
        assert index.verify().problems == ()
        index.remove("new")
        assert answers(index) == right


def execute(*statements: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with closing(sqlite3.connect(folder / "corpus.sqlite3")) as database, database:
            for statement in statements:
                database.execute(statement)

    return change


FIRST = "(SELECT min(id) FROM documents)"
DAMAGE = {
    "vector": (execute("UPDATE vectors SET vector = zeroblob(length(vector)) WHERE chunk_id = 1"), 0),
    "vector of another length": (execute("UPDATE vectors SET vector = x'00' WHERE chunk_id = 1"), 0),
    "no vector": (execute("DELETE FROM vectors WHERE chunk_id = 2"), 0),
    "title": (execute("UPDATE documents SET folded_title = 'x'"), 0),
    "stamp": (execute(f"UPDATE documents SET stamp = substr(stamp, 1, 12) || 'x' WHERE id = {FIRST}"), 0),
    "stamp that is no text": (execute(f"UPDATE documents SET stamp = CAST(x'ff' AS TEXT) WHERE id = {FIRST}"), 0),
    "text": (execute(f"UPDATE texts SET text = x'00' WHERE document_id = {FIRST}"), 1),
    "no text": (execute(f"DELETE FROM texts WHERE document_id = {FIRST}"), 1),
    "chunk": (execute("UPDATE chunks SET line = line + 1 WHERE id = 1"), 1),
    "no chunk": (execute("DELETE FROM chunks WHERE id = 1"), 1),
    "facts": (execute(f"UPDATE documents SET title = 'x' WHERE id = {FIRST}"), 1),
    "source that is no text": (execute(f"UPDATE documents SET source = CAST(x'ff' AS TEXT) WHERE id = {FIRST}"), 1),
    "files": (lambda folder: [flip(path, 9) for path in derived(folder)], 0),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_repair_mends_or_takes_out_what_verify_finds(folder: Path, hashing: Encoder, made: Path, what: str) -> None:
    damage, lost = DAMAGE[what]
    with CorpusIndex.open(folder, hashing) as index:
        right = answers(index)
        with index.changing(wait=False) as (store, _):  # as of files that have not just been written
            for document in index.documents():
                store.set_stamp(document.source, "1:2:3:4:version", document.modified)
    damage(folder)
    with CorpusIndex.open(folder, hashing) as index:
        assert index.verify().problems
        done = index.repair()
        assert sum(line.startswith("removed ") for line in done) == lost
        assert index.verify().problems == ()
        assert len(index.documents()) == 12 - lost
        report = index.ingest(made / "corpus")
        assert (report.added, report.failed) == (lost, ())
        if not lost:
            assert answers(index) == right
        assert index.verify().problems == ()


def test_rows_that_name_no_document_are_given_back_or_made_again(tmp_path: Path, hashing: Encoder) -> None:
    (tmp_path / "docs").mkdir()
    rows = "".join(f"| row{n} | {n} euro |\n" for n in range(60))
    for name in ("a.md", "b.md"):
        (tmp_path / "docs" / name).write_text(f"# Fees\n\n| name | fee |\n| --- | --- |\n{rows}")
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        assert index.ingest(tmp_path / "docs").copies == 1
        right = [hit.chunk.text_with_header for hit in index.search("row50 fee", 3)]
        assert "| name | fee |" in right[0]
    execute("UPDATE copies SET document_id = 99", "UPDATE tables SET document_id = 99")(tmp_path / "index")
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        assert index.verify().problems
        index.repair()
        assert index.verify().problems == ()
        assert index.ingest(tmp_path / "docs").failed == ()
        assert len(index.documents()) == 2
        assert [hit.chunk.text_with_header for hit in index.search("row50 fee", 3)] == right


@pytest.mark.parametrize("name", ["chunking", "encoder", "encoder_fingerprint", "settings"])
@pytest.mark.parametrize("change", ["value = value || '0'", "key = 'other'", "value = '[41, 0]'"])
def test_damaged_settings_are_said_in_one_line_and_made_again(
    folder: Path, hashing: Encoder, made: Path, name: str, change: str
) -> None:
    with CorpusIndex.open(folder, hashing) as index:
        execute(f"UPDATE meta SET {change} WHERE key = '{name}'")(folder)
        assert "settings" in "".join(index.verify().problems)
        right = [*map(str, index.documents())]
        uses = (lambda: index.ingest(made / "corpus"), lambda: index.search("subject1"))
        for use in (*uses, lambda: CorpusIndex.open(folder, hashing)):
            with pytest.raises(CorpusError, match=r"settings .* are not what they were: try `longctx index repair`"):
                use()
    with CorpusIndex.open(folder, hashing, to_repair=True) as index:
        assert "settings of the index were made again, with the encoder hashing" in "".join(index.repair())
        assert index.verify().problems == ()
        assert [*map(str, index.documents())] == right
        assert index.ingest(made / "corpus").unchanged == 12
    with CorpusIndex.open(folder, hashing) as index:
        assert index.search("subject1")[0].chunk.source.endswith("1.md")


class OtherWeights(HashingEncoder):
    fingerprint = "other"

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        return super().encode_passages(texts)[:, ::-1]


BESIDE = {
    "encoder": "kept encoder_fingerprint and chunking; derived their checksum and encoder by the encoder's fingerprint",
    "encoder_fingerprint": "kept encoder and chunking; derived their checksum and encoder_fingerprint by vectors",
    "chunking": "kept encoder and encoder_fingerprint; derived their checksum and chunking by ",
    "none": "kept encoder, encoder_fingerprint and chunking; derived their checksum",
}


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("change", ["value = value || '0'", "key = key || '0'", "value = '[41, 0]'"])
@pytest.mark.parametrize("stamped", [False, True])
def test_a_setting_that_is_damaged_beside_the_checksum_is_derived(
    folder: Path, hashing: Encoder, made: Path, name: str, change: str, stamped: bool
) -> None:
    with CorpusIndex.open(folder, hashing) as index:
        right = answers(index)
        if stamped:
            with index.changing(wait=False) as (store, _):
                for document in index.documents():
                    store.set_stamp(document.source, f"1:2:3:4:{READER_VERSION.decode()}", document.modified)
    if name == "chunking" and change.startswith("key") and not stamped:
        pytest.skip("none is what the default is")
    execute(f"UPDATE meta SET {change} WHERE key IN ('{name}', 'settings')")(folder)
    with CorpusIndex.open(folder, hashing, to_repair=True) as index:
        [said, *_] = index.repair()
        assert said.startswith(f"the settings of the index were made again, with the encoder hashing: {BESIDE[name]}")
        if name == "chunking":
            assert said.endswith("the stamps of files" if stamped else "files")
        assert index.verify().problems == ()
    with CorpusIndex.open(folder, hashing) as index:
        assert index.ingest(made / "corpus").changed == 0
        assert answers(index) == right


def test_all_settings_are_derived_from_vectors_and_files(folder: Path, hashing: Encoder, made: Path) -> None:
    execute("DELETE FROM meta WHERE key IN ('encoder', 'encoder_fingerprint', 'settings')")(folder)
    with (
        CorpusIndex.open(folder, OtherWeights(), to_repair=True) as index,
        pytest.raises(CorpusError, match="nothing shows that the encoder was 'hashing': if it was another"),
    ):
        index.repair()
    with CorpusIndex.open(folder, hashing, to_repair=True) as index:
        assert index.repair()[0].endswith(
            "kept chunking; derived their checksum, encoder_fingerprint by vectors that it makes again and encoder by "
            "vectors that it makes again"
        )
        assert index.verify().problems == ()
        assert index.ingest(made / "corpus").changed == 0


def test_nothing_shows_the_encoder_where_no_document_is_whole(tmp_path: Path, hashing: Encoder) -> None:
    with CorpusIndex.open(tmp_path, hashing) as index:
        index.add([Document("a", "subject1", "a")])
    execute("UPDATE documents SET text_checksum = 1, checksum = 1", "DELETE FROM meta WHERE key LIKE 'encoder%'")(
        tmp_path
    )
    execute("UPDATE meta SET value = '0' WHERE key = 'settings'")(tmp_path)
    with (
        CorpusIndex.open(tmp_path, hashing, to_repair=True) as index,
        pytest.raises(CorpusError, match="longctx index repair --encoder NAME"),
    ):
        index.repair()


@pytest.mark.parametrize("name", ["chunking", "encoder", "encoder_fingerprint", "settings"])
def test_settings_are_not_made_again_with_another_encoder(folder: Path, hashing: Encoder, name: str) -> None:
    execute(f"UPDATE meta SET value = value || '0' WHERE key = '{name}'")(folder)
    with CorpusIndex.open(folder, OtherWeights(), to_repair=True) as index:
        with pytest.raises(CorpusError, match="nothing shows that the encoder was 'hashing': if it was another"):
            index.repair()
        assert "settings" in "".join(index.verify().problems)


def test_a_chunking_is_told_by_the_stamps_of_files(tmp_path: Path, made: Path, hashing: Encoder) -> None:
    shutil.copytree(made / "corpus", tmp_path / "corpus")
    for file in (tmp_path / "corpus").iterdir():
        os.utime(file, (1, 1))
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        time.sleep(2.1)  # the stamp of a file that has just been changed proves nothing
        index.ingest(tmp_path / "corpus", chunk_tokens=40, overlap=5)
        right = answers(index)
    execute("UPDATE meta SET value = '[41, 5]' WHERE key = 'chunking'")(tmp_path / "index")
    with CorpusIndex.open(tmp_path / "index", hashing, to_repair=True) as index:
        index.repair()
        assert index.ingest(tmp_path / "corpus").unchanged == 12
        assert answers(index) == right


GENERATIONS = ("UPDATE meta SET value = '1' WHERE key = 'generation'", "UPDATE documents SET generation = 40")


@pytest.mark.parametrize("damage", GENERATIONS)
def test_a_damaged_generation_doubles_nothing(tmp_path: Path, hashing: Encoder, damage: str) -> None:
    with CorpusIndex.open(tmp_path, hashing) as index:
        for n in range(30):
            index.add([Document(f"{n}", f"subject{n} is what this is about", f"{n}")])
        right = answers(index)
    execute(damage)(tmp_path)
    for n in range(12):
        with CorpusIndex.open(tmp_path, hashing) as index:
            index.add([Document(f"new{n}", "something else", f"new{n}")])
            index.remove(f"new{n}")
            assert index.verify().problems == ()
            assert answers(index) == right


def test_a_damaged_stamp_is_found_and_hinders_no_ingest(folder: Path, hashing: Encoder, made: Path) -> None:
    DAMAGE["stamp that is no text"][0](folder)
    with CorpusIndex.open(folder, hashing) as index:
        assert "stamp" in "".join(index.verify().problems)
        assert index.ingest(made / "corpus").unchanged == 12
        assert index.verify().problems == ()


def test_a_table_of_sqlite_itself_that_cannot_be_repaired_is_said(folder: Path, hashing: Encoder) -> None:
    with closing(sqlite3.connect(folder / "corpus.sqlite3")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [[page]] = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_sequence'")
        [[size]] = database.execute("PRAGMA page_size")
    with (folder / "corpus.sqlite3").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))
    with CorpusIndex.open(folder, hashing) as index:
        assert index.search("subject1")
        assert index.verify().problems
        with pytest.raises(CorpusError, match=r"is not enough .*; put a copy of it back"):
            index.repair()


@pytest.mark.parametrize("content", [b"", b"S"])
def test_an_index_whose_database_was_emptied_is_no_new_one(folder: Path, hashing: Encoder, content: bytes) -> None:
    (folder / "corpus.sqlite3").write_bytes(content)
    with pytest.raises(CorpusError, match="put a copy of it back"):
        CorpusIndex.open(folder, hashing)
    assert (folder / "corpus.sqlite3").read_bytes() == content


def test_nothing_is_repaired_where_nothing_can_be_read(folder: Path, hashing: Encoder) -> None:
    (folder / "corpus.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(CorpusError), CorpusIndex.open(folder, hashing) as index:
        index.repair()
