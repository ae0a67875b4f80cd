"""Retrieval quality beside plain llama-index with the same encoder, in one run.

    python benchmarks/bench_retrieval.py --data ../shared/data [--questions 4442] [--sets Japanese CISI]

The data are JSQuAD's validation split, XQuAD in English, Spanish and Russian, and CISI. Every paragraph of a split is
one document with its title, and a question's own paragraph is the one relevant result. Printed are recall at 1, 5 and
10 and the mean reciprocal rank at 10, of all the questions and of either half of them; for longctx in an index of the
split alone, and, in Japanese and English, in one that holds both. The peers are llama-index's SentenceSplitter and
VectorStoreIndex, its fusion of that with BM25 (by relative scores), and bm25s over whole paragraphs, with the stemmer
and the stop words of the language; both have Japanese in Sudachi's words, without which they find nothing. Of CISI,
whose abstracts are documents with their titles, it prints nDCG at 10.

The peers: pip install -c constraints.txt ".[bench]", or bm25s and llama-index-retrievers-bm25 alone.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import bm25s
import Stemmer
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.retrievers.bm25 import BM25Retriever
from remembering import Remembering
from same_encoder import SameEncoder
from smart_format import read_smart
from squad_questions import Corpus, read_corpus, write_corpus
from sudachipy import Dictionary, SplitMode

from indexes import CorpusIndex, Encoder
from indexes.encoders import load_encoder

FILES = {
    "JSQuAD (Japanese)": "jsquad-valid-v1.3.json",
    "XQuAD (English)": "xquad.en.json",
    "XQuAD (Spanish)": "xquad.es.json",
    "XQuAD (Russian)": "xquad.ru.json",
}
SETS = ["Japanese", "English", "Spanish", "Russian", "CISI"]
TOGETHER = ("JSQuAD (Japanese)", "XQuAD (English)")  # in one index
STEMMERS = {"English": "english", "Spanish": "spanish", "Russian": "russian"}
DEPTH = 10
Retriever = Callable[[str], list[str]]  # a question to document names, best first
Questions = list[tuple[str, int]]  # each with the number of its paragraph


def longctx_retriever(index: CorpusIndex, mode: str, corpus: Path) -> Retriever:
    """Paragraphs by number; those of another corpus in the same index keep their places in the ranking."""

    def retrieve(question: str) -> list[str]:
        sources = [Path(hit.chunk.source) for hit in index.search(question, 3 * DEPTH, mode)]
        return [source.stem if source.parent == corpus else str(source) for source in sources]

    return retrieve


def spaced(text: str, language: str) -> str:
    """Japanese in words between spaces, for peers whose tokenizers know no others."""
    return " ".join(part.surface() for part in _sudachi().tokenize(text)) if language == "Japanese" else text


@cache
def _sudachi() -> Any:
    return Dictionary(dict="core").tokenizer(mode=SplitMode.A)


def peers(split: Corpus, language: str, encoder: Encoder) -> dict[str, Retriever]:
    documents = [
        Document(text=spaced(text, language), metadata={"title": spaced(title, language)}, id_=str(number))
        for number, (title, text) in enumerate(split.paragraphs)
    ]
    nodes = SentenceSplitter()(documents)
    vectors = VectorStoreIndex(nodes, embed_model=SameEncoder(encoder)).as_retriever(similarity_top_k=3 * DEPTH)
    stemmer, stop_words = Stemmer.Stemmer(STEMMERS.get(language, "english")), STEMMERS.get(language, [])
    words = BM25Retriever(nodes, stemmer, stop_words, similarity_top_k=3 * DEPTH)
    fusion = QueryFusionRetriever(
        [vectors, words], MockLLM(), mode="relative_score", similarity_top_k=3 * DEPTH, num_queries=1, use_async=False
    )

    def retriever(own: Any) -> Retriever:
        return lambda question: [found.node.ref_doc_id for found in own.retrieve(spaced(question, language))]

    texts = [f"{document.metadata['title']}\n{document.text}" for document in documents]
    return {
        "llama-index": retriever(vectors),
        "llama-index, fusion": retriever(fusion),
        "bm25s": bm25s_retriever(texts, language, stemmer),
    }


def bm25s_retriever(texts: list[str], language: str, stemmer: Any) -> Retriever:
    tokenizer = bm25s.tokenization.Tokenizer(stemmer=stemmer, stopwords=STEMMERS.get(language, []))
    model = bm25s.BM25()
    model.index(tokenizer.tokenize(texts, show_progress=False), show_progress=False)

    def retrieve(question: str) -> list[str]:
        asked = tokenizer.tokenize([spaced(question, language)], update_vocab=False, show_progress=False)
        found, _ = model.retrieve(asked, k=3 * DEPTH, show_progress=False)
        return [str(number) for number in found[0]]

    return retrieve


def score(retriever: Retriever, questions: Questions) -> str:
    ranks = []
    for question, paragraph in questions:
        documents = list(dict.fromkeys(retriever(question)))[:DEPTH]
        ranks.append(documents.index(str(paragraph)) + 1 if str(paragraph) in documents else None)
    return "  |".join(_figures(part) for part in (ranks, ranks[::2], ranks[1::2]))


def _figures(ranks: list[int | None]) -> str:
    recalls = [sum(rank is not None and rank <= k for rank in ranks) / len(ranks) for k in (1, 5, 10)]
    mrr = sum(1 / rank for rank in ranks if rank) / len(ranks)
    return "".join(f"{value:>8.4f}" for value in (*recalls, mrr))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the two files")
    parser.add_argument("--questions", type=int, help="ask that many of each split, chosen at random")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, help="ask those of these sets alone")
    arguments = parser.parse_args()
    missing = [name for name in FILES.values() if not (arguments.data / name).is_file()]
    if missing:
        sys.exit(f"{arguments.data} lacks {' and '.join(missing)}")
    encoder = Remembering(load_encoder())
    with tempfile.TemporaryDirectory() as folder, CorpusIndex.open(Path(folder) / "both", encoder) as both:
        corpora = {name: (read_corpus(arguments.data / file), Path(folder) / file) for name, file in FILES.items()}
        for split, corpus in corpora.values():
            write_corpus(split, corpus)
        asked = {name: corpora[name] for name in corpora if language_of(name) in arguments.sets}
        if asked.keys() & set(TOGETHER):
            both.ingest([corpora[name][1] for name in TOGETHER])
        for name, (split, corpus) in asked.items():
            count = min(arguments.questions or len(split.questions), len(split.questions))
            drawn = random.Random(0).sample(split.questions, count)
            questions = [(question.question, paragraph) for question, paragraph in drawn]
            report(name, split, corpus, questions, both if name in TOGETHER else None, encoder)
        if "CISI" in arguments.sets:
            report_cisi(arguments.data / "cisi", Path(folder) / "cisi", encoder)


def language_of(name: str) -> str:
    return name.partition("(")[2].rstrip(")")


def report_cisi(data: Path, corpus: Path, encoder: Encoder) -> None:
    corpus.mkdir()
    for number, text in read_smart(data / "CISI.ALL").items():
        title, _, body = text.partition("\n")
        (corpus / f"{number}.md").write_text(f"{title}\n\n{body}", encoding="utf-8")
    queries, relevant = read_smart(data / "CISI.QRY"), dict[str, set[str]]()
    for line in (data / "CISI.REL").read_text(encoding="latin-1").splitlines():
        query, document = line.split()[:2]
        relevant.setdefault(query, set()).add(document)
    print(f"\nCISI (English): {len(relevant)} queries, nDCG@10")
    with CorpusIndex.open(f"{corpus}.index", encoder) as index:
        index.ingest([corpus])
        for mode in ("hybrid", "lexical", "dense"):
            retriever = longctx_retriever(index, mode, corpus)
            gains = [_ndcg(retriever(queries[query].lstrip("# ")), found) for query, found in relevant.items()]
            print(f"{f'longctx, {mode}':<24}{sum(gains) / len(gains):>8.4f}", flush=True)


def _ndcg(found: list[str], relevant: set[str]) -> float:
    """The discounted gain of the first ten documents, as a share of the best that could be."""
    weights = [1 / math.log2(rank + 2) for rank in range(DEPTH)]
    gain = sum(w for w, document in zip(weights, list(dict.fromkeys(found)), strict=False) if document in relevant)
    return gain / sum(weights[: len(relevant)])


def report(
    name: str, split: Corpus, corpus: Path, questions: Questions, both: CorpusIndex | None, encoder: Encoder
) -> None:
    print(f"\n{name}: {len(questions)} questions, {len(split.paragraphs)} paragraphs")
    print(f"{'':<24}{'R@1':>8}{'R@5':>8}{'R@10':>8}{'MRR@10':>8}  | the same, one half  | the other half")
    with CorpusIndex.open(f"{corpus}.index", encoder) as own:
        own.ingest([corpus])
        for mode in ("hybrid", "lexical", "dense"):
            print(f"{f'longctx, {mode}':<24}{score(longctx_retriever(own, mode, corpus), questions)}", flush=True)
    if both is not None:
        print(
            f"{'longctx, both languages':<24}{score(longctx_retriever(both, 'hybrid', corpus), questions)}", flush=True
        )
    for label, retriever in peers(split, language_of(name), encoder).items():
        print(f"{label:<24}{score(retriever, questions)}", flush=True)


if __name__ == "__main__":
    main()
