"""Folders inside an index that are links, or become links while it is used: nothing outside is read or changed."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from watched_folder import WatchedFolder

from indexes import CorpusError, CorpusIndex, Document, Encoder
from indexes.storage import HeldFolder, derived_files, held_folder
from indexes.storage.sqlite import Store

SWAPS = 150


@pytest.fixture
def outside(folder: Path, tmp_path: Path) -> Path:
    """A copy of what is in an index, with files of the user's own beside it."""
    shutil.copytree(folder, tmp_path / "outside")
    for place in ("", "dense", "lexical", generation_of(folder)):
        (tmp_path / "outside" / place / "thesis.txt").write_text("Years of work.")
        (tmp_path / "outside" / place / "pictures").mkdir()
        (tmp_path / "outside" / place / "pictures" / "1.png").write_text("A picture.")
    return tmp_path / "outside"


def generation_of(folder: Path) -> str:
    """The folder of the newest lexical index, by its name in the index."""
    return f"lexical/{max(path.name for path in (folder / 'lexical').iterdir())}"


def uses(index: CorpusIndex, number: int) -> Iterator[Callable[[], object]]:
    """What is done with an index: each may be refused."""
    yield lambda: index.add([Document(f"new{number}", f"subject{number} has come", f"new{number}")])
    yield lambda: index.search("subject1")
    yield index.verify
    yield lambda: index.remove(f"new{number}")
    yield index.repair
    yield lambda: index.search("subject1", 5, "lexical")


def use_until(ended: Callable[[], bool], folder: Path, hashing: Encoder) -> int:
    """Open an index and use it, again and again; returns how many uses were not refused."""
    done = number = 0
    while not ended():
        number += 1
        with suppress(CorpusError), CorpusIndex.open(folder, hashing) as index:
            for use in uses(index, number):
                with suppress(CorpusError, OSError, ValueError, RuntimeError):
                    use()
                    done += 1
    return done


def test_a_file_that_has_just_become_a_link_or_a_pipe_is_not_opened(folder: Path, outside: Path) -> None:
    (folder / "link").symlink_to(outside / "thesis.txt")
    os.mkfifo(folder / "pipe")
    held, watched = HeldFolder(folder), WatchedFolder(outside)
    for name in ("link", "pipe"):
        with pytest.raises(OSError, match=name), held.open(name):
            pass
    with held.create("link") as file:
        file.write(b"mine")
    assert (folder / "link").read_bytes() == b"mine"
    assert watched.events() == []


@pytest.mark.parametrize("name", ["dense", "lexical", "generation"])
def test_a_link_is_refused_with_the_remedy(folder: Path, outside: Path, hashing: Encoder, name: str) -> None:
    name = generation_of(folder) if name == "generation" else name
    with CorpusIndex.open(folder, hashing) as index:
        right = [hit.chunk.source for hit in index.search("subject1")]
        shutil.rmtree(folder / name)
        (folder / name).symlink_to(outside / name)
        watched = WatchedFolder(outside)
        expected = rf"^[^\n]*{re.escape(name)} is a link, and inside an index none is followed: remove it[^\n]*$"
        add, search, verify, _, repair, _ = uses(index, 1)
        for use in (add, search, verify, repair, lambda: CorpusIndex.open(folder, hashing)):
            with pytest.raises(CorpusError, match=expected):
                use()
        assert watched.events() == []
    (folder / name).unlink()
    with CorpusIndex.open(folder, hashing) as index:
        assert [hit.chunk.source for hit in index.search("subject1")] == right
        assert index.verify().problems == ()
    assert watched.events() == []


def test_a_file_that_is_a_link_is_made_again(folder: Path, outside: Path, hashing: Encoder) -> None:
    for file in [path for path in (*folder.glob("dense/*"), *folder.glob("lexical/*/*")) if path.is_file()]:
        file.unlink()
        file.symlink_to(outside / file.relative_to(folder))
    watched = WatchedFolder(outside)
    with CorpusIndex.open(folder, hashing) as index:
        assert index.search("subject1")
        assert index.verify().problems == ()
    assert watched.events() == []


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_a_derived_file_that_is_none_is_made_again(folder: Path, hashing: Encoder, kind: str) -> None:
    with CorpusIndex.open(folder, hashing) as index:
        right = [hit.chunk.source for hit in index.search("subject1")]
        for file in [path for path in (*folder.glob("dense/*"), *folder.glob("lexical/*/*")) if path.is_file()]:
            file.unlink()
            os.mkfifo(file) if kind == "pipe" else (file / "in it").mkdir(parents=True)
    with CorpusIndex.open(folder, hashing) as index:
        assert [hit.chunk.source for hit in index.search("subject1")] == right
        assert index.verify().problems == ()


def test_names_in_the_database_lead_nowhere_else(folder: Path, outside: Path, hashing: Encoder) -> None:
    """As a database from somebody else may have them, with checksums that match."""
    thesis = (outside / "thesis.txt").stat().st_size
    there = (
        f"{place}outside/{file}"
        for place in ("../", "dense/../../", "lexical/../../")
        for file in ("none", "thesis.txt")
    )
    for name in (str(outside / "none"), str(outside / "thesis.txt"), *there):
        with closing(sqlite3.connect(folder / "corpus.sqlite3", isolation_level=None)) as database:
            store = Store(database)
            files = store.derived_files()
            store.set_derived_files([*files, files[0]._replace(name=name, bytes=thesis)])
            store.set_meta("published", derived_files._published(store))
        watched = WatchedFolder(outside)
        with CorpusIndex.open(folder, hashing) as index:
            assert index.search("subject1")
            index.repair()
            assert index.verify().problems == ()
        assert watched.events() == []
    for name in ("../../outside/dense", str(outside / "dense"), ".."):
        with closing(sqlite3.connect(folder / "corpus.sqlite3", isolation_level=None)) as database:
            store = Store(database)
            store.set_meta("lexical", name)
            store.set_meta("published", derived_files._published(store))
        watched = WatchedFolder(outside)
        with CorpusIndex.open(folder, hashing) as index:
            assert index.search("subject1")
            assert index.verify().problems == ()
        assert watched.events() == []


def test_files_of_the_users_own_in_an_index_stay(folder: Path, hashing: Encoder) -> None:
    own = [folder / place / "thesis.txt" for place in ("dense", "lexical", "lexical/drafts", "dense/drafts")]
    for path in own:
        path.parent.mkdir(exist_ok=True)
        path.write_text("Years of work.")
    with CorpusIndex.open(folder, hashing) as index:
        for use in uses(index, 1):
            use()
    assert all(path.exists() for path in own)


class Swapper:
    """Exchanges folders in an index for links to those outside, one after the other, and back; each call is a step."""

    def __init__(self, folder: Path, outside: Path) -> None:
        self.count, self._folder, self._kept = 0, folder, folder.parent / "kept"
        self._targets = [outside / name for name in ("dense", "lexical", generation_of(folder))]
        self._swapped: Path | None = None

    def __call__(self) -> None:
        if self._swapped is not None:
            self.back()
            return
        place = self.count % 3
        with suppress(OSError, ValueError):  # it is not there just now
            path = self._folder / ("dense", "lexical", generation_of(self._folder))[place]
            path.rename(self._kept)
            self._swapped = path
            path.symlink_to(self._targets[place])
        self.count += 1

    def back(self) -> None:
        """Give the folder its name back; what has been made in its place meanwhile goes."""
        if self._swapped is not None:
            if self._swapped.is_symlink():
                self._swapped.unlink()
            else:  # a folder that the index made before the link was there
                shutil.rmtree(self._swapped, ignore_errors=True)
            with suppress(OSError):
                self._kept.rename(self._swapped)
            shutil.rmtree(self._kept, ignore_errors=True)
        self._swapped = None


def check_at_the_end(folder: Path, hashing: Encoder, watched: WatchedFolder) -> None:
    assert watched.events() == []
    with CorpusIndex.open(folder, hashing) as index:
        assert {Path(hit.chunk.source).name for hit in index.search("subject1", 1)} == {"1.md"}
        assert index.verify().problems == ()
    assert watched.events() == []


@pytest.mark.parametrize("every", [20, 45, 100, 230])
def test_folders_that_become_links_before_each_step(
    folder: Path, outside: Path, hashing: Encoder, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import faiss
    import tantivy

    folder.chmod(0o777)  # so that others may do this
    swap, calls, swapping = Swapper(folder, outside), [0], [False]

    def before(function: Any) -> Any:
        def step(*arguments: Any, **options: Any) -> Any:
            calls[0] += 1
            if not swapping[0] and calls[0] % every == 0:
                swapping[0] = True
                swap()
                swapping[0] = False
            return function(*arguments, **options)

        return step

    watched = WatchedFolder(outside)
    with monkeypatch.context() as patched:
        for module, names in (
            (held_folder.os, ("open", "stat", "link", "unlink", "replace", "mkdir", "listdir", "fchmod", "rmdir")),
            (faiss, ("read_index", "write_index")),
            (tantivy, ("Document",)),
        ):
            for name in names:
                patched.setattr(module, name, before(getattr(module, name)))
        done = use_until(lambda: swap.count >= SWAPS, folder, hashing)
    swap.back()
    assert done
    check_at_the_end(folder, hashing, watched)


def test_folders_that_become_links_at_any_moment(folder: Path, outside: Path, hashing: Encoder) -> None:
    folder.chmod(0o777)
    watched, swap, ended = WatchedFolder(outside), Swapper(folder, outside), threading.Event()

    def swap_on() -> None:
        try:
            while swap.count < SWAPS:
                swap()
                ended.wait(0.002)
        finally:
            ended.set()

    thread = threading.Thread(target=swap_on)
    thread.start()
    done = use_until(ended.is_set, folder, hashing)
    thread.join()
    assert done
    swap.back()
    check_at_the_end(folder, hashing, watched)
