"""SIGKILL, at many moments of everything that writes: what is left is whole, and the next ingest goes on from there.

The processes that die are forked from one that has imported everything and started no thread, which is this file run as
a program. They die by their own hand at a function call or return of the code that stores, counted from the start; or
by another's after so many milliseconds.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexes import CorpusIndex, Encoder

STORING = tuple(
    f"/indexes/{name}.py"
    for name in [
        "store",
        "database",
        "derived",
        "dense",
        "dense_files",
        "ivf",
        "lexical",
        "writing",
        "folder",
        "schema",
    ]
)
FLAT, CODES = 10**9, 2  # vectors from which the dense index trains a model and holds codes
POINTS, TIMES = 96, 60  # runs to be killed at counted calls and returns, and after random times
GROUPS, LEAST = 6, 18  # and how many of a group's must die
DOCUMENTS = 7


def text_of(document: int, version: int) -> str:
    return f"subject{document} in version{version} of document{document}.\n\n" + f"About subject{document}. " * (
        20 + 10 * document
    )


def write_corpus(folder: Path, versions: dict[int, int]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for document, version in versions.items():
        (folder / f"{document}.txt").write_text(text_of(document, version))


class Dying:
    """The program that forks what is to be killed: one line of JSON in, one out."""

    def __init__(self) -> None:
        threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def run(
        self, action: str, index: Path, corpus: Path, flat_below: int, *, point: int = -1, seconds: float = 60
    ) -> dict:
        """Run an action in a process; it dies at its storing code's `point`-th call or return, or after `seconds`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"action": action, "index": str(index), "corpus": str(corpus), "flat_below": flat_below}
        print(json.dumps(asked | {"point": point, "seconds": seconds}), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        with self._process:  # closes its pipes, which ends it, and waits
            pass
        assert self._process.returncode == 0


@pytest.fixture(scope="module")
def dying() -> Iterator[Dying]:
    process = Dying()
    yield process
    process.close()


def ingest(index: Path, corpus: Path, encoder: Encoder) -> None:
    with CorpusIndex.open(index, encoder) as corpus_index:
        corpus_index.ingest(corpus, prune=True)


def remove(index: Path, corpus: Path, encoder: Encoder) -> None:
    with CorpusIndex.open(index, encoder) as corpus_index:
        corpus_index.remove(corpus / "0.txt")
        corpus_index.remove(corpus)


def rebuild(index: Path, corpus: Path, encoder: Encoder) -> None:
    """Opening makes derived files again that have gone."""
    for derived in sorted(index.glob("dense/*")) + sorted(index.glob("lexical/*/*.store")):
        derived.unlink()
    CorpusIndex.open(index, encoder).close()


ACTIONS = {"ingest": ingest, "remove": remove, "rebuild": rebuild}
MOMENTS = [
    *((action, True) for action in ACTIONS for _ in range(POINTS // 3)),
    *((action, False) for action in ACTIONS for _ in range(TIMES // 3)),
]


def contents(index: CorpusIndex) -> dict[str, list[tuple]]:
    """What a search finds in each document, by its words and by its meaning, without ids."""
    found = {}
    for document in range(DOCUMENTS):
        for mode in ("lexical", "dense"):
            hits = index.search(f"subject{document}", k=60, mode=mode)
            own = [hit for hit in hits if Path(hit.chunk.source).stem == str(document)]
            assert mode == "dense" or own == hits, "a search by word found another document"
            found[f"{document} {mode}"] = sorted((h.chunk.source, h.chunk.start, h.chunk.text) for h in own)
    return found


@pytest.fixture(scope="module")
def moments(dying: Dying, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], dict]:
    """How many calls and returns, and how much time, each action takes when nobody kills it."""
    folder = tmp_path_factory.mktemp("whole")
    write_corpus(folder / "corpus", dict.fromkeys(range(DOCUMENTS), 1))
    return {
        (action, kind): dying.run(action, folder / str(kind), folder / "corpus", kind)
        for kind in (FLAT, CODES)
        for action in ("ingest", "rebuild", "remove")
    }


@pytest.mark.parametrize("group", range(GROUPS))
def test_killed_at_any_moment_it_is_whole_and_goes_on(
    group: int,
    dying: Dying,
    moments: dict[tuple[str, int], dict],
    hashing: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    luck, killed, kind = random.Random(group), 0, CODES if group % 2 else FLAT
    monkeypatch.setattr("indexes.dense.FLAT_BELOW", kind)
    index_folder, corpus = tmp_path / "index", tmp_path / "corpus"
    old = dict.fromkeys(range(DOCUMENTS), 1)
    write_corpus(corpus, old)
    ingest(index_folder, corpus, hashing)
    for number, (action, by_point) in enumerate(MOMENTS[group::GROUPS]):
        new = {d: number + 2 for d in range(DOCUMENTS) if luck.random() < 0.7} if action == "ingest" else old
        new = {**{d: v for d, v in old.items() if luck.random() < 0.8}, **new}
        write_corpus(corpus, new)
        usual = moments[action, kind]
        if by_point:
            outcome = dying.run(action, index_folder, corpus, kind, point=luck.randrange(usual["events"]))
        else:
            outcome = dying.run(action, index_folder, corpus, kind, seconds=luck.uniform(0, usual["seconds"]))
        assert outcome["status"] in (-signal.SIGKILL, 0), outcome
        killed += outcome["status"] != 0
        check_what_is_left(index_folder, old, new, action, hashing)
        check_that_it_goes_on(index_folder, corpus, tmp_path / "afresh", hashing)
        old = new
    assert killed >= LEAST, "a run that ends before its moment has come shows nothing"


def check_what_is_left(folder: Path, old: dict[int, int], new: dict[int, int], action: str, encoder: Encoder) -> None:
    with CorpusIndex.open(folder, encoder) as index:
        assert index.verify().problems == ()
        left = {int(Path(document.source).stem): index.text(document.source) for document in index.documents()}
        for document, text in left.items():
            assert text in {text_of(document, versions[document]) for versions in (old, new) if document in versions}
        if action == "ingest":
            assert old.keys() & new.keys() <= left.keys(), "a document that was replaced is one or the other"
        if action == "rebuild":
            assert left.keys() == old.keys()
        for name, chunks in contents(index).items():
            text = left.get(int(name.split()[0]), "")
            assert [chunk[2] for chunk in chunks] == [text[c[1] : c[1] + len(c[2])] for c in chunks]
            assert bool(chunks) == bool(text)


def check_that_it_goes_on(folder: Path, corpus: Path, afresh: Path, encoder: Encoder) -> None:
    shutil.rmtree(afresh, ignore_errors=True)
    ingest(afresh, corpus, encoder)
    with (
        CorpusIndex.open(folder, encoder) as index,
        CorpusIndex.open(afresh, encoder) as made_in_one_go,
    ):
        index.ingest(corpus, prune=True)
        assert index.verify().problems == ()
        assert sorted(map(str, index.documents())) == sorted(map(str, made_in_one_go.documents()))
        assert contents(index) == contents(made_in_one_go)


def main() -> None:
    """Fork a process for every line, and say how it ended."""
    import faiss  # noqa: F401
    import filelock  # noqa: F401
    import tantivy  # noqa: F401
    from conftest import HashingEncoder

    from indexes.tokenize import terms

    terms("日本語 and words")
    encoder = HashingEncoder()
    assert sys.platform != "linux" or len([*Path("/proc/self/task").iterdir()]) == 1, (
        "a thread would not survive a fork"
    )
    for line in sys.stdin:
        asked = json.loads(line)
        reading, writing = os.pipe()
        began = time.monotonic()
        if (child := os.fork()) == 0:
            os.close(reading)
            os._exit(run(asked, writing, encoder))
        os.close(writing)
        print(
            json.dumps(await_end(child, reading, began + asked["seconds"]) | {"seconds": time.monotonic() - began}),
            flush=True,
        )


def await_end(child: int, reading: int, deadline: float) -> dict:
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
            deadline = float("inf")
        time.sleep(0.0005)
    with os.fdopen(reading) as stream:
        return {"status": os.waitstatus_to_exitcode(status), "events": int(stream.read() or 0)}


def run(asked: dict, writing: int, encoder: Encoder) -> int:
    events = 0

    def count(frame, event, argument) -> None:
        nonlocal events
        if frame.f_code.co_filename.endswith(STORING):
            events += 1
            if events == asked["point"]:
                os.kill(os.getpid(), signal.SIGKILL)

    import indexes.dense

    indexes.dense.FLAT_BELOW = asked["flat_below"]
    try:
        sys.setprofile(count)
        ACTIONS[asked["action"]](Path(asked["index"]), Path(asked["corpus"]), encoder)
        sys.setprofile(None)
    except BaseException:
        import traceback

        traceback.print_exc()
        return 1
    os.write(writing, str(events).encode())
    return 0


if __name__ == "__main__":
    main()
