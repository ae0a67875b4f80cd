"""What an ingest does not do when nothing, or little, has changed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hashing_encoder import CountingEncoder

from indexes import CorpusIndex, Encoder

# Ingests, with an encoder that cannot be used, and prints which of the corpus's files were opened and what was imported.
INGEST = """
import sys
sys.path[:0] = {path!r}
opened = []
sys.addaudithook(lambda event, args: event == "open" and str(args[0]).endswith(".txt") and opened.append(args[0]))
from indexes import CorpusIndex
class Useless:
    name = "hashing"
    def __getattr__(self, attribute):
        raise AssertionError(f"the encoder's {{attribute}} was used")
with CorpusIndex.open(sys.argv[1], Useless()) as index:
    report = index.ingest(sys.argv[2])
heavy = [name for name in ("torch", "transformers", "llama_index", "faiss", "tantivy") if name in sys.modules]
print(report.unchanged, len(opened), heavy)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, hashing: Encoder) -> Path:
    """Files that were written some seconds ago, in an index that has seen them since."""
    folder = tmp_path_factory.mktemp("unchanged")
    (folder / "corpus").mkdir()
    for number in range(5):
        (folder / "corpus" / f"{number}.txt").write_text(f"This is document {number}.")
    time.sleep(2.1)
    with CorpusIndex.open(folder / "index", hashing) as index:
        assert index.ingest(folder / "corpus").added == 5
    return folder


def ingest_elsewhere(made: Path) -> str:
    script = INGEST.format(path=sys.path)
    command = [sys.executable, "-c", script, str(made / "index"), str(made / "corpus")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_files_that_are_as_they_were_are_not_opened_and_nothing_heavy_is_imported(made: Path) -> None:
    assert ingest_elsewhere(made) == "5 0 []\n"


def test_a_file_that_was_touched_is_compared_and_has_its_new_date(made: Path, hashing: Encoder) -> None:
    os.utime(made / "corpus" / "1.txt", (1_000_000_000, 1_000_000_000))
    assert ingest_elsewhere(made).startswith("5 1 ")
    with CorpusIndex.open(made / "index", hashing) as index:
        assert [document.modified for document in index.documents()][1] == "2001-09-09T01:46:40Z"
        assert index.verify().problems == ()


def test_a_file_with_its_old_size_and_time_and_another_text_is_noticed(made: Path, hashing: Encoder) -> None:
    file = made / "corpus" / "2.txt"
    before = file.stat()
    file.write_text("This is document Q.")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    with CorpusIndex.open(made / "index", hashing) as index:
        assert index.ingest(made / "corpus").changed == 1
        assert index.text(file) == "This is document Q."


def test_a_file_that_changes_again_and_again_is_noticed_each_time(tmp_path: Path, hashing: Encoder) -> None:
    """Faster than a file system's clock may be: their status alone would not tell."""
    file = tmp_path / "a.txt"
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        for letter in "ABCDEFGH":
            file.write_text(f"This is document {letter}.")
            os.utime(file, (1_700_000_000, 1_700_000_000))
            index.ingest(file)
            assert index.text(file) == f"This is document {letter}."


def test_one_changed_file_touches_one_document(made: Path) -> None:
    counting = CountingEncoder()
    (made / "corpus" / "3.txt").write_text("This is another document 3.")
    with CorpusIndex.open(made / "index", counting) as index:
        ids = {hit.chunk.source: hit.chunk.id for hit in index.search("document", k=9, mode="lexical")}
        assert index.ingest(made / "corpus").changed == 1
        after = {hit.chunk.source: hit.chunk.id for hit in index.search("document", k=9, mode="lexical")}
    assert len(counting.embedded) == 1
    assert [Path(source).name for source in ids if ids[source] != after[source]] == ["3.txt"]


def test_folders_are_listed_once_and_the_progress_knows_how_many_files_there_are(
    made: Path, hashing: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, totals, counts, listdir = [], [], [], os.listdir
    (made / "corpus" / "inside").mkdir()
    with CorpusIndex.open(made / "index", hashing) as index:
        index.ingest(made / "corpus")  # what the first one in a process imports lists folders, too
        monkeypatch.setattr(os, "listdir", lambda path: listed.append(path) or listdir(path))
        for progress in (None, lambda now: totals.append((now.doing, now.total))):
            listed.clear()
            index.ingest(made / "corpus", progress=progress)
            counts.append(len(listed))
    assert counts[0] == counts[1] >= 2
    assert {total for doing, total in totals if doing == "reading files"} == {5}
