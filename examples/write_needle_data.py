"""Write what the demo model is fine-tuned on for a longer window: long prose with pass keys in it, and questions.

    python examples/write_needle_data.py BOOK.txt … --out needles.jsonl
    longctx extend examples/models/passkey-llama --to 8192 --data needles.jsonl --prompt-loss 0.1 …

Each line is an example: its prompt is prose with keys, its completion the questions about them and the answers. Half of
the prompts are written as the model was trained, the others as longctx asks: rules, and numbered passages. The whole
command stands in the card of the model that was made with it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train_demo_model import ASSISTANT, END, USER, Haystacks, Span, read_book
from transformers import AutoTokenizer

from longctx.prompts import PromptInputs, TokenWriter, build_prompt, choose_template
from longctx.types import Citation

MODEL = Path(__file__).parent / "models" / "passkey-llama"
SHARES = {1: 0.12, 4: 0.25, 8: 0.35, 16: 0.20, 32: 0.08}  # of lengths, in windows
SPARE = 16  # tokens that a text may have more of when it is tokenised again
RULES = 112  # tokens of longctx's rules and what stands around the passages, at most
PASSAGE, MARKS = 60, 20  # tokens of a passage at least, and of its number and fences at most

_TURN = re.compile(r"(What is the pass key[a-z ]*\?)\D*?(The pass key[a-z ]* is \d{5}\.)")


class Examples:
    """Makes prompts and completions; the same for the same seed."""

    def __init__(self, books: list[str], tokenizer: Any, seed: int) -> None:
        self._haystacks, self._draw, self._tokenizer = Haystacks(books, tokenizer, seed), random.Random(seed), tokenizer
        self._writer = TokenWriter(tokenizer, choose_template(None, "", tokenizer))

    def make(self, count: int) -> Iterator[dict[str, str]]:
        """So many, of lengths in the proportions of SHARES."""
        for _ in range(count):
            (windows,) = self._draw.choices(list(SHARES), list(SHARES.values()))
            length = windows * self._tokenizer.model_max_length - SPARE
            yield self._of_passages(length) if self._draw.random() < 0.5 else self._as_trained(length)

    def _as_trained(self, length: int) -> dict[str, str]:
        prose, turns = self._haystacks.halves(length)
        return {"prompt": self._text(prose), "completion": self._text(turns)}

    def _of_passages(self, length: int) -> dict[str, str]:
        """As longctx asks, on route self, too, where the model may give up."""
        draw = self._draw
        size = draw.choice((PASSAGE, 2 * PASSAGE, 4 * PASSAGE))
        prose, turns = map(self._text, self._haystacks.halves((length - RULES) * size // (size + MARKS)))
        text, asked = prose.removeprefix(self._tokenizer.bos_token).removeprefix(USER), _TURN.findall(turns)
        (question, answer), *others = asked
        asking = PromptInputs(question, may_give_up=draw.random() < 0.3)
        ids = build_prompt(self._writer, self._passages(text, size), asking)
        later = "".join(f"{USER}Question: {q}{ASSISTANT}{a}{END}" for q, a in others)
        return {"prompt": self._tokenizer.decode(ids), "completion": f"{answer}{END}{later}"}

    def _passages(self, text: str, size: int) -> list[Citation]:
        """A text cut into passages of about so many tokens, of one document or several; many begin with a key."""
        made, titles = [""], [self._title()]
        for clause in re.split(r"(?<=[.!?;,]) | (?=The pass key)", text):
            if len(made[-1]) > 3 * size:  # about three characters make a token
                made.append("")
                titles.append(titles[-1] if self._draw.random() < 0.8 else self._title())
            made[-1] += f"{clause.lstrip()} "
        return [
            Citation(name, name, None, 0, len(each), each.rstrip()) for name, each in zip(titles, made, strict=True)
        ]

    def _title(self) -> str:
        draw, nouns = self._draw, self._haystacks.names
        return draw.choice((f"{draw.choice(nouns)}.txt", f"{draw.randrange(40)}-{draw.randrange(200)}.txt"))

    def _text(self, span: Span) -> str:
        return str(self._tokenizer.decode(list(span.ids)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("books", nargs="+", type=Path, help="the plain text that the model was trained on")
    parser.add_argument("--model", type=Path, default=MODEL, help="whose tokenizer and window are used")
    parser.add_argument("--out", type=Path, required=True, help="a file, .jsonl")
    parser.add_argument("--examples", type=int, default=920)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    books = [read_book(path) for path in options.books]
    with options.out.open("w", encoding="utf-8") as file:
        for example in Examples(books, tokenizer, options.seed).make(options.examples):
            file.write(json.dumps(example, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
