"""Search among long documents: is the answer inside the first hit, the first five, the first ten.

    python benchmarks/bench_long_documents.py --data ../shared/data [--documents 1000] [--tokens 30000] [--vectors]

The documents are made of paragraphs drawn from the books and from CISI's abstracts, with a fixed seed. The five
paragraphs of each article of XQuAD English stand in one document: those of every other article one behind the other, as
in a report that has a section on the subject, and those of the rest each at a random place, among paragraphs that have
nothing to do with them. A question's answer is at one place of one paragraph, and a hit counts if it holds that place.
Chunks are cut where they fall: the words that a question shares with its paragraph may be in the chunk before or behind
the one with the answer.

Without `--vectors` no passage is embedded, and `hybrid` is BM25 with the evidence of sentences, of neighbours and of
documents, as it is where the encoder does not know a language; a thousand documents take minutes. With it they take
half an hour to an hour of two cores. The last tables are what `AskOptions.score_cutoff` keeps, as in
`bench_score_cutoff.py`, and what neighbours add.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench_score_cutoff import Found, K, report_cutoffs
from smart_format import read_smart

from indexes import CorpusIndex, Encoder, SearchHit, Snapshot
from indexes.encoders import load_encoder
from longctx import AskOptions

BOOKS = ("american-adventures", "jack-sheppard", "news-from-nowhere")
BETWEEN = "\n\n"
HITS = 10
NEIGHBOURS = (0, 1, 2, 4)  # on either side of a passage


class WithoutVectors:
    """An encoder whose tokens are counted, and whose vectors say nothing, and are used for no language."""

    name, fingerprint = "without vectors", "none"
    languages: frozenset[str] = frozenset()

    def __init__(self, encoder: Encoder) -> None:
        self.max_tokens, self.token_offsets = encoder.max_tokens, encoder.token_offsets

    def encode_passages(self, texts: Sequence[str]) -> Any:
        return np.ones((len(texts), 1), dtype=np.float32)

    def encode_query(self, text: str) -> Any:
        return np.ones(1, dtype=np.float32)


@dataclass(frozen=True)
class Asked:
    """A question, and the place of its answer: a document and offsets of characters."""

    question: str
    document: str
    start: int
    end: int
    together: bool  # whether its article is in one piece


def distractors(data: Path) -> Iterator[str]:
    """The paragraphs of the books, without Gutenberg's words, and CISI's abstracts."""
    for book in BOOKS:
        text = (data / "books" / f"{book}.txt").read_text(encoding="utf-8")
        text = text.partition("*** START OF")[2].partition("*** END OF")[0] or text
        yield from (" ".join(paragraph.split()) for paragraph in text.split("\n\n") if len(paragraph.split()) > 20)
    yield from (" ".join(text.lstrip("# ").split()) for text in read_smart(data / "cisi" / "CISI.ALL").values())


def made_document(
    pieces: Sequence[Sequence[str]], fill: Sequence[tuple[str, int]], tokens: int, draw: random.Random
) -> list[str]:
    """Paragraphs of some length in all, with pieces of articles at random places."""
    blocks: list[Sequence[str]] = []
    while tokens > 0:
        paragraph, size = draw.choice(fill)
        blocks.append([paragraph])
        tokens -= size
    for piece in pieces:
        blocks.insert(draw.randrange(len(blocks) + 1), piece)
    return [paragraph for block in blocks for paragraph in block]


def write_corpus(data: Path, folder: Path, documents: int, tokens: int, encoder: Encoder) -> list[Asked]:
    """Write the documents, and return the questions on them."""
    draw = random.Random(0)
    fill = [(text, len(encoder.token_offsets([text])[0])) for text in distractors(data)]
    articles = json.loads((data / "xquad.en.json").read_text(encoding="utf-8"))["data"]
    asked: list[Asked] = []
    for number in range(documents):
        own, pieces = [], list[list[str]]()
        for which in range(number, len(articles), documents):
            its, together = articles[which]["paragraphs"], which % 2 == 0
            own += [(each, together) for each in its]
            pieces += [[each["context"] for each in its]] if together else [[each["context"]] for each in its]
        paragraphs = made_document(pieces, fill, tokens, draw)
        name, starts, at = f"volume {number:04}", dict[str, int](), 0
        for paragraph in paragraphs:
            starts.setdefault(paragraph, at)
            at += len(paragraph) + len(BETWEEN)
        (folder / f"{name}.txt").write_text(BETWEEN.join(paragraphs), encoding="utf-8")
        for each, together in own:
            for qa in each["qas"]:
                answer = qa["answers"][0]
                start = starts[each["context"]] + answer["answer_start"]
                asked.append(Asked(qa["question"], name, start, start + len(answer["text"]), together))
    return asked


def rank(hits: Sequence[SearchHit], asked: Asked) -> int:
    """The rank of the hit that holds the answer; beyond all ranks if none does."""
    for place, hit in enumerate(hits, start=1):
        chunk = hit.chunk
        if Path(chunk.source).stem == asked.document and chunk.start <= asked.start and asked.end <= chunk.end:
            return place
    return HITS + 1


def report(label: str, asked: Sequence[Asked], ranks: Sequence[int]) -> None:
    parts = [ranks] + [
        [its for its, each in zip(ranks, asked, strict=True) if each.together == together] for together in (True, False)
    ]
    figures = ("".join(f"{sum(each <= k for each in part) / len(part):>8.4f}" for k in (1, 5, 10)) for part in parts)
    print(f"{label:<16}" + "  |".join(figures), flush=True)


def find(snapshot: Snapshot, asked: Asked) -> Found:
    """Search for a question, as `longctx ask` does."""
    hits = snapshot.search(asked.question, K)
    return Found(hits, snapshot.content_idf(asked.question), {min(rank(hits, asked) - 1, K)})


def report_neighbours(snapshot: Snapshot, found: Sequence[tuple[Asked, Found]]) -> None:
    """Print how often the answer is in a prompt with neighbours of its passages, and the tokens of both."""
    print("| neighbours | answer in the prompt | tokens |\n| ---: | ---: | ---: |")
    for count in NEIGHBOURS:
        held = tokens = 0
        for asked, of in found:
            kept = [of.hits[place].chunk for place in sorted(of.kept(AskOptions().score_cutoff))]
            runs = [(snapshot.neighbours(chunk, count), chunk) for chunk in kept]
            chunks = {each.id: each for (before, after), chunk in runs for each in (*before, chunk, *after)}
            own = [each for each in chunks.values() if Path(each.source).stem == asked.document]
            places = {at for each in own for at in range(each.start, each.end)}
            held += places.issuperset((asked.start, asked.end - 1))
            tokens += sum(each.tokens for each in chunks.values())
        print(f"| {count} | {held / len(found):.4f} | {tokens / len(found):,.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with xquad.en.json, books/ and cisi/")
    parser.add_argument("--documents", type=int, default=1_000)
    parser.add_argument("--tokens", type=int, default=30_000, help="of each document")
    parser.add_argument("--questions", type=int, help="ask that many, chosen at random")
    parser.add_argument("--vectors", action="store_true", help="embed the passages, and fuse both rankings")
    parser.add_argument(
        "--index", type=Path, help="keep the index and the documents in this folder, or use those in it"
    )
    arguments = parser.parse_args()
    encoder: Any = load_encoder() if arguments.vectors else WithoutVectors(load_encoder())
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.index or Path(temporary)
        (folder / "documents").mkdir(parents=True, exist_ok=True)
        asked = write_corpus(arguments.data, folder / "documents", arguments.documents, arguments.tokens, encoder)
        with CorpusIndex.open(folder / "index", encoder) as index:
            began = time.monotonic()
            index.ingest([folder / "documents"])
            took = time.monotonic() - began
            print(f"{arguments.documents} documents, {index.info().chunks} chunks, {took:.0f} s to ingest", flush=True)
            if arguments.questions:
                asked = random.Random(0).sample(asked, arguments.questions)
            print(f"{len(asked)} questions{'':<5}{'1':>8}{'5':>8}{'10':>8}  | in one piece, apart")
            for mode in ("lexical", "hybrid"):
                report(mode, asked, [rank(index.search(each.question, HITS, mode), each) for each in asked])
            with index.snapshot() as snapshot:
                found = [(each, find(snapshot, each)) for each in asked]
                report_cutoffs([of for _, of in found])
                report_neighbours(snapshot, found)


if __name__ == "__main__":
    main()
