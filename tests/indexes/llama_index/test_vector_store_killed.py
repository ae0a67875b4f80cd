"""SIGKILL while nodes are added and deleted: each add is in the index wholly or not at all, and the next goes on.

The processes that die are forked, as in test_killed.py, from one that this file is when it is run as a program.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from hashing_encoder import HashingEncoder
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode

from indexes import CorpusIndex
from indexes.llama_index import CorpusVectorStore

KILLS, NODES_IN_AN_ADD = 8, 7


def add_for_ever(folder: str, told: int) -> None:
    """Add and delete, and write a byte after each add."""
    with CorpusIndex.open(folder, HashingEncoder()) as index:
        store = CorpusVectorStore.from_index(index)
        while True:
            turn = time.monotonic_ns()
            source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"d{turn % 3}")}
            store.add(
                [TextNode(id_=f"{turn}-{i}", text=f"words {i}", relationships=source) for i in range(NODES_IN_AN_ADD)]
            )
            os.write(told, b".")
            if turn % 4 == 0:
                store.delete(f"d{turn // 4 % 3}")


def test_killed_at_any_moment_each_add_is_there_wholly_or_not_at_all(tmp_path: Path) -> None:
    luck = random.Random(0)
    folder = tmp_path / "index"
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    most = 0
    with subprocess.Popen(
        [sys.executable, __file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as forking:
        assert forking.stdin is not None
        assert forking.stdout is not None
        for _ in range(KILLS):
            print(luck.randrange(5), luck.uniform(0, 0.1), file=forking.stdin, flush=True)
            assert forking.stdout.readline() == f"{-signal.SIGKILL}\n"
            with CorpusIndex.open(folder, HashingEncoder()) as index:
                assert index.verify().problems == ()
                store = CorpusVectorStore.from_index(index)
                left = store.get_nodes()
                adds = Counter(node.node_id.split("-")[0] for node in left)
                assert set(adds.values()) <= {NODES_IN_AN_ADD}
                assert len(index.search("words", k=10_000, mode="lexical")) == len(left) if left else True
                store.add([TextNode(id_="after", text="it goes on")])
                store.delete("after")
                assert len(store.get_nodes()) == len(left)
                most = max(most, len(adds))
    assert most > 1


def fork_and_kill(folder: str) -> None:
    assert sys.platform != "linux" or len([*Path("/proc/self/task").iterdir()]) == 1, "a thread survives no fork"
    for line in sys.stdin:
        adds, seconds = line.split()
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            add_for_ever(folder, writing)
        for _ in range(int(adds)):  # however long they take where others are at work
            os.read(reading, 1)
        time.sleep(float(seconds))
        os.kill(child, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        os.close(reading)
        os.close(writing)


if __name__ == "__main__":
    import faiss  # noqa: F401
    import filelock  # noqa: F401
    import tantivy  # noqa: F401

    import indexes.llama_index.vector_store  # noqa: F401
    from indexes.text.analyzer import terms

    terms("日本語 and words")
    fork_and_kill(sys.argv[1])
