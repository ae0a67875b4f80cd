"""How soon the second question of a conversation is answered, and how well, with the passages of the last prompt first.

    python benchmarks/bench_second_question.py --data ../shared/data --model path/to/model --out second.jsonl

The articles of XQuAD, or JSQuAD, are indexed. Each conversation asks two questions about one article, of different
paragraphs, of whose first eight passages at least half are the same, and both prompts hold passages (route retrieval).
The second question is answered three times, in one run, each time with the first prompt alone in the prefix cache:

- read anew: the prefix cache is emptied before it, which is as if nothing had been kept;
- document order: what both prompts begin with is reused (`Policy(keep_order=False)`);
- last prompt's order: the passages of the first prompt come first and in their order.

An answer is right if it holds a gold answer, a mark if the passage that it names does. Answers are written to `--out`
as they come; the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from intervals import interval
from squad_questions import FILES, Corpus, read_corpus

from indexes import CorpusIndex, Document
from longctx import Answer, Conversation, DocumentQA, Engine, Policy, load_model
from longctx.evaluation import Question, answer_held

WAYS = {"read anew": False, "document order": False, "last prompt's order": True}
K = 8  # passages that a search finds, as `longctx ask` does
HALF = 0.5  # of them that both questions share, at least
TRIALS = 30  # pairs of an article that are drawn for one that fits
FIRST = 8  # tokens of the first answer


def articles(corpus: Corpus) -> Iterator[Document]:
    numbered = zip(corpus.articles, corpus.paragraphs, strict=True)
    for article, paragraphs in groupby(numbered, key=lambda each: each[0]):
        texts = [(title, text) for _, (title, text) in paragraphs]
        yield Document(f"{article}.txt", "\n\n".join(text for _, text in texts), texts[0][0])


def pairs(corpus: Corpus, index: CorpusIndex, count: int, seed: int) -> list[tuple[Question, Question]]:
    """Two questions about two paragraphs of an article, as many articles as there are before one comes again."""
    draw, asked = random.Random(seed), dict[int, list[tuple[Question, int]]]()
    for question, paragraph in corpus.questions:
        asked.setdefault(corpus.articles[paragraph], []).append((question, paragraph))
    made, order, found = list[tuple[Question, Question]](), list(asked), dict[str, set[int]]()
    draw.shuffle(order)

    def passages(question: Question) -> set[int]:
        if question.question not in found:
            found[question.question] = {hit.chunk.id for hit in index.search(question.question, K)}
        return found[question.question]

    while len(made) < count:
        for article in order:
            for _ in range(TRIALS):
                (first, place), (second, other) = draw.sample(asked[article], 2)
                if place != other and len(passages(first) & passages(second)) >= HALF * K:
                    made.append((first, second))
                    break
    return made[:count]


def figures(answer: Answer, first: Answer, question: Question) -> dict[str, Any]:
    gold, before = question.answers or (), {(each.source, each.start) for each in first.passages}
    return {
        "seconds": answer.usage.first_token_seconds,
        "prompt": answer.usage.prompt_tokens,
        "reused": answer.usage.reused_tokens,
        "common": statistics.mean((each.source, each.start) in before for each in answer.passages),
        "held": answer_held(answer.text, gold),
        "marks": [answer_held(each.text, gold) for each in answer.citations],
        "text": answer.text,
    }


def ask_twice(qa: DocumentQA, way: str, asked: tuple[Question, Question], folder: Path, options: Any) -> dict[str, Any]:
    limits = {"route": "retrieval", "prompt_tokens": options.prompt_tokens}
    with Conversation.open(qa, f"{way.split()[0]} {random.random()}", folder=folder) as conversation:
        first = conversation.ask(asked[0].question, max_new_tokens=FIRST, **limits)
        with first_prompt_alone(qa._model, way):
            second = conversation.ask(asked[1].question, max_new_tokens=options.new_tokens, **limits)
        return figures(second, first, asked[1])


@contextmanager
def first_prompt_alone(engine: Engine, way: str) -> Iterator[None]:
    """Begin with the first prompt in the prefix cache, or with nothing; leave the first prompt there."""
    first = [replace(held, cache=held.cache.head(len(held.ids))) for held in engine.pool._held]
    if way == "read anew":
        engine.forget()
    yield
    engine.forget()
    for held in first:
        engine.pool.put(held)


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    heads = ["", "seconds to the first token", "sooner", "reused, %", "prompt, tokens", "right", "marks right"]
    yield f"| {' | '.join(heads)} |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for way in [each for each in WAYS if all(each in row for row in rows)]:
        column = [row[way] for row in rows]
        ratio = statistics.median(row["document order"]["seconds"] / row[way]["seconds"] for row in rows)
        reused = sum(each["reused"] for each in column) / sum(each["prompt"] for each in column)
        marks = [mark for each in column for mark in each["marks"]]
        yield (
            f"| {way} | {statistics.median(each['seconds'] for each in column):.2f} | {ratio:.2f} × | "
            f"{100 * reused:.0f} | {statistics.mean(each['prompt'] for each in column):.0f} | "
            f"{interval(sum(each['held'] for each in column), len(column))} of {len(column)} | "
            f"{sum(marks)} of {len(marks)} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the files of XQuAD and JSQuAD")
    parser.add_argument("--model", required=True, help="folder of a transformers model")
    parser.add_argument("--out", type=Path, required=True, help="file for the answers")
    parser.add_argument("--language", choices=FILES, default="en")
    parser.add_argument("--count", type=int, default=40, help="conversations")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--prompt-tokens", type=int, default=1500)
    parser.add_argument("--new-tokens", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    corpus, engine = read_corpus(options.data / FILES[options.language]), Engine(load_model(options.model, packed=True))
    rows = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    engine.reading_speed()  # which is not of the first question
    with tempfile.TemporaryDirectory() as place, CorpusIndex.open(Path(place) / "index") as index:
        index.add(articles(corpus))
        asking = {way: DocumentQA(index, engine, policy=Policy(keep_order=WAYS[way])) for way in options.ways}
        for asked in pairs(corpus, index, options.count, options.seed)[len(rows) :]:
            engine.forget()
            row = {way: ask_twice(qa, way, asked, Path(place), options) for way, qa in asking.items()}
            rows.append({"first": asked[0].question, "question": asked[1].question, "gold": asked[1].answers, **row})
            with options.out.open("a", encoding="utf-8") as out:
                out.write(json.dumps(rows[-1], ensure_ascii=False) + "\n")
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
