"""Disks that are full, folders that cannot be written to, readers who may not write."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from hashing_encoder import python
from limited_files import files_up_to

from indexes import CorpusError, CorpusIndex, Encoder, IndexDamaged


def answers(index: CorpusIndex) -> list[object]:
    found = [index.search(f"subject{n}", k=5, mode=mode) for n in range(12) for mode in ("lexical", "dense")]
    return [index.documents(), *found]


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


@pytest.mark.parametrize("limit", [30_000, 60_000, 90_000, 120_000])
def test_a_copy_for_which_there_is_no_room_names_the_copy(
    made: Path, tmp_path: Path, hashing: Encoder, limit: int
) -> None:
    with CorpusIndex.open(made / "index", hashing) as index:
        with files_up_to(limit), pytest.raises(CorpusError, match=r"(?s)/copy.* could not be .*make room") as error:
            index.copy(tmp_path / "copy")
        assert "/index" not in str(error.value)
        assert index.copy(tmp_path / "copy") == 12
    with CorpusIndex.open(tmp_path / "copy", hashing) as copy:
        assert copy.verify().problems == ()


def test_a_copy_of_a_damaged_index_names_that_index(folder: Path, tmp_path: Path, hashing: Encoder) -> None:
    with closing(sqlite3.connect(folder / "corpus.sqlite3")) as database, database:
        database.execute("UPDATE chunks SET line = line + 1")
    with CorpusIndex.open(folder, hashing) as index:
        with pytest.raises(IndexDamaged, match=r"^[^:]*/index/corpus\.sqlite3 is damaged: ") as error:
            index.copy(tmp_path / "copy")
        assert "/copy" not in str(error.value)


def test_a_file_that_may_not_grow_is_said_and_loses_nothing(made: Path, tmp_path: Path, hashing: Encoder) -> None:
    for limit in (40_000, 90_000, 150_000):
        with files_up_to(limit):
            message = fill(tmp_path / str(limit), made / "corpus", tmp_path, hashing)
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


def test_a_folder_that_cannot_be_written_to_is_read(made: Path, folder: Path, hashing: Encoder) -> None:
    with CorpusIndex.open(folder, hashing) as index:
        right = answers(index)
    with not_writable(folder), CorpusIndex.open(folder, hashing) as index:
        assert answers(index) == right
        assert index.verify().problems == ()
        for write in (lambda: index.ingest(made / "corpus"), lambda: index.remove(made / "corpus")):
            with pytest.raises(CorpusError, match="cannot be written to"):
                write()


def test_what_must_be_made_again_is_said_where_nothing_can_be_written(folder: Path, hashing: Encoder) -> None:
    shutil.rmtree(folder / "dense")
    with not_writable(folder), CorpusIndex.open(folder, hashing) as index:
        assert len(index.documents()) == 12
        with pytest.raises(CorpusError, match=r"have to be made again.*cannot be written to"):
            index.search("subject1")


def test_somebody_without_permission_reads_while_the_owner_writes(made: Path, folder: Path, hashing: Encoder) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    for path in (folder, *folder.rglob("*"), *folder.parents):  # as `chmod -R go+rX` does
        with suppress(PermissionError):
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if path.is_dir() else 0o044))
    reader = f"""
import os
import faiss, filelock, tantivy  # Python itself may lie where nobody else can read
from indexes import CorpusError
from indexes.text.analyzer import terms
terms("日本 and words")
os.setgid(65534), os.setuid(65534)
with CorpusIndex.open({str(folder)!r}, HashingEncoder(), create=False) as index:
    for line in sys.stdin:
        [best] = index.search("subject1", k=1, mode="lexical")  # others begin like it: subject2
        print(len(index.documents()), best.chunk.source.endswith("/1.md"), flush=True)
    try:
        index.remove("/")
    except CorpusError as error:
        print(error)
"""
    with subprocess.Popen(python(reader), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def asked() -> str:
            print(file=process.stdin, flush=True)
            return process.stdout.readline()

        assert asked() == "12 True\n"
        with CorpusIndex.open(folder, hashing) as index:
            assert index.remove(made / "corpus" / "1.md") == 1
            assert asked() == "11 False\n"
            index.ingest(made / "corpus")
            assert asked() == "12 True\n"
        assert asked() == "12 True\n"
        process.stdin.close()
        assert "cannot be written to" in process.stdout.read()
