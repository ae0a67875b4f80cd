"""Indexes for the tests, in a folder and in PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hashing_encoder import HashingEncoder

from indexes import CorpusIndex


@pytest.fixture(scope="session", params=["folder", "postgres"])
def new_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str | Path]:
    """Names a place for a new index: a test that uses it runs on a folder and on PostgreSQL."""
    if request.param == "folder":
        return lambda: tmp_path_factory.mktemp("place") / "index"
    return request.getfixturevalue("postgres").new_schema


@pytest.fixture
def place(new_place: Callable[[], str | Path]) -> str | Path:
    return new_place()


@pytest.fixture
def index(place: str | Path, encoder) -> Iterator[CorpusIndex]:
    with CorpusIndex.open(place, encoder) as index:
        yield index


@pytest.fixture(scope="session")
def hashing() -> HashingEncoder:
    return HashingEncoder()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, hashing: HashingEncoder) -> Path:
    """A folder with `corpus` and its `index`."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "corpus").mkdir()
    for number in range(12):
        text = f"# Subject{number}\n\n" + f"Subject{number} is what this document is about. " * (5 + 9 * number)
        (folder / "corpus" / f"{number}.md").write_text(text)
    with CorpusIndex.open(folder / "index", hashing) as index:
        index.ingest(folder / "corpus")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of that index."""
    return Path(shutil.copytree(made / "index", tmp_path / "index"))
