"""How many passages go into a prompt, and how often the right one is among them, by the cutoff of scores.

    python benchmarks/bench_score_cutoff.py --data ../shared/data [--languages en,ja] [--questions 600]

Every paragraph of XQuAD English and of JSQuAD is a document. A question's eight best passages are found, and those are
kept that score at least a share of the best one's score (`score_cutoff`); its own paragraph is the right one.
Articles from which the cutoff was chosen (every third) are printed apart. `bench_long_documents.py` prints the same for
long documents, and `bench_answers.py --part end-to-end` what becomes of the answers.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from squad_questions import FILES, TUNED, read_corpus, write_corpus

from indexes import CorpusIndex, SearchHit
from indexes.encoders import load_encoder

K = 8
CUTOFFS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
Found = tuple[Sequence[SearchHit], int]  # the hits of a question, and the rank of the right one


def report_cutoffs(found: Sequence[Found]) -> None:
    """Print what each cutoff keeps of the hits, and the share of the questions whose right hit is kept."""
    print("| cutoff | passages | right one among them |\n| ---: | ---: | ---: |")
    for cutoff in CUTOFFS:
        kept = [sum(hit.score >= cutoff * hits[0].score for hit in hits) for hits, _ in found]
        right = sum(rank <= count for count, (_, rank) in zip(kept, found, strict=True))
        print(f"| {cutoff:g} | {sum(kept) / len(found):.2f} | {right / len(found):.4f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the two files")
    parser.add_argument("--languages", default="en,ja")
    parser.add_argument("--questions", type=int, help="ask that many of each part, chosen at random")
    options = parser.parse_args()
    encoder = load_encoder()
    for language in options.languages.split(","):
        corpus = read_corpus(options.data / FILES[language])
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "corpus"
            write_corpus(corpus, folder)
            with CorpusIndex.open(Path(temporary) / "index", encoder) as index:
                index.ingest(folder)
                for label, tuned in (("articles not used for the cutoff", False), ("every third article", True)):
                    asked = [each for each in corpus.questions if (corpus.articles[each[1]] % TUNED == 0) == tuned]
                    asked = random.Random(0).sample(asked, min(len(asked), options.questions or len(asked)))
                    print(f"\n{language}, {label}: {len(asked)} questions")
                    report_cutoffs([(hits := index.search(q.question, K), _rank(hits, own)) for q, own in asked])


def _rank(hits: Sequence[SearchHit], paragraph: int) -> int:
    names = [Path(hit.chunk.source).stem for hit in hits]
    return names.index(str(paragraph)) + 1 if str(paragraph) in names else K + 1


if __name__ == "__main__":
    main()
