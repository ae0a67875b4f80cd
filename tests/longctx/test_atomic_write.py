"""Atomic writes: whole or not at all, after an error, after a kill, and from several threads."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from longctx.atomic_write import remove_leftovers, write_atomically

KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from longctx.atomic_write import write_atomically

def half(new):
    new.write_text("x" * 100_000)
    os.kill(os.getpid(), signal.SIGKILL)

write_atomically(Path(sys.argv[1]), half)
"""


def write(path: Path, text: str) -> None:
    write_atomically(path, lambda new: new.write_text(text))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def interrupted(new: Path) -> None:
        new.write_text("half of the n")
        raise KeyboardInterrupt

    write(tmp_path / "file", "old")
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", interrupted)
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_killed_writer_leaves_the_old_file_and_the_next_write_no_litter(tmp_path: Path) -> None:
    write(tmp_path / "file", "old")
    killed = subprocess.run([sys.executable, "-c", KILLED_WRITER, tmp_path / "file"], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == [".file.lock", ".file.new", "file"]
    write_atomically(tmp_path / "file", lambda new: new.open("a").close())  # appends to what it is given
    assert (tmp_path / "file").read_text() == ""
    assert names(tmp_path) == ["file"]


def test_a_file_that_exists_is_kept_where_it_is_not_to_be_overwritten(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", lambda new: new.write_text("first"), overwrite=False)
    write_atomically(tmp_path / "file", lambda new: new.write_text("second"), overwrite=False)
    assert (tmp_path / "file").read_text() == "first"
    assert names(tmp_path) == ["file"]


def put(new: Path, text: str) -> None:
    """Write by replacing the file, as safetensors does."""
    part = new.with_name(f"part-{text[0]}")
    part.write_text(text)
    part.replace(new)
    time.sleep(0.002)


@pytest.mark.parametrize("how", [Path.write_text, put])
def test_writers_of_one_file_take_turns(tmp_path: Path, how: Callable[[Path, str], object]) -> None:
    texts = [letter * 200_000 for letter in "abcdefgh"]

    def write_and_read(text: str) -> str:
        write_atomically(tmp_path / "file", lambda new: how(new, text))
        return (tmp_path / "file").read_text()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(write_and_read, texts * 4)) <= set(texts)
    assert names(tmp_path) == ["file"]


def test_a_killed_writer_of_one_file_leaves_nothing_once_another_is_written(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED_WRITER, tmp_path / "never again"], check=False)
    assert killed.returncode == -signal.SIGKILL
    (tmp_path / ".mine.lock").write_text("not empty, so not ours")
    (tmp_path / ".mine.new").mkdir()
    write(tmp_path / "file", "text")
    assert names(tmp_path) == [".mine.lock", ".mine.new", "file"]


def test_what_a_killed_writer_left_makes_room_before_the_next_write(tmp_path: Path) -> None:
    """They may be gigabytes: on a full disk a write that removes them at its end never comes to it."""
    subprocess.run([sys.executable, "-c", KILLED_WRITER, tmp_path / "never again"], check=False)

    def write_where_there_is_room(new: Path) -> None:
        assert names(tmp_path) == [".file.lock", ".file.new"]
        new.write_text("text")

    write_atomically(tmp_path / "file", write_where_there_is_room)


def test_what_is_interrupted_while_it_cleans_up_is_removed_by_the_next_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "never again", "text")
    monkeypatch.undo()
    write(tmp_path / "file", "text")
    assert names(tmp_path) == ["file", "never again"]


def test_a_lock_that_cannot_be_looked_at_keeps_no_other_from_being_removed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED_WRITER, tmp_path / "never again"], check=False)
    links = [tmp_path / f".{n:032x}.bin.lock" for n in range(20)]
    for link in links:
        link.symlink_to(tmp_path / "nowhere")
    write(tmp_path / "file", "text")
    assert names(tmp_path) == [*(link.name for link in links), "file"]


def test_a_writer_at_work_is_left_alone_by_the_writers_of_other_files(tmp_path: Path) -> None:
    def slowly(new: Path) -> None:
        new.write_text("slow")
        write(tmp_path / "other", "quick")
        assert new.read_text() == "slow"

    write_atomically(tmp_path / "file", slowly)
    assert (tmp_path / "file").read_text() == "slow"
    assert names(tmp_path) == ["file", "other"]


@pytest.mark.parametrize("how", [Path.write_text, put])
def test_a_private_file_is_its_owners_alone_from_its_first_byte_on(
    tmp_path: Path, how: Callable[[Path, str], object]
) -> None:
    def watched(new: Path) -> None:
        how(new, "secret")
        assert new.parent.stat().st_mode & 0o077 == 0

    before = os.umask(0)
    try:
        write_atomically(tmp_path / "file", watched, private=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("elsewhere")])
def test_a_lock_that_is_a_pipe_or_a_link_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / ".a.lock")
    with pytest.raises(OSError, match=r"No such device|Too many levels|symbolic"):
        write_atomically(tmp_path / "a", lambda path: path.write_text("new"))
    assert [path.name for path in tmp_path.iterdir()] == [".a.lock"]


def test_what_killed_writers_left_is_removed_when_asked(tmp_path: Path) -> None:
    (tmp_path / ".a.new").mkdir()
    (tmp_path / ".a.new" / "a").write_bytes(bytes(1000))
    (tmp_path / ".a.lock").touch()
    (tmp_path / "b").touch()
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
