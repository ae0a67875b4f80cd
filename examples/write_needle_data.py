"""Write what the demo model is fine-tuned on for a longer window: long prose with pass keys in it, and questions.

    python examples/write_needle_data.py BOOK.txt … --out needles.jsonl
    longctx extend examples/models/passkey-llama --to 8192 --data needles.jsonl --prompt-loss 0.1 …

Each line is an example: its prompt is prose with keys, its completion the questions about them and the answers. The
whole command stands in the card of the model that was made with it.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train_demo_model import Haystacks, Span, read_book
from transformers import AutoTokenizer

MODEL = Path(__file__).parent / "models" / "passkey-llama"
SHARES = {1: 0.12, 4: 0.25, 8: 0.35, 16: 0.20, 32: 0.08}  # of lengths, in windows
SPARE = 16  # tokens that a text may have more of when it is tokenised again


def examples(books: list[str], tokenizer: Any, count: int, seed: int) -> Iterator[dict[str, str]]:
    """Prompts and completions, of lengths in the proportions of SHARES."""
    haystacks, draw = Haystacks(books, tokenizer, seed), random.Random(seed)
    for _ in range(count):
        (windows,) = draw.choices(list(SHARES), list(SHARES.values()))
        prose, turns = haystacks.halves(windows * tokenizer.model_max_length - SPARE)
        yield {"prompt": text(tokenizer, prose), "completion": text(tokenizer, turns)}


def text(tokenizer: Any, span: Span) -> str:
    return str(tokenizer.decode(list(span.ids)))


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
        for example in examples(books, tokenizer, options.examples, options.seed):
            file.write(json.dumps(example, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
