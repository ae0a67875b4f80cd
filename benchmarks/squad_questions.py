"""Questions of XQuAD and JSQuAD with their paragraphs, as `bench_answers.py` asks them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from longctx.evaluation import Question

FILES = {"en": "xquad.en.json", "ja": "jsquad-valid-v1.3.json"}


@dataclass(frozen=True)
class Asked:
    """A question, the number of its paragraph, and the paragraphs that both systems get in part `passages`."""

    question: Question
    paragraph: int
    given: tuple[int, ...] = ()
    answerable: bool = True


@dataclass(frozen=True)
class Corpus:
    """A split: its paragraphs as (title, text), the number of each one's article, and its questions."""

    paragraphs: list[tuple[str, str]]
    articles: list[int]
    questions: list[tuple[Question, int]]


def read_corpus(file: Path) -> Corpus:
    corpus = Corpus([], [], [])
    for article, entry in enumerate(json.loads(file.read_text(encoding="utf-8"))["data"]):
        for paragraph in entry["paragraphs"]:
            title, _, text = paragraph["context"].rpartition(" [SEP] ")
            number = len(corpus.paragraphs)
            for qa in paragraph["qas"]:
                gold = tuple(dict.fromkeys(answer["text"] for answer in qa["answers"]))
                corpus.questions.append((Question(qa["question"], gold, str(number), qa["id"]), number))
            corpus.paragraphs.append((title or entry["title"].replace("_", " "), text))
            corpus.articles.append(article)
    return corpus


def choose(corpus: Corpus, count: int, unanswerable: int, seed: int) -> Iterator[Asked]:
    """The questions, grouped by paragraph; more of them hold the fewer. The unanswerable ones come after."""
    order = list(corpus.questions)
    random.Random(seed).shuffle(order)
    chosen = sorted(order[:count], key=lambda each: each[1])
    for question, paragraph in chosen:
        yield Asked(question, paragraph, given(corpus, paragraph, seed))
    fewer = sorted(order[:unanswerable], key=lambda each: each[1])
    for _, group in groupby(fewer, key=lambda each: each[1]):
        same = list(group)
        others = strangers(corpus, same, seed)
        for question, paragraph in same:
            yield Asked(replace(question, answers=(), source=None), paragraph, others, answerable=False)


def given(corpus: Corpus, paragraph: int, seed: int) -> tuple[int, ...]:
    """A paragraph, two of its article and two of others; the same for every question about it."""
    draw, article = random.Random(f"{seed} {paragraph}"), corpus.articles[paragraph]
    near = [i for i, each in enumerate(corpus.articles) if each == article and i != paragraph]
    near = draw.sample(near, min(2, len(near)))
    far = draw.sample([i for i, each in enumerate(corpus.articles) if each != article], 4 - len(near))
    return (paragraph, *near, *far)


def strangers(corpus: Corpus, questions: Sequence[tuple[Question, int]], seed: int) -> tuple[int, ...]:
    """Five paragraphs of other articles that hold no answer to the questions about a paragraph."""
    paragraph = questions[0][1]
    gold = [answer for question, _ in questions for answer in question.answers or ()]
    allowed = [
        i
        for i, article in enumerate(corpus.articles)
        if article != corpus.articles[paragraph] and not any(answer in corpus.paragraphs[i][1] for answer in gold)
    ]
    return tuple(random.Random(f"{seed} strangers {paragraph}").sample(allowed, 5))
