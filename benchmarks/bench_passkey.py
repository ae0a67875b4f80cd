"""How far each RoPE method carries the demo model: pass keys that it finds, and perplexity, against length.

    python benchmarks/bench_passkey.py MODEL --text ../shared/data/books/news-from-nowhere.txt --trials 200
    python benchmarks/bench_passkey.py MODEL --text … --perplexity

Answers are generated, greedily, and right if they hold the key; every method reads the same texts. A factor is the
length over the native window, and the scaling's factor too, unless `--fixed` names one for all lengths. The text
should be one that the model was not trained on.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache

from longctx import Engine, GenerationOptions, LoadedModel, load_model
from rope_scaling import RopeScaling, read_base, scaled_rope

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from train_demo_model import question, read_book, statement

# fmt: off
NAMES = [
    "bakery", "bridge", "castle", "cellar", "chapel", "factory", "forest", "garden", "harbour", "hospital", "island",
    "kitchen", "library", "market", "museum", "palace", "prison", "school", "stable", "station", "theatre", "tower",
    "village",
]
# fmt: on
ROOM = 24  # tokens that an answer may take
AT_ONCE = 65_536  # tokens of a batch
METHODS = ("none", "linear", "ntk", "dynamic_ntk", "yarn", "dynamic_yarn")


@dataclass(frozen=True)
class Trial:
    """A prompt, the key that is asked for, and the keys that are not."""

    ids: list[int]
    key: str
    others: list[str]


class Haystacks:
    """Makes prompts of exact lengths from a text."""

    def __init__(self, tokenizer: Any, text: str) -> None:
        self.tokenizer = tokenizer
        self.tokens = self._encode(text)
        pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        self._starts_word = [piece.startswith(("Ġ", "Ċ")) for piece in pieces]

    def trial(self, length: int, depth: float, needles: int, seed: int) -> Trial:
        """`length` tokens with the answer's: prose with the key at `depth` (0 to 1), and other keys anywhere."""
        draw = random.Random(seed)
        names = draw.sample(NAMES, needles) if needles > 1 else [None]
        keys = [f"{draw.randrange(10**5):05d}" for _ in names]
        head, tail = self._encode("<s><|user|>"), self._encode(f"\n\n{question(names[0])}<|assistant|>")
        said = [self._encode(f" {statement(name)} {key}.") for name, key in zip(names, keys, strict=True)]
        room = length - ROOM - len(head) - len(tail) - sum(map(len, said))
        start = draw.randrange(len(self.tokens) - room)
        prose = self.tokens[start : start + room]
        depths = [depth, *(draw.random() for _ in keys[1:])]
        ids, last = head, 0
        for at, needle in sorted(zip((self._cut(prose, d) for d in depths), said, strict=True)):
            ids, last = ids + prose[last:at] + needle, at
        return Trial(ids + prose[last:] + tail, keys[0], keys[1:])

    def windows(self, length: int, count: int) -> torch.Tensor:
        """`count` windows (count, length) that end at the same places of the text, whatever the length."""
        ends = [AT_ONCE // 8 + (len(self.tokens) - AT_ONCE // 8) * i // count for i in range(1, count + 1)]
        return torch.tensor([[self.tokenizer.bos_token_id, *self.tokens[end - length + 1 : end]] for end in ends])

    def _cut(self, prose: list[int], depth: float) -> int:
        """The place between two words that is nearest to a depth."""
        at = round(depth * len(prose))
        return min((i for i, token in enumerate(prose) if self._starts_word[token]), key=lambda i: abs(i - at))

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def scaling_for(method: str, factor: int, native: int) -> RopeScaling | None:
    if method == "none" or (factor == 1 and method != "fixed"):
        return None
    if method.startswith("dynamic"):
        return RopeScaling(method=method, original_max_position_embeddings=native)
    return RopeScaling(method=method, factor=float(factor), original_max_position_embeddings=native)


def scaled(model: Any, scaling: RopeScaling | None, length: int) -> AbstractContextManager[Any]:
    return scaled_rope(model, scaling, length) if scaling else nullcontext()


@torch.no_grad()
def generate(model: Any, ids: torch.Tensor, end: int) -> torch.Tensor:
    """Greedy answers (rows, at most ROOM) to prompts (rows, tokens)."""
    cache = DynamicCache(config=model.config)
    answers = ids[:, :0]
    while answers.shape[1] < ROOM and not (answers == end).any(1).all():
        logits = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
        ids = logits.argmax(-1, keepdim=True)
        answers = torch.cat((answers, ids), 1)
    return answers


def answers_of(loaded: LoadedModel, trials: list[Trial], scaling: RopeScaling | None, length: int) -> list[str]:
    """The text that follows each prompt, up to the token that ends a turn."""
    tokenizer, texts = loaded.tokenizer, []
    rows = max(1, AT_ONCE // length)
    with scaled(loaded.model, scaling, length):
        for first in range(0, len(trials), rows):
            ids = torch.tensor([trial.ids for trial in trials[first : first + rows]])
            for answer in generate(loaded.model, ids, tokenizer.eos_token_id).tolist():
                texts.append(tokenizer.decode(answer).split(tokenizer.eos_token)[0])
    return texts


@torch.no_grad()
def perplexity(model: Any, windows: torch.Tensor, scaling: RopeScaling | None, scored: int) -> float:
    """Of the last `scored` tokens of each window."""
    total, length = 0.0, windows.shape[1]
    with scaled(model, scaling, length):
        for part in windows.split(max(1, AT_ONCE // length)):
            logits = model(input_ids=part, use_cache=False, logits_to_keep=scored + 1).logits.float()
            total += torch.nn.functional.cross_entropy(
                logits[:, :-1].flatten(0, 1), part[:, -scored:].flatten(), reduction="sum"
            ).item()
    return math.exp(total / (len(windows) * scored))


def interval(right: int, trials: int) -> str:
    """Wilson's 95 % interval."""
    z, p = 1.96, right / trials
    middle, half = p + z * z / (2 * trials), z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials**2))
    low, high = max(0.0, middle - half) / (1 + z * z / trials), (middle + half) / (1 + z * z / trials)
    return f"{p:.3f} ({low:.2f}–{high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--text", type=Path, required=True, help="prose that the model was not trained on")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["none", "yarn"])
    parser.add_argument("--factors", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--needles", type=int, default=1, help="more than one: each has a name")
    parser.add_argument("--fixed", type=int, help="one scaling factor for every length, as after fine-tuning")
    parser.add_argument("--check", type=int, default=0, help="answers to compare with the engine's, in each cell")
    parser.add_argument("--perplexity", action="store_true")
    options = parser.parse_args()
    loaded = load_model(options.model)
    model = loaded.model.float()
    native = read_base(model.config).window
    haystacks = Haystacks(loaded.tokenizer, read_book(options.text))
    for method in options.methods:
        for factor in options.factors:
            began, length = time.monotonic(), native * factor
            scaling = scaling_for(method, options.fixed or factor, native)
            if options.perplexity:
                windows = haystacks.windows(length, options.trials)
                result = f"perplexity {perplexity(model, windows, scaling, native // 4):.2f}"
            else:
                result = keys_found(loaded, haystacks, scaling, length, options)
            print(f"{method:<13}{factor:>3}×  {result}  {time.monotonic() - began:.0f} s", flush=True)


def keys_found(
    loaded: LoadedModel, haystacks: Haystacks, scaling: RopeScaling | None, length: int, options: argparse.Namespace
) -> str:
    trials = [haystacks.trial(length, (seed % 10) / 9, options.needles, seed) for seed in range(options.trials)]
    texts = answers_of(loaded, trials, scaling, length)
    right = sum(trial.key in text for trial, text in zip(trials, texts, strict=True))
    others = sum(any(key in text for key in trial.others) for trial, text in zip(trials, texts, strict=True))
    same = 0
    for trial, text in list(zip(trials, texts, strict=True))[: options.check]:
        same += "".join(Engine(loaded).stream((), trial.ids, scaling, GenerationOptions(ROOM))) == text
    checked = f"  engine agrees {same} of {options.check}" if options.check else ""
    return (
        f"{interval(right, len(trials))} of {len(trials)}" + (f", another's key {others}" if others else "") + checked
    )


if __name__ == "__main__":
    main()
