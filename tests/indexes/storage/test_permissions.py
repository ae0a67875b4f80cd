"""Who may read an index, and what is said where files may not be used."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexes import CorpusError, CorpusIndex, Document, Encoder, IndexBusy, IndexDamaged
from indexes.storage import derived_files, file_access, read_failure
from indexes.storage.sqlite import database


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> set[str]:
    return {path.name for path in (folder, *folder.rglob("*")) if stat.S_IMODE(path.stat().st_mode) & 0o077}


@pytest.mark.parametrize("exists", [True, False])
def test_an_index_is_its_owners_alone_and_chmod_shares_it(tmp_path: Path, hashing: Encoder, exists: bool) -> None:
    folder, docs = tmp_path / "index", tmp_path / "docs"
    docs.mkdir()
    if exists:
        folder.mkdir()
    for number in range(3):
        (docs / f"{number}.txt").write_text(f"lamp {number}")
        with CorpusIndex.open(folder, hashing) as index:
            index.ingest(docs)
            assert index.search("lamp")
            assert open_to_others(folder) == set()
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | (0o050 if path.is_dir() else 0o040))
    (docs / "0.txt").write_text("another lamp")
    with CorpusIndex.open(folder, hashing) as index:
        index.ingest(docs)
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o750 if path.is_dir() else 0o640), path


def test_a_search_in_an_index_that_was_moved_or_replaced_says_so(tmp_path: Path, hashing: Encoder, made: Path) -> None:
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        index.ingest(made / "corpus")
        (tmp_path / "index").rename(tmp_path / "moved")
        for asked in (lambda: index.search("lens", 1), index.info, index.verify):
            with pytest.raises(CorpusError, match="moved or replaced since it was opened"):
                asked()
        CorpusIndex.open(tmp_path / "index", hashing).close()
        with pytest.raises(CorpusError, match="moved or replaced since it was opened"):
            index.search("lens", 1)


def test_an_index_that_is_moved_while_it_is_open_has_one_writer(tmp_path: Path, hashing: Encoder, made: Path) -> None:
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        index.ingest(made / "corpus")
        for fill in (lambda: None, lambda: CorpusIndex.open(tmp_path / "index", hashing).close()):
            (tmp_path / "index").rename(tmp_path / "moved")
            fill()  # another index where it was
            with pytest.raises(CorpusError, match="moved or replaced since it was opened"):
                index.remove(made / "corpus")
            if (tmp_path / "index").exists():
                shutil.rmtree(tmp_path / "index")
            (tmp_path / "moved").rename(tmp_path / "index")
        with index.changing(wait=False):
            (tmp_path / "index").rename(tmp_path / "moved")
            with (
                CorpusIndex.open(tmp_path / "moved", hashing, create=False) as other,
                pytest.raises(IndexBusy),
            ):
                other.remove(made / "corpus")
            (tmp_path / "moved").rename(tmp_path / "index")
        assert index.verify().problems == ()


def test_a_lock_that_cannot_be_used_and_a_folder_that_cannot_be_opened_are_explained(
    tmp_path: Path, hashing: Encoder
) -> None:
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        (tmp_path / "index" / "write.lock").unlink(missing_ok=True)
        (tmp_path / "index" / "write.lock").mkdir()
        with pytest.raises(CorpusError, match=r"the lock .*write\.lock cannot be used"):
            index.remove("x")
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match=r"cannot be opened|is there already"):
        CorpusIndex.open(tmp_path / "file" / "index", hashing)


def fails(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_derived_file_that_the_disk_does_not_give_is_not_called_damaged(
    folder: Path, hashing: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with CorpusIndex.open(folder, hashing) as index:
        monkeypatch.setattr("indexes.storage.derived_files._checksum", fails)
        with pytest.raises(CorpusError, match="the disk reports an I/O error") as failed:
            index.search("subject1")
        assert not isinstance(failed.value, IndexDamaged)
        assert "delete" not in str(failed.value)
    assert {path: path.read_bytes() for path in before if path.parent.name != folder.name} == {
        path: data for path, data in before.items() if path.parent.name != folder.name
    }


def test_a_derived_file_that_may_not_be_read_or_written_is_no_failing_disk() -> None:
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    assert str(file_access.unreadable(Path("x"), denied)).startswith(
        "x cannot be read (Permission denied): make it rea"
    )
    for error in (denied, ValueError("An IO error occurred: 'Permission denied (os error 13)'")):
        assert derived_files._remedy(error) == "make them and their folders writable"
    assert derived_files._remedy(OSError(errno.ENOSPC, "")) == "make room on the disk"


def test_a_write_before_which_the_disk_fails_once_publishes_nothing(folder: Path, hashing: Encoder) -> None:
    whole = derived_files._checksum
    note = Document("a note", "The keeper rows to the pier.", "A note")
    with CorpusIndex.open(folder, hashing) as index:
        index.add([Document("first", "Something stands here.", "First")])
        with pytest.MonkeyPatch.context() as patch:
            failures = [fails]
            patch.setattr(derived_files, "_checksum", lambda path: (failures.pop() if failures else whole)(path))
            with pytest.raises(CorpusError, match="the disk reports an I/O error"):
                index.add([note])
    with CorpusIndex.open(folder, hashing) as index:
        assert index.verify().problems == ()
        index.add([note])
        assert index.search("keeper rows pier", 1, "lexical")[0].chunk.source == "a note"
        assert index.verify().problems == ()


LOCK = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
"""


def test_a_file_is_read_to_its_end_without_giving_up_locks_on_it(tmp_path: Path) -> None:
    path = tmp_path / "locked.sqlite3"
    path.write_bytes(b"some bytes")
    with path.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        assert read_failure(path) is None
        assert subprocess.run([sys.executable, "-c", LOCK, path], check=False, capture_output=True).returncode
    assert not subprocess.run([sys.executable, "-c", LOCK, path], check=False, capture_output=True).returncode


def test_a_file_that_cannot_be_read_to_its_end_says_why(tmp_path: Path) -> None:
    (tmp_path / "database").mkdir()
    failure = read_failure(tmp_path / "database")
    assert failure is not None
    assert failure.errno == errno.EISDIR
    assert read_failure(tmp_path / "none") is None


@pytest.mark.parametrize(
    "error",
    [
        database.sqlite3.OperationalError("disk I/O error"),
        database.sqlite3.OperationalError("locking protocol"),
        database.sqlite3.DatabaseError("database disk image is malformed"),
        database.sqlite3.DatabaseError("file is not a database"),
    ],
)
def test_sqlites_errors_on_a_disk_that_fails(folder: Path, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "corpus.sqlite3"
    said = database._explain(error, path, True)
    assert isinstance(said, IndexDamaged) == ("not a database" in str(error))
    assert ("is whole: try again" in str(said)) == ("malformed" in str(error))
    assert read_failure(path) is None
    monkeypatch.setattr(database, "read_failure", lambda _: OSError(errno.EIO, "Input/output error"))
    said = database._explain(error, path, True)
    assert not isinstance(said, IndexDamaged)
    assert not re.search("delete", str(said))


@pytest.mark.parametrize("again", ["disk I/O error", "unable to open database file"])
def test_a_database_that_cannot_be_looked_at_again_is_not_called_damaged(
    folder: Path, again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        Error = sqlite3.Error

        @staticmethod
        def connect(*_: object, **__: object) -> None:
            raise sqlite3.OperationalError(again)

    monkeypatch.setattr(file_access, "sqlite3", Failing)
    said = database._explain(sqlite3.DatabaseError("database disk image is malformed"), folder / "corpus.sqlite3", True)
    assert not isinstance(said, IndexDamaged)
    assert "the disk reports an I/O error" in str(said)
