"""Answers without a model: is the right sentence quoted, and is "nothing bears on it" said where that is so.

    python benchmarks/bench_quotes.py --data ../shared/data [--questions 400] [--languages en ja] [--rows FILE]

Of XQuAD English and JSQuAD, each paragraph is one document. Every question is asked of the whole split, and of the
split without the question's article. Printed are, for the articles on which the thresholds were chosen (one in three)
and for the others: the share of questions refused with the article and without it, and the share of all questions whose
first quoted sentence holds a gold answer (compared in NFKC, case-folded). `--rows FILE` keeps what was found, a line
for each question; questions in it are not asked again, so that a long run can be divided, and goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from remembering import Remembering
from squad_questions import FILES, TUNED, Corpus, read_corpus

from indexes import Encoder, SearchFilter
from indexes.encoders import load_encoder
from indexes.search import evidence as search_evidence
from indexes.text import folded
from longctx import Answer, DocumentQA
from longctx.answering import evidence, quotable

# A passage is found by many questions. Only what is quoted is measured, so each text is analysed and encoded once.
ANALYSED = [(quotable, "terms"), (evidence, "content_terms"), (search_evidence, "surface_terms")]


class RememberingPassages(Remembering):
    """An encoder that encodes no passage twice, either."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self._known: dict[str, Any] = {}

    def encode_passages(self, texts: Sequence[str]) -> Any:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._encoder.encode_passages(new), strict=True))
        return np.stack([self._known[text] for text in texts])


def write(corpus: Corpus, folder: Path) -> None:
    for number, ((title, text), article) in enumerate(zip(corpus.paragraphs, corpus.articles, strict=True)):
        file = folder / str(article) / f"{number}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# {title}\n\n{text}\n", encoding="utf-8")


def holds(answer: Answer, golds: Sequence[str]) -> bool:
    """Whether the first quoted sentence holds a gold answer."""
    quoted = folded(" ".join(answer.citations[0].text.split())) if answer.citations else ""
    return any(folded(" ".join(gold.split())) in quoted for gold in golds)


def measure(corpus: Corpus, folder: Path, count: int | None, done: set[str]) -> Iterator[dict[str, Any]]:
    """For each question: whether its article was one to choose on, refused, holds, refused without its article."""
    asked = corpus.questions if count is None else random.Random(0).sample(corpus.questions, count)
    articles = sorted(set(corpus.articles))
    with DocumentQA.open(folder / "index", encoder=RememberingPassages(load_encoder())) as qa:
        qa.ingest([folder / str(article) for article in articles])
        for question, paragraph in asked:
            if question.id in done:
                continue
            own = corpus.articles[paragraph]
            others = SearchFilter(tuple(str(folder / str(article)) for article in articles if article != own))
            answer = qa.ask(question.question)
            strange = qa.ask(question.question, filters=others)
            holding = holds(answer, question.answers or ())
            found = {"refused": answer.refused, "without": strange.refused, "holds": holding}
            yield {"id": question.id, "chosen on": own % TUNED == 0, **found}


def read_rows(file: Path | None, language: str) -> list[dict[str, Any]]:
    lines = file.read_text(encoding="utf-8").splitlines() if file is not None and file.exists() else []
    return [row for row in map(json.loads, lines) if row["language"] == language]


def report(language: str, rows: Sequence[dict[str, Any]]) -> None:
    chosen, others = ([row for row in rows if row["chosen on"] is on] for on in (True, False))
    for label, part in (("chosen on", chosen), ("others", others), ("all", rows)):
        shares = [sum(row[name] for row in part) / len(part) for name in ("refused", "without", "holds")]
        print(
            f"{f'{language}, {label}':<22}{len(part):>10}" + "".join(f"{share:>9.3f}" for share in shares), flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the two files")
    parser.add_argument("--questions", type=int, help="ask that many of each split, chosen at random")
    parser.add_argument(
        "--languages", nargs="+", choices=FILES, default=list(FILES), help="ask in these languages alone"
    )
    parser.add_argument("--rows", type=Path, help="a file to which the results are added, question by question")
    arguments = parser.parse_args()
    for module, name in ANALYSED:
        setattr(module, name, lru_cache(maxsize=None)(getattr(module, name)))
    print(f"{'':<22}{'questions':>10}{'refused':>9}{'without':>9}{'holds':>9}")
    for language in arguments.languages:
        corpus = read_corpus(arguments.data / FILES[language])
        rows = read_rows(arguments.rows, language)
        with tempfile.TemporaryDirectory() as folder:
            write(corpus, Path(folder))
            done = {row["id"] for row in rows}
            for row in measure(corpus, Path(folder), arguments.questions, done):
                rows.append({"language": language, **row})
                if arguments.rows is not None:
                    with arguments.rows.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(rows[-1]) + "\n")
        report(language, rows)


if __name__ == "__main__":
    main()
