"""How fast the terms of the lexical index are made, beside Sudachi and tantivy alone, and their share of an ingest.

    python benchmarks/bench_lexical.py --data ../shared/data [--characters 150000]

First `terms`, on English (the books) and Japanese (the paragraphs of JSQuAD), a paragraph at a time,
on one core. The peers do a part of that work: SudachiPy cuts the same Japanese into morphemes, tantivy's own analyser
cuts and stems the same English. Processor time, the best of five. Then, of the first `--characters` of each, ingested
with the default encoder: the seconds, and the shares of embedding and of making the lexical index. `--characters 0`
leaves that out.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from squad_questions import FILES, read_corpus
from sudachipy import Dictionary, SplitMode
from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

from indexes import CorpusIndex
from indexes.encoders import load_encoder
from indexes.storage import LexicalIndex
from indexes.text import terms

TIMES = 5
SMALLEST = 20  # characters; shorter paragraphs are headings and page numbers


def english(data: Path) -> list[str]:
    books = sorted((data / "books").glob("*.txt"))
    paragraphs = [part for book in books for part in book.read_text(encoding="utf-8").split("\n\n")]
    return [part for part in paragraphs if len(part) >= SMALLEST]


def peers() -> dict[str, dict[str, Callable[[str], Any]]]:
    """What does a part of the work, by language."""
    stemmed = TextAnalyzerBuilder(Tokenizer.simple()).filter(Filter.lowercase()).filter(Filter.stemmer("english"))
    return {
        "English": {"tantivy's analyser": stemmed.build().analyze},
        "Japanese": {"SudachiPy": Dictionary(dict="core").tokenizer(mode=SplitMode.A).tokenize},
    }


def rate(work: Callable[[str], Any], paragraphs: Sequence[str]) -> float:
    """Megabytes of UTF-8 for each second of the processor."""
    work(paragraphs[0])
    best = float("inf")
    for _ in range(TIMES):
        began = time.process_time()
        for paragraph in paragraphs:
            work(paragraph)
        best = min(best, time.process_time() - began)
    return sum(len(paragraph.encode()) for paragraph in paragraphs) / 1e6 / best


def timed(owner: Any, name: str, seconds: dict[str, float]) -> None:
    """From now on, count under `name` the seconds spent in that method of `owner`."""
    work = getattr(owner, name)

    def method(*arguments: Any) -> Any:
        began = time.perf_counter()
        result = work(*arguments)
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began
        return result

    setattr(owner, name, method)


def ingest(text: str) -> tuple[int, dict[str, float]]:
    """How many chunks, and the seconds: of all, in the encoder, in the lexical index."""
    encoder = load_encoder()
    encoder.encode_passages(["a text"] * 20)
    seconds: dict[str, float] = {}
    timed(encoder, "encode_passages", seconds)
    sync = LexicalIndex.sync
    timed(LexicalIndex, "sync", seconds)
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / "document.txt"
        document.write_text(text, encoding="utf-8")
        with CorpusIndex.open(Path(folder) / "index", encoder) as index:
            report = index.ingest(document)
    LexicalIndex.sync = sync
    return report.chunks, {**seconds, "all": report.seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder in which books/ and JSQuAD lie")
    parser.add_argument("--characters", type=int, default=150_000, help="to ingest of each language")
    arguments = parser.parse_args()
    japanese = [text.strip() for _, text in read_corpus(arguments.data / FILES["ja"]).paragraphs]
    texts = {"English": english(arguments.data), "Japanese": japanese}
    print(f"{'analysis':<10}{'MB':>6}{'longctx MB/s':>14}")
    for language, paragraphs in texts.items():
        megabytes = sum(len(paragraph.encode()) for paragraph in paragraphs) / 1e6
        others = ", ".join(f"{name} alone {rate(work, paragraphs):.2f}" for name, work in peers()[language].items())
        print(f"{language:<10}{megabytes:>6.2f}{rate(terms, paragraphs):>14.2f}    {others}", flush=True)
    if arguments.characters:
        print(f"\n{'an ingest':<10}{'chunks':>8}{'s':>8}{'embedding':>12}{'lexical':>12}")
    for language, paragraphs in texts.items() if arguments.characters else ():
        chunks, seconds = ingest("\n\n".join(paragraphs)[: arguments.characters])
        shares = "".join(f"{seconds[part] / seconds['all']:>12.1%}" for part in ("encode_passages", "sync"))
        print(f"{language:<10}{chunks:>8}{seconds['all']:>8.1f}{shares}", flush=True)


if __name__ == "__main__":
    main()
