"""An empty index, in a folder and in PostgreSQL, and an encoder for tests of everything but meaning."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from indexes import CorpusIndex


class HashingEncoder:
    """Words to buckets: deterministic, fast, and the same in every process."""

    name, fingerprint, max_tokens, languages = "hashing", "1", 60, None

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[(i, min(i + 6, len(text))) for i in range(0, len(text), 6)] for text in texts]

    def encode_passages(self, texts: Sequence[str]):
        vectors = np.full((len(texts), 64), 1e-3, dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().split():
                row[hashlib.blake2b(word.encode(), digest_size=8).digest()[0] % 64] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode_query(self, text: str):
        return self.encode_passages([text])[0]


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
