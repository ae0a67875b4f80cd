"""One writer, readers meanwhile: each thing that a reader gets is of one generation."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from hashing_encoder import python

from indexes import CorpusIndex, Document, Encoder, IndexBusy, IngestProgress
from indexes.storage import HeldFolder
from indexes.storage.derived_files import Derived
from indexes.storage.sqlite.store import Store

DOCUMENTS = 9
FLAT, CODES = 10**9, 2  # vectors from which the dense index trains a model and holds codes
_SAYS = re.compile(r"subject(\d+) in version(\d+)")
# Replaces every document in turn, in one batch and in several, until its standard input is closed.
WRITER = """
import threading
from pathlib import Path
from indexes.storage.dense import index as dense
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
folder, corpus = map(Path, sys.argv[1:3])
dense.FLAT_BELOW = int(sys.argv[3])
with CorpusIndex.open(folder, HashingEncoder()) as index:
    version = 1
    while not over.is_set():
        version += 1
        files = sorted(corpus.iterdir())[:: 1 + version % 3]
        for file in files:
            text = file.read_text()
            file.write_text(text.replace(text.split()[2], f"version{version}"))
        index.ingest(files)
print(version)
"""


def text_of(document: int, version: int) -> str:
    """Three chunks, each with the document's and the version's number."""
    return f"subject{document} in version{version} of it, and more besides, in words. ".replace(". ", ".\n") * 14


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for document in range(DOCUMENTS):
        (folder / f"{document}.txt").write_text(text_of(document, 1))
    return folder


@pytest.fixture
def folder(tmp_path: Path, corpus: Path, hashing: Encoder) -> Path:
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        index.ingest(corpus)
    return tmp_path / "index"


def check_one_generation(index: CorpusIndex, mode: str) -> int:
    """A search for what every chunk holds finds each document once: one version of it, all of it, and its own text."""
    hits = index.search("in of it", k=500, mode=mode)
    versions: dict[str, set[str]] = {}
    lengths: dict[str, int] = {}
    for hit in hits:
        said = set(_SAYS.findall(hit.chunk.text))
        [(document, version)] = said
        assert document == Path(hit.chunk.source).stem
        versions.setdefault(document, set()).add(version)
        lengths[document] = lengths.get(document, 0) + hit.chunk.end - hit.chunk.start
    assert versions.keys() == {str(document) for document in range(DOCUMENTS)}, "none is missing"
    assert all(len(found) == 1 for found in versions.values()), "none is there twice"
    for document, [version] in versions.items():
        whole = text_of(int(document), int(version))
        assert lengths[document] >= len(whole) - 2 * whole.count("\\n") - 60
    return max(int(version) for [version] in versions.values())


def check_lists(index: CorpusIndex) -> None:
    documents = index.documents()
    assert len(documents) == DOCUMENTS == index.info().documents
    for document in documents:
        [(name, version)] = set(_SAYS.findall(index.text(document.source)))
        assert name == Path(document.source).stem
        assert len(index.text(document.source)) >= len(text_of(int(name), int(version)))


def read_on(read: Callable[[], int], writer: subprocess.Popen) -> None:
    """Read until three new versions have been seen, however long the writer takes to start where others are at work."""
    seen = [read()]
    while seen[-1] < seen[0] + 3:
        assert writer.poll() is None, "it was to be at work until now"
        seen.append(read())
        assert seen[-1] >= seen[-2], "what was seen once does not go back"


def read_all(index: CorpusIndex) -> int:
    """Search in each way, and list; returns the newest version."""
    versions = [check_one_generation(index, mode) for mode in ("lexical", "dense", "hybrid")]
    assert versions == sorted(versions)
    check_lists(index)
    return versions[-1]


@contextmanager
def writer_at_work(folder: Path, corpus: Path, flat_below: int = FLAT) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(
        [*python(WRITER), str(folder), str(corpus), str(flat_below)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.poll() is None, "it was to be at work until now"
        written = int(process.communicate()[0])
        assert process.returncode == 0
        assert written > 1, "and to have written meanwhile"


@pytest.mark.parametrize("flat_below", [FLAT, CODES])
def test_a_reader_sees_one_generation_while_documents_are_replaced(
    folder: Path, corpus: Path, hashing: Encoder, flat_below: int
) -> None:
    with CorpusIndex.open(folder, hashing) as index, writer_at_work(folder, corpus, flat_below) as writer:
        read_on(lambda: read_all(index), writer)
    assert bool([*folder.glob("dense/model-*")]) == (flat_below == CODES)


def test_readers_that_open_the_index_meanwhile_see_one_generation(folder: Path, corpus: Path, hashing: Encoder) -> None:
    def read() -> int:
        with CorpusIndex.open(folder, hashing) as index:
            return read_all(index)

    with writer_at_work(folder, corpus) as writer:
        read_on(read, writer)


def test_threads_share_a_reader(folder: Path, corpus: Path, hashing: Encoder) -> None:
    failed: list[BaseException] = []

    def read() -> None:
        try:
            read_on(lambda: read_all(index), writer)
        except BaseException as error:
            failed.append(error)

    with CorpusIndex.open(folder, hashing) as index, writer_at_work(folder, corpus) as writer:
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failed


def test_a_batch_is_seen_in_the_lists_when_it_is_found(folder: Path, corpus: Path, hashing: Encoder) -> None:
    """The callback reads in the middle of the ingest that calls it."""
    seen = []

    def look(_: IngestProgress) -> None:
        documents = {document.source for document in index.documents()}
        seen.append(len(documents))
        assert {hit.chunk.source for hit in index.search("in of it", k=9999, mode="lexical")} == documents
        assert {hit.chunk.source for hit in index.search("in of it", k=9999, mode="dense")} == documents

    for number in range(40):
        (corpus / f"long{number}.txt").write_text(text_of(number, 1) * 8)
    with CorpusIndex.open(folder, hashing) as index:
        index.ingest(corpus, progress=look)
        assert min(seen) == DOCUMENTS
        assert any(DOCUMENTS < count < DOCUMENTS + 40 for count in seen), "a batch was published before the last"
        assert len(index.documents()) == DOCUMENTS + 40


def test_opening_mends_nothing_that_a_writer_has_just_replaced(
    folder: Path, corpus: Path, hashing: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files that a reader is about to look at are two generations old: to mend them would keep the writer out."""
    find_problems, looked = Derived.problems, []

    def look(derived: Derived, store: Store, **options: bool) -> list[str]:
        if not looked:
            looked.append(False)
            store.generation()  # the reader's snapshot is of this one
            for version in (2, 3):
                (corpus / "0.txt").write_text(text_of(0, version))
                writer.ingest(corpus)
            monkeypatch.setattr(
                "indexes.storage.index_folder.locked", lambda *_: pytest.fail("the reader took the writer's lock")
            )
        found = find_problems(derived, store, **options)
        looked.append(bool(found))
        return found

    with CorpusIndex.open(folder, hashing) as writer:
        monkeypatch.setattr(Derived, "problems", look)
        with CorpusIndex.open(folder, hashing) as index:
            check_one_generation(index, "hybrid")
    assert True in looked, "it saw files that had gone"


def test_a_file_that_a_writer_deletes_before_it_is_read_is_not_damaged(
    folder: Path, corpus: Path, hashing: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next generation has it under another name: to mend that would keep the writer out, or be refused beside it."""
    open_file, opened = HeldFolder.open, []

    def open_late(held: HeldFolder, name: str) -> BinaryIO:
        if not opened and name.endswith(".term"):
            opened.append(name)
            (corpus / "0.txt").write_text(text_of(0, 2))
            writer.ingest(corpus)
            monkeypatch.setattr(
                "indexes.storage.index_folder.locked", lambda *_: pytest.fail("the reader took the writer's lock")
            )
        return open_file(held, name)

    with CorpusIndex.open(folder, hashing) as writer, CorpusIndex.open(folder, hashing) as index:
        monkeypatch.setattr(HeldFolder, "open", open_late)
        for _ in range(2):
            check_one_generation(index, "lexical")
    assert [*folder.glob(f"lexical/*/{opened[0]}")], "what it was about to read is there under another name"


HOLD = """
with CorpusIndex.open(sys.argv[1], HashingEncoder()) as index:
    held = []
    index.ingest(sys.argv[2], progress=lambda _: held or held.append(print("held", flush=True) or sys.stdin.read()))
"""


@contextmanager
def busy(folder: Path, corpus: Path) -> Iterator[subprocess.Popen]:
    """A process that is in the middle of an ingest until its standard input is closed."""
    with subprocess.Popen(
        [*python(HOLD), str(folder), str(corpus)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "held\n"
        yield process
    assert process.returncode == 0


def test_one_writer_at_a_time(folder: Path, corpus: Path, hashing: Encoder) -> None:
    with CorpusIndex.open(folder, hashing) as index:
        with busy(folder, corpus):
            with pytest.raises(IndexBusy, match=r"another process is writing to .*--wait"):
                index.ingest(corpus)
            with pytest.raises(IndexBusy):
                index.remove(corpus)
            with pytest.raises(IndexBusy):
                index.ingest(corpus, wait=0.05)
            check_one_generation(index, "hybrid")
        assert index.ingest(corpus).unchanged == DOCUMENTS


def test_a_writer_can_wait_for_another(folder: Path, corpus: Path, hashing: Encoder) -> None:
    with CorpusIndex.open(folder, hashing) as index:
        for wait in (True, 600):
            with busy(folder, corpus) as other:
                assert other.stdin is not None
                threading.Timer(0.2, other.stdin.close).start()
                assert index.ingest(corpus, wait=wait).unchanged == DOCUMENTS
        with busy(folder, corpus) as other:
            assert other.stdin is not None
            threading.Timer(0.2, other.stdin.close).start()
            assert index.remove(corpus, wait=True) == DOCUMENTS


def test_an_ingest_within_an_ingest_is_refused(folder: Path, corpus: Path, hashing: Encoder) -> None:
    (corpus / "new.txt").write_text("Something new.")
    with CorpusIndex.open(folder, hashing) as index:

        def interfere(_: IngestProgress) -> None:
            with pytest.raises(IndexBusy):
                index.remove(corpus)

        assert index.ingest(corpus, progress=interfere).added == 1


def test_an_index_that_a_process_opens_twice_keeps_its_log_when_another_process_closes_it(
    folder: Path, hashing: Encoder
) -> None:
    database = folder / "corpus.sqlite3"
    close_it = (
        f"import sqlite3; c = sqlite3.connect({str(database)!r}); c.execute('SELECT * FROM documents'); c.close()"
    )
    with CorpusIndex.open(folder, hashing) as index:
        before = index.info().documents
        CorpusIndex.open(folder, hashing).close()
        subprocess.run([sys.executable, "-S", "-c", close_it], check=True)
        index.add([Document("late", "What is written to a log that is there.", "")])
        code = f"import sqlite3; print(*sqlite3.connect({str(database)!r}).execute('SELECT count(*) FROM documents'))"
        seen = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
        assert seen.stdout.strip() == f"({before + 1},)"


def test_an_index_that_another_process_is_making_is_waited_for(tmp_path: Path, hashing: Encoder) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "corpus.sqlite3", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = threading.Timer(0.2, lambda: other.execute("COMMIT"))
        done.start()
        with CorpusIndex.open(folder, hashing) as index:
            assert index.info().documents == 0
        done.join()
