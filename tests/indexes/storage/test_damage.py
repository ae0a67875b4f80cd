"""Files that were deleted, cut short, emptied or altered: what is derived is made again, and the rest is refused."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hashing_encoder import python

from indexes import CorpusIndex, Encoder, IndexDamaged, IndexMismatch, IndexNotFound

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
def removed(made: Path, tmp_path_factory: pytest.TempPathFactory, hashing: Encoder) -> Path:
    """The index without one of its documents, so that tantivy's files name some that are gone."""
    folder = Path(shutil.copytree(made / "index", tmp_path_factory.mktemp("removed") / "index"))
    with CorpusIndex.open(folder, hashing) as index:
        assert index.remove(made / "corpus" / "3.md") == 1
    return folder


@pytest.fixture
def folder(removed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(removed, tmp_path / "index"))


def answers(index: CorpusIndex) -> list[object]:
    """All that the index has to say. Not BM25's scores: tantivy counts removed documents until it has merged them."""
    dense = [index.search(f"subject{n}", k=5, mode="dense") for n in range(12)]
    lexical = [index.search(f"subject{n}", k=60, mode="lexical") for n in range(12)]
    documents = index.documents()
    texts = [index.text(document.source) for document in documents]
    return [documents, texts, index.info().chunks, dense, [{hit.chunk for hit in hits} for hits in lexical]]


@pytest.fixture(scope="module")
def right(removed: Path, hashing: Encoder) -> list[object]:
    with CorpusIndex.open(removed, hashing) as index:
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


def test_files_that_go_while_they_are_searched_change_no_answer(
    folder: Path, hashing: Encoder, right: list[object]
) -> None:
    with CorpusIndex.open(folder, hashing) as index:
        assert answers(index) == right
        for derived in ("dense", "lexical"):
            delete(folder / derived)
        assert index.verify().problems
        assert answers(index) == right
        assert index.verify().problems == ()


SEARCH_WHAT_IS_CUT = """
import os
from pathlib import Path
from indexes.storage.dense import index as dense
dense.FLAT_BELOW = 2  # codes, which are mapped into memory, as all of tantivy's files are
with CorpusIndex.open(sys.argv[1], HashingEncoder()) as index:
    assert index.remove(sys.argv[2]) == 1
    def answers():  # not the scores: tantivy counts removed documents until it has merged them
        return [{hit.chunk.id for hit in index.search("subject7 is", 60, mode)} for mode in ("dense", "lexical")]
    right = answers()
    files = {Path(line.split()[-1]) for line in open("/proc/self/maps") if sys.argv[1] in line}
    assert {file.suffix for file in files} >= {".faiss", ".term"}
    for file in files:
        if file.suffix != ".sqlite3-shm":
            os.truncate(file, int(sys.argv[3]))
    assert answers() == right
    assert index.verify().problems == ()
"""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux says what is mapped")
@pytest.mark.parametrize("left", [0, 1])
def test_files_cut_short_after_they_were_mapped_do_not_end_the_process(folder: Path, made: Path, left: int) -> None:
    document = str(made / "corpus" / "5.md")
    subprocess.run([*python(SEARCH_WHAT_IS_CUT), str(folder), document, str(left)], check=True)


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


@pytest.mark.parametrize("change", ["DELETE FROM unfiled", "INSERT INTO unfiled VALUES (1)"])
def test_what_is_in_no_dense_file_is_not_mistaken(
    folder: Path, hashing: Encoder, right: list[object], change: str
) -> None:
    with sqlite3.connect(folder / "corpus.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM unfiled").fetchone()[0] > 0, "the document that was removed"
        database.execute(change)
    database.close()
    with CorpusIndex.open(folder, hashing) as index:
        assert answers(index) == right
        assert index.verify().problems == ()


def test_verify_says_what_is_wrong(folder: Path, hashing: Encoder) -> None:
    with CorpusIndex.open(folder, hashing) as index:
        with sqlite3.connect(folder / "corpus.sqlite3") as database:
            database.execute("DELETE FROM vectors WHERE chunk_id = 1")
            database.execute("UPDATE chunks SET heading = 'Another' WHERE id = 2")
            database.execute("UPDATE documents SET text_checksum = 1 WHERE id = 3")
            database.execute("UPDATE documents SET folded_title = 'another' WHERE id = 7")
            database.execute("UPDATE vectors SET vector = zeroblob(256) WHERE chunk_id = 5")
        database.close()
        problems = " / ".join(index.verify().problems)
    for problem in (
        "1 chunks without a vector",
        "chunk 2 of",
        "document 3",
        "document 7 is not found",
        "the vector of chunk 5",
    ):
        assert problem in problems


def test_an_index_that_is_not_there_is_not_made_to_be_read(tmp_path: Path, hashing: Encoder) -> None:
    with pytest.raises(IndexNotFound):
        CorpusIndex.open(tmp_path / "nothing", hashing, create=False)
