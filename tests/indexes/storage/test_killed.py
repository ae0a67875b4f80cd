"""SIGKILL, at many moments of everything that writes: what is left is whole, and the next ingest goes on from there.

In all, `GROUPS * KILLS` = 30 processes die; one that ends before its moment has come is not counted. `make test-faults`
kills the `longctx` command itself, at its file operations.

The processes that die are forked from one that has imported everything and started no thread, which is this file run as
a program. They die by their own hand at a function call or return of the code that stores, counted from the start; or
by another's after so many milliseconds. Their ingests have several batches, and publish each or as many as they would.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from operator import attrgetter
from pathlib import Path

import pytest
from forking_program import ForkingProgram, end_of, serve
from hashing_encoder import HashingEncoder

from indexes import CorpusIndex, Encoder

STORING = tuple(f"/indexes/{part}" for part in ("storage/", "ingest/pipeline.py", "ingest/files.py"))
UNFILED = (0, 10, 1000)  # chunks that may be in no dense file
FLAT, CODES = 10**9, 2  # vectors from which the dense index trains a model and holds codes
GROUPS, KILLS, MOST_RUNS = 6, 5, 30  # kills in each group, and the runs that they may take
DOCUMENTS = 7


def text_of(document: int, version: int) -> str:
    """The first word is in no other document, and too short to be found by its beginning."""
    return f"subj{document} in version{version} of document{document}.\n\n" + f"All about subj{document}. " * (
        20 + 10 * document
    )


def write_corpus(folder: Path, versions: dict[int, int]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for document, version in versions.items():
        (folder / f"{document}.txt").write_text(text_of(document, version))


class Dying(ForkingProgram):
    """Forks what is to be killed."""

    def run(
        self,
        action: str,
        index: Path,
        corpus: Path,
        flat_below: int,
        *,
        eager: bool = True,
        unfiled: int = 0,
        **moment: float,
    ) -> dict:
        """Run an action in a process; it dies at its storing code's `point`-th call or return, or after `seconds`.

        An eager one publishes each of its batches.
        """
        asked = {"action": action, "index": str(index), "corpus": str(corpus), "flat_below": flat_below}
        asked |= {"eager": eager, "unfiled": unfiled, "point": -1, "seconds": float("inf"), **moment}
        return self.ask(asked)


@pytest.fixture(scope="module")
def dying() -> Iterator[Dying]:
    with Dying(__file__) as program:
        yield program


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


START = attrgetter("start")
ACTIONS = {"ingest": ingest, "remove": remove, "rebuild": rebuild}


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
    monkeypatch.setattr("indexes.storage.dense.index.FLAT_BELOW", kind)
    monkeypatch.setattr("indexes.storage.dense.files.UNFILED", unfiled := UNFILED[group % 3])
    index, corpus = tmp_path / "index", tmp_path / "corpus"
    old = dict.fromkeys(range(DOCUMENTS), 1)
    write_corpus(corpus, old)
    ingest(index, corpus, hashing)
    for version in range(2, 2 + MOST_RUNS):
        action, eager = luck.choice(list(ACTIONS)), luck.random() < 0.5
        new = {d: version for d in range(DOCUMENTS) if luck.random() < 0.7} if action == "ingest" else old
        new = {**{d: v for d, v in old.items() if luck.random() < 0.8}, **new}
        write_corpus(corpus, new)
        calls, seconds = (luck.uniform(0, moments[action, kind][what]) for what in ("events", "seconds"))
        moment = {"point": 1 + int(calls)} if luck.random() < 0.6 else {"seconds": seconds}
        outcome = dying.run(action, index, corpus, kind, eager=eager, unfiled=unfiled, **moment)
        assert outcome["status"] in (-signal.SIGKILL, 0), outcome
        killed += outcome["status"] != 0
        check_what_is_left(index, old, new, action, hashing)
        check_that_it_goes_on(index, corpus, new, hashing)
        old = new
        if killed == KILLS:
            break
    assert killed == KILLS


def check_what_is_left(folder: Path, old: dict[int, int], new: dict[int, int], action: str, encoder: Encoder) -> None:
    with CorpusIndex.open(folder, encoder) as index:
        left = texts(index)
        for document, text in left.items():
            assert text in {text_of(document, versions[document]) for versions in (old, new) if document in versions}
        if action == "ingest":
            assert old.keys() & new.keys() <= left.keys(), "a document that was replaced is one or the other"
        if action == "rebuild":
            assert left.keys() == old.keys()
        check_whole(index, left)


def check_that_it_goes_on(folder: Path, corpus: Path, new: dict[int, int], encoder: Encoder) -> None:
    with CorpusIndex.open(folder, encoder) as index:
        index.ingest(corpus, prune=True)
        assert texts(index) == {document: text_of(document, version) for document, version in new.items()}
        check_whole(index, texts(index))


def texts(index: CorpusIndex) -> dict[int, str]:
    return {int(Path(document.source).stem): index.text(document.source) for document in index.documents()}


def check_whole(index: CorpusIndex, texts: dict[int, str]) -> None:
    """Every passage of every document is found by its words and by its meaning, once, and nothing else is."""
    assert index.verify().problems == ()
    for document in range(DOCUMENTS):
        text = texts.get(document, "")
        for mode in ("lexical", "dense"):
            hits = index.search(f"subj{document}", k=60, mode=mode)
            own = sorted((hit.chunk for hit in hits if Path(hit.chunk.source).stem == str(document)), key=START)
            assert mode == "dense" or len(own) == len(hits), "a search by word found another document"
            assert [chunk.text for chunk in own] == [text[chunk.start : chunk.end] for chunk in own]
            assert [word for chunk in own for word in chunk.text.split()] == text.split()


def main() -> None:
    """Fork a process for every line, and say how it ended."""
    import faiss  # noqa: F401
    import filelock  # noqa: F401
    import tantivy  # noqa: F401

    import indexes.ingest.pipeline
    from indexes.text.analyzer import terms

    terms("日本語 and words")
    encoder = HashingEncoder()
    indexes.ingest.pipeline._PENDING_CHARACTERS = 2500  # two or three documents to a batch
    serve(partial(forked, encoder))


def forked(encoder: Encoder, asked: dict) -> dict:
    reading, writing = os.pipe()
    began = time.monotonic()
    if (child := os.fork()) == 0:
        os.close(reading)
        os._exit(run(asked, writing, encoder))
    os.close(writing)
    status = end_of(child, began + asked["seconds"])
    with os.fdopen(reading) as stream:
        return {"status": status, "events": int(stream.read() or 0), "seconds": time.monotonic() - began}


def run(asked: dict, writing: int, encoder: Encoder) -> int:
    events = 0

    def count(frame, event, argument) -> None:
        nonlocal events
        if any(part in frame.f_code.co_filename for part in STORING):
            events += 1
            if events == asked["point"]:
                os.kill(os.getpid(), signal.SIGKILL)

    import indexes.storage.dense.files
    import indexes.storage.dense.index
    import indexes.storage.index_folder

    if asked["eager"]:
        indexes.storage.index_folder._PUBLISHING_SHARE = float("inf")
    indexes.storage.dense.index.FLAT_BELOW = asked["flat_below"]
    indexes.storage.dense.files.UNFILED = asked["unfiled"]
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
