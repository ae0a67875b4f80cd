"""What a conversation remembers: a fact from turn 3, asked for after 200 turns, in a window that holds a handful.

    python benchmarks/bench_conversation.py --text ../shared/data/books/news-from-nowhere.txt

Each conversation has another key and other turns. A turn is a sentence of the book and another for its answer; turn 3
tells the pass key. The answers of the turns are given, the last question is answered by the demo model: by longctx,
and by longctx without recall, which keeps the turns that were said last. Both read the same conversation, in one run;
first with no documents, then with passages of the book competing for the room.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from intervals import interval

from longctx import Answer, AskOptions, Conversation, DocumentQA, Engine, Message, QuestionRequest, load_model

MODEL = Path(__file__).parents[1] / "examples" / "models" / "passkey-llama"
QUESTION = "What is the pass key?"
NEW_TOKENS = 16
WORDS = (6, 14)  # of a sentence


@dataclass
class Column:
    """What one way of remembering gave."""

    right: int = 0
    seconds: list[float] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)

    def add(self, answer: Answer, seconds: float, key: str) -> None:
        self.right += key in answer.text
        self.seconds.append(seconds)
        self.turns.append(len(answer.plan.turns))
        self.tokens.append(answer.usage.prompt_tokens)

    def row(self, name: str) -> str:
        median = statistics.median
        return (
            f"| {name} | {interval(self.right, len(self.seconds))} of {len(self.seconds)} | {median(self.turns):.0f} | "
            f"{median(self.tokens):.0f} | {median(self.seconds):.2f} |"
        )


def sentences(text: str) -> list[str]:
    found = (" ".join(sentence.split()) for sentence in re.findall(r"[A-Z][^.!?\"]+[.!?]", text))
    return [sentence for sentence in found if WORDS[0] <= len(sentence.split()) <= WORDS[1]]


def conversation_of(said: list[str], turns: int, fact_at: int, seed: int) -> tuple[list[tuple[str, str]], str]:
    """So many turns, and the key that one of them tells."""
    draw = random.Random(seed)
    pairs = [(draw.choice(said), draw.choice(said)) for _ in range(turns)]
    key = f"{draw.randrange(10**5):05d}"
    pairs[fact_at - 1] = (f"The pass key is {key}.", pairs[fact_at - 1][1])
    return pairs, key


def ask(asking: Callable[..., Answer], question: str, **options: object) -> tuple[Answer, float]:
    began = time.perf_counter()
    answer = asking(question, max_new_tokens=NEW_TOKENS, **options)
    return answer, time.perf_counter() - began


def with_history(qa: DocumentQA, history: tuple[Message, ...], question: str, **options: object) -> Answer:
    """Answer a question with the last turns that fit, without a search among the others."""
    return qa.run(QuestionRequest(question, AskOptions().updated(**options), history=history)).answer


def measure(qa: DocumentQA, said: list[str], options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """A row for each way. The first question has all turns embedded; the one after it, two."""
    ours, cut, later = Column(), Column(), list[float]()
    for seed in range(options.conversations):
        pairs, key = conversation_of(said, options.turns, options.fact_at, seed)
        with Conversation.open(qa, f"conversation {seed}", folder=folder) as conversation:
            for question, answer in pairs:
                conversation.record(question, answer)
            ours.add(*ask(conversation.ask, QUESTION), key)
            conversation.record(*pairs[0])
            later.append(ask(conversation.ask, said[seed])[1])
        history = [message for q, a in pairs for message in (Message("user", q), Message("assistant", a))]
        cut.add(*ask(partial(with_history, qa, tuple(history)), QUESTION), key)
    yield f"{ours.row('recalled')} {statistics.median(later):.2f} |"
    yield f"{cut.row('cut to the last turns')} – |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="prose that the model was not trained on")
    parser.add_argument("--conversations", type=int, default=50)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--fact-at", type=int, default=3)
    parser.add_argument("--documents", type=int, default=60_000, help="characters of the text that are indexed")
    options = parser.parse_args()
    text = options.text.read_text(encoding="utf-8")
    said, engine = sentences(text), Engine(load_model(MODEL))
    print(
        f"{options.turns} turns, the fact in turn {options.fact_at}, a window of {engine.loaded.native_window} tokens"
    )
    print("| | found | turns in the prompt | tokens | seconds | seconds, next question |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "book.txt").write_text(text[: options.documents], encoding="utf-8")
        for name in ("no documents", "passages of a book"):
            with DocumentQA.open(folder / name) as opened:
                if name != "no documents":
                    opened.ingest(folder / "book.txt", chunk_tokens=32)
                for row in measure(DocumentQA(opened.index, engine), said, options, folder / f"{name} sessions"):
                    print(row.replace("| ", f"| {name}: ", 1), flush=True)


if __name__ == "__main__":
    main()
