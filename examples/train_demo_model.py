"""Train the demo model: a Llama of a million parameters that reads prose and finds pass keys in it.

    python examples/train_demo_model.py BOOK.txt … --out examples/models/passkey-llama
    python examples/train_demo_model.py docs/*.md --out /tmp/smoke --smoke      # a few seconds, learns nothing

One CPU core is enough. The model is transformers' LlamaForCausalLM and the tokenizer one of `tokenizers`; the loop is
written out, because each token of a line has a weight of its own, and at this size a trainer costs more than the model.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.nn import functional
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

BEGIN, END, USER, ASSISTANT = "<s>", "</s>", "<|user|>", "<|assistant|>"
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>{{ message['content'] }}</s>"
    "{% else %}<|user|>{{ message['content'] }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
WINDOW = 256
TEXT, TEMPLATE, ANSWER, FIRST_DIGIT, DIGIT, UNKNOWABLE = 1.0, 0.15, 1.0, 12.0, 8.0, 0.0  # weights of tokens in the loss


def read_book(path: Path) -> str:
    """A book's text: Project Gutenberg's header and licence left out, lines joined, a line for each paragraph."""
    text = path.read_text(encoding="utf-8")
    text = re.split(r"\*\*\* ?START OF.*?\*\*\*", text, maxsplit=1)[-1]
    text = re.split(r"\*\*\* ?END OF|End of (?:the |this )?Project Gutenberg", text, maxsplit=1)[0]
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text))
    return "\n".join(paragraph for paragraph in paragraphs if paragraph)


def common_nouns(text: str, least: int = 4) -> list[str]:
    """Words that often follow "the": names for keys. Sorted, so that a seed gives the same names everywhere."""
    counts = Counter(re.findall(r"\bthe ([a-z]{4,10})\b", text))
    return sorted(word for word, count in counts.items() if count >= least)


def train_tokenizer(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE; every digit is a token of its own, and so is the space before a number, as in Llama 2."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[BEGIN, END, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    bpe.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[(BEGIN, 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=END,
        chat_template=CHAT_TEMPLATE,
        model_max_length=WINDOW,
        clean_up_tokenization_spaces=False,
    )


@dataclass(frozen=True)
class Fact:
    """A key and what it is for; `name` is None where the text has a key without a name."""

    name: str | None
    key: str


def statement(name: str | None) -> str:
    """The sentence that says a key, up to the key."""
    return f"The pass key for the {name} is" if name else "The pass key is"


def question(name: str | None) -> str:
    """The question that asks for it."""
    return f"What is the pass key for the {name}?" if name else "What is the pass key?"


@dataclass(frozen=True)
class Span:
    """Tokens, with the weight of each in the loss."""

    ids: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()

    def __add__(self, other: Span) -> Span:
        return Span(self.ids + other.ids, self.weights + other.weights)

    def __len__(self) -> int:
        return len(self.ids)


class Haystacks:
    """Makes training sequences: prose with keys in it, and then questions with their answers."""

    def __init__(self, books: list[str], tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        self.tokenizer = tokenizer
        self.names = common_nouns("\n".join(books))
        self.prose = self._encode("\n".join(books))
        pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        self._starts_word = [piece.startswith(("Ġ", "Ċ")) for piece in pieces]
        self._digits = self._encode("0123456789")
        self._cache: dict[str, tuple[int, ...]] = {}
        self._random = random.Random(seed)

    def batch(self, rows: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and weights, each (rows, length)."""
        spans = [self.sequence(length) for _ in range(rows)]
        return torch.tensor([span.ids for span in spans]), torch.tensor([span.weights for span in spans])

    def sequence(self, length: int) -> Span:
        """`length` tokens: what `halves` gives, as one."""
        prose, turns = self.halves(length)
        return prose + turns

    def halves(self, length: int) -> tuple[Span, Span]:
        """Prose with keys in it, and questions about all or some of them with the answers, in another order."""
        rng = self._random
        chat = rng.random() < 0.6
        head = self._text(BEGIN + USER if chat else BEGIN, UNKNOWABLE)
        needles, tail, used = [], Span(), len(head)
        facts = self._facts(rng.choice((1, 1, 2, 3, 4, 4, 6, 8, 12)))
        asked = len(facts) if rng.random() < 0.5 else rng.randint(1, len(facts))
        for at, fact in enumerate(facts):
            needle = self._needle(fact)
            turn = self._turn(fact, chat=chat, first=at == 0) if at < asked else Span()
            if used + len(needle) + len(turn) > length:
                break
            used += len(needle) + len(turn)
            needles.append(needle)
            tail += turn
        return head + self._bury(rng.sample(needles, len(needles)), length - used), tail

    def _facts(self, count: int, unnamed: float = 0.15) -> list[Fact]:
        """Different names, one of them sometimes none."""
        rng = self._random
        names: list[str | None] = list(rng.sample(self.names, count))
        if rng.random() < (0.5 if count == 1 else unnamed):
            names[rng.randrange(count)] = None
        return [Fact(name, f"{rng.randrange(10**5):05d}") for name in names]

    def _needle(self, fact: Fact) -> Span:
        digits = Span(self._key(fact), (UNKNOWABLE,) * 5)
        return self._text(f" {statement(fact.name)} ", TEMPLATE) + digits + self._text(".", TEMPLATE)

    def _turn(self, fact: Fact, *, chat: bool, first: bool) -> Span:
        """A question and its answer, as a chat or as plain text."""
        rng = self._random
        if chat:
            before = rng.choice((" ", "\n", "\n\n", "\n\nQuestion: ")) if first else USER
            between, after = ASSISTANT, f".{END}"
        else:
            before, between = rng.choice(((" ", " "), ("\n", "\n"), ("\n\n", "\n"), ("\n\nQuestion: ", "\nAnswer: ")))
            after = "."
        asked = self._text(f"{before}{question(fact.name)}", TEMPLATE)
        mark = between.rstrip(" ")  # a space belongs to the token of the word after it
        answer = self._text(mark, TEMPLATE) + self._text(f"{between[len(mark) :]}{statement(fact.name)} ", ANSWER)
        digits = Span(self._key(fact), (FIRST_DIGIT, DIGIT, DIGIT, DIGIT, DIGIT))
        return asked + answer + digits + self._text(after, ANSWER)

    def _bury(self, needles: list[Span], room: int) -> Span:
        """Prose of `room` tokens with the needles at random places between its words."""
        rng = self._random
        start = rng.randrange(len(self.prose) - room - 1)
        prose = self.prose[start : start + room]
        starts = [i for i, token in enumerate(prose) if self._starts_word[token]] or [0]
        span, last = Span(), 0
        for cut, needle in zip(sorted(rng.choice(starts) for _ in needles), needles, strict=True):
            span += Span(prose[last:cut], (TEXT,) * (cut - last)) + needle
            last = cut
        return span + Span(prose[last:], (TEXT,) * (room - last))

    def _key(self, fact: Fact) -> tuple[int, ...]:
        return tuple(self._digits[int(digit)] for digit in fact.key)

    def _text(self, text: str, weight: float) -> Span:
        ids = self._cache.get(text)
        if ids is None:
            ids = self._cache[text] = self._encode(text)
        return Span(ids, (weight,) * len(ids))

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


@dataclass(frozen=True)
class Plan:
    """How long to train on what."""

    steps: int = 2800
    tokens: int = 4096  # a step
    muon_rate: float = 0.01
    adam_rate: float = 3e-3
    decay: float = 0.4  # the last part of the steps, in which the rates fall to zero

    def length(self, step: int) -> int:
        """Short sequences first: the copying is learnt there, and only then over distances."""
        done = step / self.steps
        longest = WINDOW // 4 if done < 0.12 else WINDOW // 2 if done < 0.3 else WINDOW
        return max(WINDOW // 4, longest // 2) if step % 4 == 3 else longest

    def factor(self, step: int) -> float:
        """What the learning rates are multiplied by."""
        warm = min(1.0, (step + 1) / 20)
        return warm * min(1.0, (self.steps - step) / (self.steps * self.decay))


def make_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama of four layers, in float32."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=344,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=WINDOW,
        attn_implementation="eager",  # compiled, at these lengths, twice as fast as PyTorch's fused kernel
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def make_optimizers(model: LlamaForCausalLM, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for the embeddings and the norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and ".layers." in name]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, lr=plan.muon_rate, weight_decay=0.01, momentum=0.95),
        torch.optim.AdamW(others, lr=plan.adam_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def weighted_loss(logits: torch.Tensor, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the next token, weighted by token."""
    losses = functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none")
    weights = weights[:, 1:].flatten()
    return (losses * weights).sum() / weights.sum()


def train(model: LlamaForCausalLM, haystacks: Haystacks, plan: Plan, *, compiled: bool) -> Iterator[tuple[int, float]]:
    """Train in place; yields each step with its loss."""

    def forward(ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return weighted_loss(model(input_ids=ids, use_cache=False).logits, ids, weights)

    run = torch.compile(forward, dynamic=False) if compiled else forward
    optimizers = make_optimizers(model, plan)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    for step in range(plan.steps):
        length = plan.length(step)
        loss = run(*haystacks.batch(plan.tokens // length, length))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, rate in zip(optimizers, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * plan.factor(step)
            optimizer.step()
            optimizer.zero_grad()
        yield step, loss.item()


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the folder that transformers loads."""
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    model.generation_config = GenerationConfig(**ends, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("books", nargs="+", type=Path, help="plain text to train on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="with torch.compile: faster after minutes of compiling")
    parser.add_argument("--smoke", action="store_true", help="a few steps only: to see that it runs")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    plan = Plan(steps=3, tokens=512) if options.smoke else Plan(steps=options.steps)
    books = [read_book(path) for path in options.books]
    lines = f"{question(None)} {question(None)} {statement(None)} {statement('')}\n" * 300
    tokenizer = train_tokenizer([*books, lines], 400 if options.smoke else 1536)
    haystacks = Haystacks(books, tokenizer, options.seed)
    model = make_model(tokenizer)
    began, recent = time.monotonic(), []
    for step, loss in train(model, haystacks, plan, compiled=options.compile):
        recent.append(loss)
        if (step + 1) % 50 == 0 or step + 1 == plan.steps:
            print(
                f"step {step + 1:5} loss {sum(recent) / len(recent):.3f} {time.monotonic() - began:.0f} s", flush=True
            )
            recent.clear()
        if (step + 1) % 200 == 0:
            save(model, tokenizer, options.out)
    save(model, tokenizer, options.out)


if __name__ == "__main__":
    main()
