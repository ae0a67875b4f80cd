"""Names that are exchanged for links while they are read: nothing from outside of the folder comes in."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from written_files import write_files

from indexes import CorpusIndex, Encoder
from indexes.errors import UnreadableFile
from indexes.ingest.discovery import FoundFile, discover
from indexes.readers.base import DEFAULT_LIMITS

SWAPS = 200
SECRET = "The password is swordfish."


class Swapper:
    """Exchanges a name of a folder for a link to outside, and back again, each time that it is called."""

    def __init__(self, folder: Path, outside: Path, name: str) -> None:
        self.count, self._path, self._outside = 0, folder / name, outside / name
        self._kept = folder.parent / f"kept-{self._path.name}"

    def __call__(self) -> None:
        if self._path.is_symlink():
            self._path.unlink()
            self._kept.rename(self._path)
        else:
            self._path.rename(self._kept)
            self._path.symlink_to(self._outside)
        self.count += 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for root, text in (("corpus", "The lighthouse stands."), ("outside", SECRET)):
        for number in range(4):
            names = (f"{number}.txt", f"sub/{number}.txt", f"sub/deep/{number}.txt")
            write_files(tmp_path / root, dict.fromkeys(names, f"{text} {number}"))
    return tmp_path


NAMES = ("1.txt", "sub", "sub/deep", "sub/deep/2.txt")


def read_all(folder: Path) -> Iterator[str]:
    for found in discover([folder]):
        if isinstance(found, FoundFile):
            try:
                yield found.read(DEFAULT_LIMITS).decode()
            except UnreadableFile:
                continue


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_changes_before_each_step_of_the_walk(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap = Swapper(folder / "corpus", folder / "outside", name)
    is_ours = threading.local()

    def before(function: Any) -> Any:
        def step(*args: Any, **kwargs: Any) -> Any:
            if not getattr(is_ours, "swapping", False):
                is_ours.swapping = True
                swap()
                is_ours.swapping = False
            return function(*args, **kwargs)

        return step

    for function in ("open", "listdir", "scandir"):
        monkeypatch.setattr(os, function, before(getattr(os, function)))
    read: list[str] = []
    while swap.count < SWAPS // len(NAMES):
        read += read_all(folder / "corpus")
    assert read
    assert not [text for text in read if SECRET in text]


def test_names_that_change_while_files_are_ingested(folder: Path, hashing: Encoder) -> None:
    ended = threading.Event()
    swappers = [Swapper(folder / "corpus", folder / "outside", name) for name in ("1.txt", "sub")]

    def swap() -> None:
        for _ in range(SWAPS // len(swappers)):
            for swapper in swappers:
                swapper()
            ended.wait(0.003)
        ended.set()

    thread = threading.Thread(target=swap)
    with CorpusIndex.open(folder / "index", hashing) as index:
        thread.start()
        while not ended.is_set():
            index.ingest(folder / "corpus")
        thread.join()
        index.ingest(folder / "corpus")
        assert sum(swapper.count for swapper in swappers) == SWAPS
        texts = [hit.chunk.text for hit in index.search("password lighthouse swordfish stands", 100)]
        assert len(texts) == 4, "the others are copies"
        assert not [text for text in texts if SECRET in text]


def test_rules_come_from_inside_of_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(folder / "corpus", {"sub/deep/.gitignore": "0.txt\n"})
    write_files(folder / "outside", {"sub/deep/.gitignore": "*\n!0.txt\n", "info/exclude": "*.txt\n"})
    (folder / "corpus" / ".git").symlink_to(folder / "outside")
    swap, listed = Swapper(folder / "corpus", folder / "outside", "sub"), os.listdir

    def listdir(place: Any) -> list[str]:
        names = listed(place)
        if ".gitignore" in names:
            swap()
        return names

    monkeypatch.setattr(os, "listdir", listdir)
    found = {
        str(Path(each.source).relative_to(folder / "corpus"))
        for each in discover([folder / "corpus"])
        if isinstance(each, FoundFile)
    }
    assert swap.count == 1
    every = {name for n in range(4) for name in (f"{n}.txt", f"sub/{n}.txt", f"sub/deep/{n}.txt")}
    assert found == every
