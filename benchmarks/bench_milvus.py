"""Questions asked of a Milvus collection that `longctx ingest --into` has written, beside its index, in one run.

    python benchmarks/bench_milvus.py --data ../shared/data [--paragraphs 300] [--questions 600]

The data are XQuAD in English and JSQuAD's validation split, whose first paragraphs are taken; every paragraph is a
document with its title, and a question's own paragraph is the one relevant result. Printed are recall at 1 and 5, the
share of questions whose first ten passages are the same in the same order, and the time of a question. The store is
Milvus Lite unless --into names a server's collection. Needs the extra "milvus".
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from remembering import Remembering
from squad_questions import FILES, read_corpus

from indexes import CorpusIndex
from indexes.encoders import load_encoder
from indexes.milvus import Collection, MilvusRetriever, publish

DEPTH = 10
MODES = ("hybrid", "lexical", "dense")
Places = list[tuple[str, int]]  # source and offset of each passage, best first


def recall(found: Sequence[Places], paragraphs: Sequence[int], k: int) -> float:
    firsts = [list(dict.fromkeys(Path(source).stem for source, _ in places))[:k] for places in found]
    return sum(str(paragraph) in first for first, paragraph in zip(firsts, paragraphs, strict=True)) / len(paragraphs)


def timed(retrieve: Callable[[str], Places], questions: Sequence[str]) -> tuple[list[Places], float]:
    began = time.perf_counter()
    found = [retrieve(question) for question in questions]
    return found, (time.perf_counter() - began) / len(questions) * 1e3


def report(name: str, file: Path, folder: Path, into: str, arguments: argparse.Namespace) -> None:
    corpus = read_corpus(file)
    (folder / name).mkdir()
    for number, (title, text) in enumerate(corpus.paragraphs[: arguments.paragraphs]):
        (folder / name / f"{number}.md").write_text(f"# {title}\n\n{text}\n", encoding="utf-8")
    asked = [(each.question, number) for each, number in corpus.questions if number < arguments.paragraphs]
    asked = random.Random(0).sample(asked, min(arguments.questions, len(asked)))
    questions, paragraphs = [question for question, _ in asked], [number for _, number in asked]
    encoder = Remembering(load_encoder())
    address = f"{into}#{name}"
    with CorpusIndex.open(folder / f"{name}.index", encoder) as index, Collection(address) as collection:
        index.ingest([folder / name])
        began = time.perf_counter()
        published = publish(index, collection, sure=True)
        seconds = time.perf_counter() - began
        print(f"\n{name}: {len(questions)} questions, {published.passages} passages, written in {seconds:.1f} s")
        print(f"{'':<22}{'R@1':>8}{'R@5':>8}{'same ten':>10}{'ms':>8}")
        for question in questions:
            encoder.encode_query(question)
        for mode in arguments.modes:
            retriever = MilvusRetriever(address, DEPTH, mode, encoder=encoder)

            def of_index(question: str, mode: str = mode) -> Places:
                return [(hit.chunk.source, hit.chunk.start) for hit in index.search(question, DEPTH, mode)]

            def of_milvus(question: str, retriever: MilvusRetriever = retriever) -> Places:
                return [(n.node.metadata["source"], n.node.metadata["start"]) for n in retriever.retrieve(question)]

            own, own_ms = timed(of_index, questions)
            there, there_ms = timed(of_milvus, questions)
            retriever.close()
            same = sum(a == b for a, b in zip(own, there, strict=True)) / len(questions)
            for label, found, ms in (("index", own, own_ms), ("Milvus", there, there_ms)):
                recalls = "".join(f"{recall(found, paragraphs, k):>8.4f}" for k in (1, 5))
                print(f"{f'{label}, {mode}':<22}{recalls}{same:>10.3f}{ms:>8.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the files")
    parser.add_argument("--paragraphs", type=int, default=300, help="of each split")
    parser.add_argument("--questions", type=int, default=600, help="of each split, chosen at random")
    parser.add_argument("--languages", nargs="+", choices=FILES, default=[*FILES])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=[*MODES])
    parser.add_argument("--into", help="the address of a server, as milvus:http://host:19530 (default: Milvus Lite)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        into = arguments.into or f"milvus:{folder}/lite.db"
        for language in arguments.languages:
            report(f"squad_{language}", arguments.data / FILES[language], Path(folder), into, arguments)


if __name__ == "__main__":
    main()
