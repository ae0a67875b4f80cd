"""Files that were deleted, cut short, emptied or altered; disks that are full; folders that cannot be written to."""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from indexes import CorpusError, CorpusIndex, Encoder, IndexDamaged, IndexMismatch, IndexNotFound

DERIVED = [
    "dense",
    "lexical",
    "dense/*.faiss",
    *(
        f"lexical/*/{name}"
        for name in [
            "meta.json",
            ".managed.json",
            "*.term",
            "*.idx",
            "*.pos",
            "*.store",
            "*.fast",
            "*.fieldnorm",
            "*.del",
        ]
    ),
]


def delete(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def flip(path: Path, seed: int = 0, most: int = 16) -> None:
    luck, data = random.Random(seed), bytearray(path.read_bytes())
    for _ in range(luck.randint(1, most)):
        data[luck.randrange(len(data))] ^= luck.randint(1, 255)
    path.write_bytes(data)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, hashing: Encoder) -> Path:
    """A folder with `corpus` and its `index`, from which a document has been removed again."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "corpus").mkdir()
    for number in range(12):
        text = f"# Subject{number}\n\n" + f"Subject{number} is what this document is about. " * (5 + 9 * number)
        (folder / "corpus" / f"{number}.md").write_text(text)
    with CorpusIndex.open(folder / "index", hashing) as index:
        index.ingest(folder / "corpus")
        index.remove(folder / "corpus" / "3.md")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "index", tmp_path / "index"))


def answers(index: CorpusIndex) -> list[object]:
    """All that the index has to say. Not BM25's scores: tantivy counts removed documents until it has merged them."""
    dense = [index.search(f"subject{n}", k=5, mode="dense") for n in range(12)]
    lexical = [index.search(f"subject{n}", k=60, mode="lexical") for n in range(12)]
    documents = index.documents()
    texts = [index.text(document.source) for document in documents]
    return [documents, texts, index.info().chunks, dense, [{hit.chunk for hit in hits} for hits in lexical]]


@pytest.fixture(scope="module")
def right(made: Path, hashing: Encoder) -> list[object]:
    with CorpusIndex.open(made / "index", hashing) as index:
        return answers(index)


@pytest.mark.parametrize("harm", [delete, cut, empty, flip], ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("pattern", DERIVED)
@pytest.mark.parametrize("is_open", [False, True], ids=["then opened", "while open"])
def test_derived_files_are_made_again(
    folder: Path, hashing: Encoder, right: list[object], pattern: str, harm: Callable[[Path], None], is_open: bool
) -> None:
    paths = list(folder.glob(pattern))
    assert paths
    if paths[0].is_dir() and harm is not delete:
        paths = [file for file in paths[0].rglob("*") if file.is_file() and file.stat().st_size]
    early = CorpusIndex.open(folder, hashing) if is_open else None
    for path in paths:
        harm(path)
    with early or CorpusIndex.open(folder, hashing) as index:
        assert answers(index) == right
        assert index.verify().problems == ()


def test_a_file_that_was_altered_and_has_its_old_time_is_found_by_verify(
    folder: Path, hashing: Encoder, right: list[object]
) -> None:
    [file] = folder.glob("dense/*.faiss")
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=times)
    with CorpusIndex.open(folder, hashing) as index:
        assert index.verify().problems == (f"{file} is missing or damaged: delete it, and it is made again",)
    file.unlink()
    with CorpusIndex.open(folder, hashing) as index:
        assert answers(index) == right


@pytest.mark.parametrize("seed", range(8))
def test_a_database_with_altered_bytes_never_gives_a_wrong_answer(
    folder: Path, hashing: Encoder, right: list[object], seed: int
) -> None:
    database, whole = folder / "corpus.sqlite3", (folder / "corpus.sqlite3").read_bytes()
    refused = 0
    for again in range(12):
        for file in folder.glob("corpus.sqlite3*"):
            file.unlink()
        database.write_bytes(whole)
        flip(database, seed * 100 + again)
        refused += is_refused(folder, hashing, right)
    assert refused


def test_a_name_that_was_altered_where_it_is_looked_up_is_no_reason_to_deny_the_document(
    folder: Path, hashing: Encoder, right: list[object]
) -> None:
    database = folder / "corpus.sqlite3"
    whole = database.read_bytes()
    places = [found.start() for found in re.finditer(rb"corpus/5\.md", whole)]
    assert len(places) >= 2, "in its row, and in the index of the names"
    for place in places:
        database.write_bytes(whole[:place] + b"C" + whole[place + 1 :])
        assert is_refused(folder, hashing, right)


def is_refused(folder: Path, encoder: Encoder, right: list[object]) -> bool:
    """Whether an error says what to do; the answers are right, otherwise."""
    try:
        with CorpusIndex.open(folder, encoder) as index:
            assert answers(index) == right
        return False
    except (IndexDamaged, IndexMismatch) as error:
        reason = str(error)
    assert "\n" not in reason
    assert "ingest" in reason, "the remedy"
    return True


@pytest.mark.parametrize("share", [0, 0.001, 0.01, 0.3, 0.5, 0.99])
def test_a_database_cut_short_is_refused_with_the_remedy(folder: Path, hashing: Encoder, share: float) -> None:
    database = folder / "corpus.sqlite3"
    os.truncate(database, int(database.stat().st_size * share))
    with pytest.raises(IndexDamaged, match=r"put a copy of it back, or delete its folder and ingest again"):
        CorpusIndex.open(folder, hashing)
    assert list(folder.glob("dense/*")), "nothing was done to the rest"


def test_what_is_no_database_and_what_has_none_is_refused(folder: Path, hashing: Encoder) -> None:
    (folder / "corpus.sqlite3").write_bytes(b"not a database at all" * 100)
    with pytest.raises(IndexDamaged, match="not a whole database"):
        CorpusIndex.open(folder, hashing)
    (folder / "corpus.sqlite3").unlink()
    with pytest.raises(IndexDamaged, match="gone"):
        CorpusIndex.open(folder, hashing)


def test_verify_says_what_is_wrong(folder: Path, hashing: Encoder) -> None:
    with CorpusIndex.open(folder, hashing) as index:
        with sqlite3.connect(folder / "corpus.sqlite3") as database:
            database.execute("DELETE FROM vectors WHERE chunk_id = 1")
            database.execute("UPDATE chunks SET heading = 'Another' WHERE id = 2")
            database.execute("UPDATE documents SET text_checksum = 1 WHERE id = 3")
            database.execute("UPDATE vectors SET vector = zeroblob(256) WHERE chunk_id = 5")
        database.close()
        problems = " / ".join(index.verify().problems)
    for problem in ("1 chunks without a vector", "chunk 2 of", "document 3", "the vector of chunk 5"):
        assert problem in problems


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    path.mkdir()
    if (
        shutil.which("mount") is None
        or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", path]).returncode
    ):
        pytest.skip("no file system can be mounted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@pytest.mark.parametrize("size", ["250k", "400k", "600k", "800k"])
def test_a_full_disk_is_said_and_loses_nothing(made: Path, tmp_path: Path, hashing: Encoder, size: str) -> None:
    with small_disk(tmp_path / "disk", size) as disk:
        message = fill(disk / "index", made / "corpus", tmp_path, hashing)
        assert re.match("CorpusError: .*make room", message)
        subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)
        check_that_it_goes_on(disk / "index", made / "corpus", hashing)


def test_a_file_that_may_not_grow_is_said_and_loses_nothing(made: Path, tmp_path: Path, hashing: Encoder) -> None:
    """As a quota does it: EFBIG instead of ENOSPC. Python ignores SIGXFSZ."""
    for limit in (40_000, 90_000, 150_000):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
            message = fill(tmp_path / str(limit), made / "corpus", tmp_path, hashing)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert re.match("CorpusError: .*make room", message)
        check_that_it_goes_on(tmp_path / str(limit), made / "corpus", hashing)


def fill(folder: Path, corpus: Path, elsewhere: Path, encoder: Encoder) -> str:
    """Ingest until there is no room left; returns what is said then."""
    more = elsewhere / "more"
    more.mkdir(exist_ok=True)
    luck = random.Random(0)
    for number in range(100):
        (more / f"{number}.txt").write_text(" ".join(f"word{luck.randrange(10**6)}" for _ in range(1000)))
    try:
        with CorpusIndex.open(folder, encoder) as index:
            index.ingest(corpus)
            for number in range(100):
                index.ingest(more / f"{number}.txt")
    except CorpusError as error:
        return f"{type(error).__name__}: {error}"
    return "there was room"


def check_that_it_goes_on(folder: Path, corpus: Path, encoder: Encoder) -> None:
    with CorpusIndex.open(folder, encoder) as index:
        assert index.verify().problems == ()
        kept = len(index.documents())
        report = index.ingest(corpus)
        assert report.unchanged == min(kept, 12)
        assert report.added == 12 - report.unchanged
        assert index.verify().problems == ()


@contextmanager
def not_writable(folder: Path) -> Iterator[None]:
    """Where even root cannot write, or skip."""
    if subprocess.run(["mount", "--bind", folder, folder], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_folder_that_cannot_be_written_to_is_read(
    made: Path, folder: Path, hashing: Encoder, right: list[object]
) -> None:
    with not_writable(folder), CorpusIndex.open(folder, hashing) as index:
        assert answers(index) == right
        assert index.verify().problems == ()
        for write in (lambda: index.ingest(made / "corpus"), lambda: index.remove(made / "corpus")):
            with pytest.raises(CorpusError, match="cannot be written to"):
                write()


def test_what_must_be_made_again_is_said_where_nothing_can_be_written(folder: Path, hashing: Encoder) -> None:
    delete(folder / "dense")
    with not_writable(folder), CorpusIndex.open(folder, hashing) as index:
        assert len(index.documents()) == 11
        with pytest.raises(CorpusError, match=r"have to be made again.*cannot be written to"):
            index.search("subject1")


def test_somebody_without_permission_reads_while_the_owner_writes(
    made: Path, folder: Path, hashing: Encoder, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    for path in (folder, *folder.parents):
        with suppress(PermissionError):
            path.chmod(path.stat().st_mode | 0o055)
    reader = f"""
import os, sys
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
import faiss, filelock, tantivy  # Python itself may lie where nobody else can read
from conftest import HashingEncoder
from indexes import CorpusIndex, CorpusError
from indexes.tokenize import terms
terms("日本 and words")
os.setgid(65534), os.setuid(65534)
with CorpusIndex.open({str(folder)!r}, HashingEncoder(), create=False) as index:
    for line in sys.stdin:
        print(len(index.documents()), len(index.search("subject1", k=1, mode="lexical")), flush=True)
    try:
        index.remove("/")
    except CorpusError as error:
        print(error)
"""
    with subprocess.Popen(
        [sys.executable, "-c", reader], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def asked() -> str:
            print(file=process.stdin, flush=True)
            return process.stdout.readline()

        assert asked() == "11 1\n"
        with CorpusIndex.open(folder, hashing) as index:
            assert index.remove(made / "corpus" / "1.md") == 1
            assert asked() == "10 0\n"
            index.ingest(made / "corpus")
            assert asked() == "12 1\n"
        assert asked() == "12 1\n"
        process.stdin.close()
        assert "cannot be written to" in process.stdout.read()


def test_an_index_that_is_not_there_is_not_made_to_be_read(tmp_path: Path, hashing: Encoder) -> None:
    with pytest.raises(IndexNotFound):
        CorpusIndex.open(tmp_path / "nothing", hashing, create=False)
