"""Questions of XQuAD and JSQuAD with their paragraphs, and the choice of those that `bench_answers.py` asks."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from longctx.evaluation import Question

TUNED = 3  # one article in so many
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


def write_corpus(corpus: Corpus, folder: Path) -> None:
    """A file for each paragraph, by its number, with the title as a heading."""
    folder.mkdir(parents=True)
    for number, (title, text) in enumerate(corpus.paragraphs):
        (folder / f"{number}.md").write_text(f"# {title}\n\n{text}\n", encoding="utf-8")


def choose(corpus: Corpus, count: int, unanswerable: int, seed: int) -> Iterator[Asked]:
    """The questions, paragraph by paragraph: all of a paragraph's, and questions that its passages do not answer.

    Paragraphs are drawn until there are enough questions; those of every third article were used to write the prompts
    and are left out. A server that caches prompts then reads the passages once for all the questions about them.
    """
    draw = random.Random(seed)
    paragraphs = [number for number, article in enumerate(corpus.articles) if article % TUNED]
    draw.shuffle(paragraphs)
    of = {number: [each for each, own in corpus.questions if own == number] for number in paragraphs}
    drawn: list[int] = []
    while paragraphs and sum(len(of[number]) for number in drawn) < count:
        drawn.append(paragraphs.pop())
    left = count
    for place, paragraph in enumerate(drawn):
        passages = given(corpus, paragraph, seed)
        for question in of[paragraph][:left]:
            yield Asked(question, paragraph, passages)
        left -= len(of[paragraph][:left])
        for _ in range(unanswerable * place // len(drawn), unanswerable * (place + 1) // len(drawn)):
            yield Asked(stranger(corpus, passages, draw), paragraph, passages, answerable=False)


def stranger(corpus: Corpus, passages: Sequence[int], draw: random.Random) -> Question:
    """A question of another article, whose answer none of the passages holds."""
    articles = {corpus.articles[number] for number in passages}
    while True:
        question, paragraph = draw.choice(corpus.questions)
        texts = [corpus.paragraphs[number][1] for number in passages]
        if corpus.articles[paragraph] not in articles and not any(
            answer in text for answer in question.answers or () for text in texts
        ):
            return replace(question, answers=(), source=None)


def given(corpus: Corpus, paragraph: int, seed: int) -> tuple[int, ...]:
    """A paragraph, two of its article and two of others; the same for every question about it."""
    draw, article = random.Random(f"{seed} {paragraph}"), corpus.articles[paragraph]
    near = [i for i, each in enumerate(corpus.articles) if each == article and i != paragraph]
    near = draw.sample(near, min(2, len(near)))
    far = draw.sample([i for i, each in enumerate(corpus.articles) if each != article], 4 - len(near))
    return (paragraph, *near, *far)
