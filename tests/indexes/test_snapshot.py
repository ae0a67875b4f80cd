"""CorpusIndex.snapshot(): everything that is read from it is of one generation, in one transaction."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hashing_encoder import python

from indexes import CorpusError, CorpusIndex, Encoder, SearchFilter

MODES = ("dense", "lexical", "hybrid")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    for number in range(6):
        (tmp_path / "corpus" / f"{number}.txt").write_text(said(number, "first"))
    return tmp_path / "corpus"


@pytest.fixture
def index(tmp_path: Path, corpus: Path, hashing: Encoder) -> Iterator[CorpusIndex]:
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        index.ingest(corpus)
        yield index


def said(number: int, version: str) -> str:
    return f"Subject{number} as it stood in the {version} version of it, and more in words.\n" * 12


def replace_all(corpus: Path, hashing: Encoder, index: CorpusIndex) -> None:
    """Ingest other text for every file, as another process would."""
    for file in corpus.iterdir():
        file.write_text(said(int(file.stem), "second"))
    with CorpusIndex.open(index.path, hashing) as writer:
        assert writer.ingest(corpus).changed == 6


def test_an_ingest_does_not_show_in_a_snapshot(index: CorpusIndex, corpus: Path, hashing: Encoder) -> None:
    before = {mode: index.search("subject3 version", 4, mode) for mode in MODES}
    listed, chunks = index.documents(), index.chunks()
    only = SearchFilter(source=str(corpus / "3.txt"))
    [best, *_] = index.search("subject3", filters=only)
    around, text = index.neighbours(best.chunk, 2), index.text(corpus / "3.txt")

    with index.snapshot() as snapshot:
        replace_all(corpus, hashing, index)
        assert {mode: snapshot.search("subject3 version", 4, mode) for mode in MODES} == before
        assert (snapshot.documents(), snapshot.chunks()) == (listed, chunks)
        assert snapshot.search("subject3", filters=only)[0] == best
        assert snapshot.neighbours(best.chunk, 2) == around
        assert snapshot.text(corpus / "3.txt") == text
        assert snapshot.similarity("subject3", [text]) == index.similarity("subject3", [text])

    assert index.text(corpus / "3.txt") == said(3, "second")
    assert "second" in index.search("subject3 version", 1)[0].chunk.text
    assert index.neighbours(best.chunk, 2) == ([], []), "the chunk has gone"


def test_a_snapshot_reads_in_one_transaction(
    index: CorpusIndex, corpus: Path, hashing: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    connect = sqlite3.connect

    def traced(*args, **options):
        connection = connect(*args, **options)
        connection.set_trace_callback(lambda sql: begun.append(sql) if sql.startswith("BEGIN") else None)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    with CorpusIndex.open(index.path, hashing) as again:
        begun.clear()
        with again.snapshot() as snapshot:
            hits = snapshot.search("subject3 version", 4, expand=1)
            for hit in hits:
                snapshot.neighbours(hit.chunk, 2)
            snapshot.documents()
            snapshot.chunks(SearchFilter(source=str(corpus)))
            snapshot.similarity("subject3", [hit.chunk.text for hit in hits])
            snapshot.text(corpus / "3.txt")
        assert begun == ["BEGIN"]


def test_files_that_are_deleted_do_a_snapshot_no_harm(index: CorpusIndex) -> None:
    before = {mode: index.search("subject3 version", 4, mode) for mode in MODES}
    with index.snapshot() as snapshot:
        shutil.rmtree(index.path / "dense")
        shutil.rmtree(index.path / "lexical")
        assert {mode: snapshot.search("subject3 version", 4, mode) for mode in MODES} == before
    with index.snapshot() as snapshot:
        assert {mode: snapshot.search("subject3 version", 4, mode) for mode in MODES} == before
    assert index.verify().problems == ()


@pytest.mark.parametrize("derived", ["dense", "lexical"])
def test_damage_is_mended_when_a_snapshot_is_taken(index: CorpusIndex, derived: str) -> None:
    before = {mode: index.search("subject3 version", 4, mode) for mode in MODES}
    cut_short(index.path / derived)
    with index.snapshot() as snapshot:
        assert index.verify().problems == ()
        assert {mode: snapshot.search("subject3 version", 4, mode) for mode in MODES} == before


@pytest.mark.parametrize("derived", ["dense", "lexical"])
def test_damage_is_mended_in_a_snapshot_that_has_not_been_read(
    index: CorpusIndex, corpus: Path, hashing: Encoder, derived: str
) -> None:
    with CorpusIndex.open(index.path, hashing) as other, other.snapshot() as snapshot:
        cut_short(index.path / derived)
        replace_all(corpus, hashing, index)
        [best, *_] = snapshot.search("subject3 version")
        assert "second" in best.chunk.text, "it is of the newest generation"
        assert snapshot.text(best.chunk.source) == said(int(Path(best.chunk.source).stem), "second")
    assert index.verify().problems == ()


@pytest.mark.parametrize("derived", ["dense", "lexical"])
def test_damage_to_what_a_snapshot_has_read_from_is_an_error(index: CorpusIndex, derived: str) -> None:
    with index.snapshot() as snapshot:
        listed = snapshot.documents()
        cut_short(index.path / derived)
        with pytest.raises(CorpusError, match=r"damaged while they were read: try again"):
            snapshot.search("subject3 version")
        assert snapshot.documents() == listed, "what is in the database can be read still"
    with index.snapshot() as snapshot:
        assert snapshot.search("subject3 version")
    assert index.verify().problems == ()


SEARCH_WHAT_IS_CUT = """
import os
from pathlib import Path
from indexes import CorpusError
folder, corpus = Path(sys.argv[1]), Path(sys.argv[2])
with CorpusIndex.open(folder, HashingEncoder()) as index, index.snapshot() as snapshot:
    listed = snapshot.documents()
    (corpus / "new.txt").write_text("Something new, so that there is another generation.")
    with CorpusIndex.open(folder, HashingEncoder()) as writer:
        assert writer.ingest(corpus).added == 1
        for file in (folder / "lexical").rglob("*.*"):
            os.truncate(file, 0)
        if sys.argv[3] == "mended":
            assert writer.search("subject3", mode="lexical")
    try:
        snapshot.search("subject3", mode="lexical")
    except CorpusError as error:
        assert "try again" in str(error)
    else:
        raise AssertionError("files were read that have been cut short")
    assert snapshot.documents() == listed
    with index.snapshot() as later:
        assert later.search("subject3", mode="lexical")
"""


@pytest.mark.parametrize("then", ["damaged", "mended"])
def test_files_cut_short_under_a_later_name_do_not_end_the_process(index: CorpusIndex, corpus: Path, then: str) -> None:
    """A generation shares files with the one before, whose own names for them have been deleted by then."""
    subprocess.run([*python(SEARCH_WHAT_IS_CUT), str(index.path), str(corpus), then], check=True)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux lists what is open")
def test_snapshots_leave_no_file_open(index: CorpusIndex) -> None:
    def held() -> int:
        names = []
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # the one that lists the folder
                names.append(str(entry.readlink()))
        return sum(str(index.path / "lexical") in name for name in names)

    with index.snapshot() as first, index.snapshot() as second:
        assert first.search("subject3") == second.search("subject3")
        files = len([file for file in (index.path / "lexical").rglob("*.*") if file.suffix != ".lock"])
        assert held() == files, "once for all snapshots of a generation"
    assert held() == 0


def cut_short(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            os.truncate(file, file.stat().st_size // 2)


def test_a_snapshot_of_an_empty_index_has_nothing(tmp_path: Path, hashing: Encoder) -> None:
    with CorpusIndex.open(tmp_path / "empty", hashing) as index, index.snapshot() as snapshot:
        assert all(snapshot.search("anything", mode=mode) == [] for mode in MODES)
        assert (snapshot.documents(), snapshot.chunks()) == ([], [])
        with pytest.raises(CorpusError, match="is not in the index"):
            snapshot.text("anything.txt")


def test_a_snapshot_is_of_no_use_after_its_block(index: CorpusIndex) -> None:
    with index.snapshot() as snapshot:
        assert snapshot.documents()
    with pytest.raises(CorpusError, match="has ended: read it inside its `with` block"):
        snapshot.documents()
    with pytest.raises(CorpusError, match="has ended"):
        snapshot.search("subject3")


def test_an_error_inside_a_snapshot_comes_through_and_ends_it(index: CorpusIndex) -> None:
    with pytest.raises(ValueError, match="of the caller"), index.snapshot():
        raise ValueError("of the caller")
    assert index.search("subject3")
