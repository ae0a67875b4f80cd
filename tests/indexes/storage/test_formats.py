"""An index that an older longctx made becomes one of today; one that a newer made is refused."""

from __future__ import annotations

import shutil
import sqlite3
import zlib
from pathlib import Path

import pytest
from written_files import write_files

from indexes import CorpusIndex, Encoder, IndexDamaged, IndexMismatch, SearchFilter
from indexes.storage.sqlite.schema import FORMAT_VERSION

# The tables as longctx at commit cee4160 made them.
FORMAT_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('generation', '0');
-- AUTOINCREMENT: an id that was removed never comes back, so a derived index cannot mistake one document for another.
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL UNIQUE, title TEXT NOT NULL, content_hash TEXT NOT NULL,
    characters INTEGER NOT NULL, chunks INTEGER NOT NULL, tokens INTEGER NOT NULL, generation INTEGER NOT NULL
) STRICT;
CREATE TABLE texts (
    document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE, piece INTEGER NOT NULL, text BLOB NOT NULL,
    PRIMARY KEY (document_id, piece)
) STRICT, WITHOUT ROWID;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    heading TEXT NOT NULL, page INTEGER, "start" INTEGER NOT NULL, "end" INTEGER NOT NULL, line INTEGER NOT NULL,
    tokens INTEGER NOT NULL
) STRICT;
CREATE INDEX chunks_of_document ON chunks (document_id);
CREATE TABLE vectors (chunk_id INTEGER PRIMARY KEY REFERENCES chunks ON DELETE CASCADE, vector BLOB NOT NULL) STRICT;
-- What the derived indexes need to catch up: documents taken out, and when each range of chunk ids last changed.
CREATE TABLE removals (document_id INTEGER PRIMARY KEY, generation INTEGER NOT NULL) STRICT;
CREATE TABLE segments (id INTEGER PRIMARY KEY, generation INTEGER NOT NULL) STRICT;
PRAGMA user_version = 1;
"""
TEXTS = {
    name: f"# {name}\n\n{name} is what this document is about, at some length. " * 40 for name in ("Alpha", "Gamma")
}


def make_format_1(folder: Path, corpus: Path, encoder: Encoder) -> None:
    """An index with the documents in TEXTS, a chunk for every line, as the code of that commit stored them."""
    (folder / "dense").mkdir(parents=True)
    (folder / "lexical").mkdir()
    (folder / "dense" / "000000-000000000001.faiss").write_bytes(b"an index in FAISS's format")
    (folder / "lexical" / "generation.json").write_text('{"generation": 1, "analysis": 1}')
    database = sqlite3.connect(folder / "corpus.sqlite3")
    database.executescript(FORMAT_1)
    database.execute("PRAGMA journal_mode = WAL")
    chunk_id = 0
    for document_id, (name, text) in enumerate(TEXTS.items(), 1):
        lines = text.splitlines(keepends=True)
        facts = (document_id, str(corpus / f"{name}.md"), name, "0" * 64, len(text), len(lines), 7 * len(lines), 1)
        database.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?)", facts)
        database.execute("INSERT INTO texts VALUES (?, 0, ?)", (document_id, zlib.compress(text.encode())))
        start = 0
        for number, line in enumerate(lines, 1):
            chunk_id += 1
            end = start + len(line)
            row = (chunk_id, document_id, name, None, start, end, number, 7)
            database.execute("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            vector = encoder.encode_passages([line])[0].astype("<f4").tobytes()
            database.execute("INSERT INTO vectors VALUES (?, ?)", (chunk_id, vector))
            start = end
    database.execute("INSERT INTO segments VALUES (0, 1)")
    facts = [("generation", "1"), ("encoder", encoder.name), ("encoder_fingerprint", encoder.fingerprint)]
    database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", facts)
    database.commit()
    database.close()


@pytest.fixture
def folder(tmp_path: Path, hashing: Encoder) -> Path:
    write_files(tmp_path / "corpus", {f"{name}.md": text for name, text in TEXTS.items()})
    make_format_1(tmp_path / "index", tmp_path / "corpus", hashing)
    return tmp_path


def test_format_1_is_brought_up_to_date_and_loses_nothing(folder: Path, hashing: Encoder) -> None:
    with CorpusIndex.open(folder / "index", hashing) as index:
        assert index.verify().problems == ()
        assert {Path(d.source).stem: index.text(d.source) for d in index.documents()} == TEXTS
        assert [Path(d.source).stem for d in index.documents(SearchFilter(title="ＧＡＭＭＡ"))] == ["Gamma"]
        assert index.info().chunks == sum(len(text.splitlines()) for text in TEXTS.values())
        for mode in ("dense", "lexical"):
            [hit] = index.search("gamma", k=1, mode=mode)
            assert Path(hit.chunk.source).stem == "Gamma"
            assert TEXTS["Gamma"][hit.chunk.start : hit.chunk.end] == hit.chunk.text
        assert not list((folder / "index").glob("lexical/generation.json")), "the old derived files are gone"
        assert index.ingest(folder / "corpus").changed == 2, "the old hash was another's"
        assert index.ingest(folder / "corpus").unchanged == 2
        assert index.verify().problems == ()
    assert version(folder) == FORMAT_VERSION


def test_tables_that_were_migrated_are_those_that_are_made(folder: Path, hashing: Encoder) -> None:
    def columns(database: Path) -> dict[str, list[tuple]]:
        with sqlite3.connect(database) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            found = {
                table: sorted(row[1:4] for row in connection.execute(f"PRAGMA table_info({table})")) for table in tables
            }
            found["indexes"] = sorted(connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'"))
        connection.close()
        return found

    for index in ("index", "new"):
        CorpusIndex.open(folder / index, hashing).close()
    assert columns(folder / "index" / "corpus.sqlite3") == columns(folder / "new" / "corpus.sqlite3")


def test_a_migration_that_fails_changes_nothing(folder: Path, hashing: Encoder) -> None:
    with sqlite3.connect(folder / "index" / "corpus.sqlite3") as database:
        database.execute("UPDATE texts SET text = x'00' WHERE document_id = 2")
    database.close()
    with pytest.raises(IndexDamaged, match="damaged"):
        CorpusIndex.open(folder / "index", hashing)
    assert version(folder) == 1


def test_a_newer_format_is_refused(folder: Path, hashing: Encoder) -> None:
    set_version(folder, 999)
    with pytest.raises(IndexMismatch, match=r"format 999.*upgrade"):
        CorpusIndex.open(folder / "index", hashing)


def test_what_a_newer_longctx_migrates_while_it_is_open_is_refused(folder: Path, hashing: Encoder) -> None:
    with CorpusIndex.open(folder / "index", hashing) as index, index.snapshot() as snapshot:
        set_version(folder, 999)
        assert snapshot.documents(), "a snapshot is of what was there before"
        for attempt in (index.documents, lambda: index.search("gamma"), lambda: index.ingest(folder / "corpus")):
            with pytest.raises(IndexMismatch, match=r"format 999.*upgrade"):
                attempt()
        set_version(folder, FORMAT_VERSION)
        assert index.ingest(folder / "corpus").changed == 2, "and nothing was written"


def set_version(folder: Path, number: int) -> None:
    with sqlite3.connect(folder / "index" / "corpus.sqlite3") as database:
        database.execute(f"PRAGMA user_version = {number}")
    database.close()


def version(folder: Path) -> int:
    database = sqlite3.connect(folder / "index" / "corpus.sqlite3")
    found = database.execute("PRAGMA user_version").fetchone()[0]
    database.close()
    return int(found)


def test_what_format_3_had_in_its_dense_files_stays_there(made: Path, folder: Path, hashing: Encoder) -> None:
    index = Path(shutil.copytree(made / "index", folder / "format 3"))
    with sqlite3.connect(index / "corpus.sqlite3") as database:
        database.executescript("DROP TABLE unfiled; PRAGMA user_version = 3;")
    database.close()
    before = {file.name: file.stat().st_ino for file in index.glob("dense/*")}
    with CorpusIndex.open(index, hashing) as opened:
        assert opened.verify().problems == ()
        assert opened.search("subject1", k=1, mode="dense")
    assert {file.name: file.stat().st_ino for file in index.glob("dense/*")} == before
    assert len(before) == 1
