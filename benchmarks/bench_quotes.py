"""Answers without a model: is the right sentence quoted, and is "nothing bears on it" said where that is so.

    python benchmarks/bench_quotes.py --data ../shared/data [--questions 400]

Of XQuAD English and JSQuAD, each paragraph is one document. Every question is asked of the whole split, and of the
split without the question's article. Printed are, for the articles on which the thresholds were chosen (one in three)
and for the others: the share of questions refused with the article and without it, and the share of all questions whose
first quoted sentence holds a gold answer (compared in NFKC, case-folded).
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from squad_questions import FILES, TUNED, Corpus, read_corpus

from indexes import SearchFilter
from indexes.text import folded
from longctx import Answer, DocumentQA


def write(corpus: Corpus, folder: Path) -> None:
    for number, ((title, text), article) in enumerate(zip(corpus.paragraphs, corpus.articles, strict=True)):
        file = folder / str(article) / f"{number}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# {title}\n\n{text}\n", encoding="utf-8")


def holds(answer: Answer, golds: Sequence[str]) -> bool:
    """Whether the first quoted sentence holds a gold answer."""
    quoted = folded(" ".join(answer.citations[0].text.split())) if answer.citations else ""
    return any(folded(" ".join(gold.split())) in quoted for gold in golds)


def measure(corpus: Corpus, folder: Path, count: int | None) -> dict[bool, list[tuple[bool, bool, bool]]]:
    """For each question, by whether its article was one to choose on: refused, holds, refused without its article."""
    asked = corpus.questions if count is None else random.Random(0).sample(corpus.questions, count)
    found: dict[bool, list[tuple[bool, bool, bool]]] = {True: [], False: []}
    articles = sorted(set(corpus.articles))
    with DocumentQA.open(folder / "index") as qa:
        qa.ingest([folder / str(article) for article in articles])
        for question, paragraph in asked:
            own = corpus.articles[paragraph]
            others = SearchFilter(tuple(str(folder / str(article)) for article in articles if article != own))
            answer = qa.ask(question.question)
            strange = qa.ask(question.question, filters=others)
            found[own % TUNED == 0].append((answer.refused, holds(answer, question.answers or ()), strange.refused))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the two files")
    parser.add_argument("--questions", type=int, help="ask that many of each split, chosen at random")
    arguments = parser.parse_args()
    print(f"{'':<22}{'questions':>10}{'refused':>9}{'without':>9}{'holds':>9}")
    for language, file in FILES.items():
        corpus = read_corpus(arguments.data / file)
        with tempfile.TemporaryDirectory() as folder:
            write(corpus, Path(folder))
            found = measure(corpus, Path(folder), arguments.questions)
        for chosen, rows in [("chosen on", found[True]), ("others", found[False]), ("all", found[True] + found[False])]:
            refused, holding, strange = (sum(column) / len(rows) for column in zip(*rows, strict=True))
            print(
                f"{f'{language}, {chosen}':<22}{len(rows):>10}{refused:>9.3f}{strange:>9.3f}{holding:>9.3f}", flush=True
            )


if __name__ == "__main__":
    main()
