"""SIGKILL while nodes are added and deleted: each add is in the index wholly or not at all, and the next goes on.

The processes that die are forked, as in test_killed.py, from one that this file is when it is run as a program.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

from forking_program import ForkingProgram, end_of, serve
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
    most = 0
    with ForkingProgram(__file__, folder) as program:
        for _ in range(KILLS):
            assert program.ask(luck.randrange(5), luck.uniform(0, 0.1)) == -signal.SIGKILL
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


def fork_and_kill(folder: str, adds: int, seconds: float) -> int:
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        add_for_ever(folder, writing)
    for _ in range(adds):  # however long they take where others are at work
        os.read(reading, 1)
    ended = end_of(child, time.monotonic() + seconds)
    os.close(reading)
    os.close(writing)
    return ended


if __name__ == "__main__":
    import faiss  # noqa: F401
    import filelock  # noqa: F401
    import tantivy  # noqa: F401

    import indexes.llama_index.vector_store  # noqa: F401
    from indexes.text.analyzer import terms

    terms("日本語 and words")
    serve(partial(fork_and_kill, sys.argv[1]))
