"""An index whose folder's name is given to another index while it is used: the other one is neither read nor written."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

from indexes import CorpusError, CorpusIndex, Document, Encoder, IngestProgress

MOVED = "has been moved or replaced since it was opened"


@pytest.fixture
def other(tmp_path: Path, hashing: Encoder) -> Path:
    """Another index, whose files are made in the generations of the first, too."""
    with CorpusIndex.open(tmp_path / "other", hashing) as index:
        for n in range(3):
            index.add([Document(f"other{n}", f"subject1 of another index {n}", f"other{n}")])
    return tmp_path / "other"


def files(folder: Path) -> dict[str, str]:
    """What is in each file, without what SQLite makes beside its database to read it."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in found}


def by_a_link(folder: Path, other: Path) -> Path:
    folder.rename(folder.with_name("away"))
    folder.symlink_to(other)
    return other


def by_name(folder: Path, other: Path) -> Path:
    folder.rename(folder.with_name("away"))
    other.rename(folder)
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="only there a folder is reached by its descriptor")
@pytest.mark.parametrize("exchange", [by_a_link, by_name])
@pytest.mark.parametrize("moment", range(0, 14, 2))
def test_an_ingest_goes_into_no_other_index(
    folder: Path, other: Path, made: Path, hashing: Encoder, exchange: Callable[[Path, Path], Path], moment: int
) -> None:
    before, calls = files(other), [0]
    shutil.copytree(made / "corpus", folder.with_name("corpus"))
    for file in folder.with_name("corpus").iterdir():
        file.write_text(file.read_text() + "And one more sentence.")
    place = [other]

    def progress(_: IngestProgress) -> None:
        if calls[0] == moment:
            place[0] = exchange(folder, other)
        calls[0] += 1

    with CorpusIndex.open(folder, hashing) as index:
        with suppress(CorpusError):  # or it had nothing more to write
            index.ingest(folder.with_name("corpus"), progress=progress)
        assert calls[0] > moment
        with pytest.raises(CorpusError, match=MOVED):
            index.search("subject1")
    assert files(place[0]) == before
    with CorpusIndex.open(folder.with_name("away"), hashing, create=False) as index:
        assert index.verify().problems == ()
        assert {Path(hit.chunk.source).parent.name for hit in index.search("subject1", 99)} == {"corpus"}
    with CorpusIndex.open(place[0], hashing, create=False) as index:
        assert index.verify().problems == ()
        assert len(index.documents()) == 3
