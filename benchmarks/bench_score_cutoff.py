"""How many passages go into a prompt for one fact, and how often the right ones are among them, by the cutoff.

    python benchmarks/bench_score_cutoff.py --data ../shared/data [--languages en,ja] [--questions 300]

Every paragraph of XQuAD English and of JSQuAD is a document. A question's eight best passages are found, and those are
kept that score at least a share of the best one's score (`AskOptions.score_cutoff`), or that hold what no better one
does of the question; its own paragraph is the right one. Two questions in one, of two paragraphs, need both. Articles
from which the rule was chosen (every third) are printed apart. `bench_long_documents.py` prints the same for long
documents, and `bench_answers.py --part end-to-end` what becomes of the answers.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from squad_questions import FILES, TUNED, Corpus, read_corpus, write_corpus

from indexes import CorpusIndex, SearchHit, Snapshot
from indexes.encoders import load_encoder
from longctx.answering.evidence import standing_out
from longctx.evaluation import Question

K = 8  # passages that are found
CUTOFFS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


class Found(NamedTuple):
    """What was found for a question.

    Attributes:
        hits: The passages, best first.
        idf: The inverse document frequency of each content term of the question.
        right: The places of the hits that it needs, from 0; K for one that was not found.
    """

    hits: Sequence[SearchHit]
    idf: dict[str, float]
    right: set[int]

    def kept(self, cutoff: float) -> set[int]:
        """The places of the hits that go into its prompt."""
        return {place for place, kept in enumerate(standing_out(self.idf, self.hits, cutoff)) if kept}


def report_cutoffs(found: Sequence[Found]) -> None:
    """Print what each cutoff keeps of the hits, and the share of the questions whose right hits are kept."""
    print("| cutoff | passages | right ones among them |\n| ---: | ---: | ---: |")
    for cutoff in CUTOFFS:
        kept = [each.kept(cutoff) for each in found]
        right = sum(each.right <= places for each, places in zip(found, kept, strict=True))
        print(f"| {cutoff:g} | {sum(map(len, kept)) / len(found):.2f} | {right / len(found):.4f} |", flush=True)


def find(snapshot: Snapshot, text: str, paragraphs: Sequence[int]) -> Found:
    """Search for a question that needs some paragraphs."""
    hits = snapshot.search(text, K)
    names = [Path(hit.chunk.source).stem for hit in hits]
    right = {names.index(str(each)) if str(each) in names else K for each in paragraphs}
    return Found(hits, snapshot.content_idf(text), right)


def asked(corpus: Corpus, count: int, *, tuned: bool) -> tuple[list[tuple[Question, int]], list[tuple[Question, int]]]:
    """Questions of some articles, and others to put behind them, of other paragraphs."""
    draw = random.Random(0)
    every = [each for each in corpus.questions if (corpus.articles[each[1]] % TUNED == 0) == tuned]
    first = draw.sample(every, min(count, len(every)))
    return first, [draw.choice([each for each in every if each[1] != own]) for _, own in first]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the two files")
    parser.add_argument("--languages", default="en,ja")
    parser.add_argument("--questions", type=int, default=300, help="ask that many of each part, chosen at random")
    options = parser.parse_args()
    encoder = load_encoder()
    for language in options.languages.split(","):
        corpus = read_corpus(options.data / FILES[language])
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "corpus"
            write_corpus(corpus, folder)
            with CorpusIndex.open(Path(temporary) / "index", encoder) as index:
                index.ingest(folder)
                with index.snapshot() as snapshot:
                    for label, tuned in (("articles not used for the rule", False), ("every third article", True)):
                        first, second = asked(corpus, options.questions, tuned=tuned)
                        print(f"\n{language}, {label}: {len(first)} questions")
                        report_cutoffs([find(snapshot, each.question, [own]) for each, own in first])
                        print(f"{language}, {label}: {len(first)} times two questions in one")
                        between = " " if language == "en" else ""
                        pairs = zip(first, second, strict=True)
                        report_cutoffs(
                            [find(snapshot, f"{a.question}{between}{b.question}", [m, n]) for (a, m), (b, n) in pairs]
                        )


if __name__ == "__main__":
    main()
