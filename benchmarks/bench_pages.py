"""Attention of one new token to some pages of a long past, chosen by bounds of keys: its speed, and what it misses.

    python benchmarks/bench_pages.py
    python benchmarks/bench_pages.py --model MODEL --text ../shared/data/books/news-from-nowhere.txt --tokens 2560

A page has 64 tokens. Its bounds are the greatest and the least number of each channel of its keys, from which follows
how large a score in it can be at most (Quest, arXiv 2406.10774), and how much attention all pages that are left out can
get together. Each KV head reads its first page, its last one, and those with the largest bounds; if what is left out
can get more than 5 %, all are read instead: that is the exact fallback, whose share is shown. Nothing of this is in
longctx (see the results). The first part times one layer of Qwen2.5-1.5B's shape, with random keys, and with keys of
topics: each page is near one of 64 centres, and the query near one, too. The second part reads a book with a real
model, whose first two layers always read everything, and asks.

choose, pages   of those chosen by their bounds, or by the attention that they do get (an oracle)
missed          attention that the pages left out do get, and at most can get by their bounds
error           of a head's output, over its norm
same            first characters of an answer that are those of the answer with all pages
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import time
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from longctx import Engine, GenerationOptions, LoadedModel, load_model
from longctx.engine import attention

PAGE = 64
LIMIT = 0.05
HEADS, KV_HEADS, SIZE = 12, 2, 128
HIDDEN = "\nThe secret number of the old bakery is 48213. Anna keeps its key, and Anna lives in Lisbon.\n"
QUESTIONS = (
    "What is the secret number of the old bakery?",
    "In which town lives the person who keeps the key of the old bakery?",
    "Describe in three sentences what happens.",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[4096, 32768, 131072])
    parser.add_argument("--model", type=Path, help="a transformers checkpoint")
    parser.add_argument("--text", type=Path, help="a book")
    parser.add_argument("--tokens", type=int, default=2560, help="of the book")
    parser.add_argument("--new", type=int, default=32, help="tokens of an answer")
    options = parser.parse_args()
    print(f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} cores")
    with torch.inference_mode():
        if options.model is None:
            show_layers(options.lengths)
        else:
            show_model(options)


def page_bounds(key: torch.Tensor) -> torch.Tensor:
    """The greatest and the least numbers, (kv_heads, pages, 2 · d), of keys (kv_heads, tokens, d)."""
    pages = in_pages(key)
    return torch.cat([pages.amax(2), pages.amin(2)], -1).float()


def in_pages(states: torch.Tensor) -> torch.Tensor:
    whole = states.shape[1] // PAGE
    return states[:, : whole * PAGE].unflatten(1, (whole, PAGE))


def upper_bounds(rows: torch.Tensor, bounds: torch.Tensor) -> torch.Tensor:
    """The largest scores that are possible, (kv_heads, groups, pages)."""
    return torch.cat([rows.clamp_min(0), rows.clamp_max(0)], -1) @ bounds.transpose(1, 2)


def chosen_pages(most: torch.Tensor, count: int) -> torch.Tensor:
    """The pages that get most of any query of a KV head, (kv_heads, count), by the logarithms of what each gets."""
    share = most.softmax(-1).amax(1)
    share[:, [0, -1]] = math.inf
    return share.topk(count, -1).indices.sort(-1).values


class Reader:
    """Attention to chosen pages. `rooms` are used anew at each call, since new memory is slow."""

    def __init__(self) -> None:
        self.rooms: dict[str, torch.Tensor] = {}

    def attend(
        self, rows: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, count: int
    ) -> tuple[torch.Tensor, float]:
        """The output (kv_heads, groups, d) of scaled float32 rows, and what share of a row can have been missed."""
        upper = upper_bounds(rows, bounds)
        chosen = chosen_pages(upper, count)
        scores = (self._read("key", key, chosen) @ rows.to(key.dtype).transpose(1, 2)).transpose(1, 2).float()
        total = scores.logsumexp(-1, keepdim=True)
        output = (scores - total).exp_().to(key.dtype) @ self._read("value", value, chosen)
        rest = without(upper, chosen).logsumexp(-1, keepdim=True) + math.log(PAGE)
        return output, float(torch.sigmoid(rest - total).max())

    def _read(self, name: str, states: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        heads, tokens, size = states.shape
        count, whole = chosen.shape[1] * PAGE, tokens // PAGE * PAGE
        shape = (heads, count + tokens - whole, size)
        held = self.rooms.get(name)
        if held is None or held.numel() < math.prod(shape):
            held = self.rooms[name] = states.new_empty(math.prod(shape) + heads * PAGE * size)
        read = held[: math.prod(shape)].view(shape)
        for head in range(heads):
            pages = states[head, :whole].view(-1, PAGE * size)
            torch.index_select(pages, 0, chosen[head], out=read[head, :count].view(-1, PAGE * size))
        read[:, count:] = states[:, whole:]
        return read


def without(most: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    return most.scatter(-1, chosen.unsqueeze(1).expand(-1, most.shape[1], -1), -math.inf)


def missed(rows: torch.Tensor, key: torch.Tensor, upper: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """What pages that are left out get of each row's attention, and can get: (2, kv_heads · groups)."""
    got = (rows @ key.float().transpose(1, 2))[..., : upper.shape[-1] * PAGE]
    got = got.unflatten(-1, (-1, PAGE)).logsumexp(-1)
    left, total = without(got, chosen).logsumexp(-1), got.logsumexp(-1)
    read = total + torch.log1p(-(left - total).exp().clamp_max(1 - 1e-6))
    most = without(upper, chosen).logsumexp(-1) + math.log(PAGE)
    return torch.stack([(left - total).exp().flatten(), torch.sigmoid(most - read).flatten()])


def show_layers(lengths: list[int]) -> None:
    print("| dtype | keys | tokens | pages read | all, ms | pages, ms | faster | missed | at most | fallback |")
    print("|" + " --- |" * 10)
    for dtype in (torch.float32, torch.bfloat16):
        for kind in ("random", "topics"):
            for tokens in lengths:
                print(layer_row(dtype, kind, tokens), flush=True)


def layer_row(dtype: torch.dtype, kind: str, tokens: int) -> str:
    random = torch.Generator().manual_seed(0)
    key = torch.randn(KV_HEADS, tokens + 20, SIZE, generator=random)
    value = torch.randn(KV_HEADS, tokens + 20, SIZE, generator=random).to(dtype)
    queries = torch.randn(20, KV_HEADS, HEADS // KV_HEADS, SIZE, generator=random)
    if kind == "topics":
        centres = torch.randn(64, SIZE, generator=random)
        of_page = torch.randint(64, (key.shape[1] // PAGE + 1,), generator=random)
        key = centres[of_page].repeat_interleave(PAGE, 0)[: key.shape[1]] + 0.1 * key
        queries = 2 * centres[torch.randint(64, queries.shape[:2], generator=random)].unsqueeze(2) + 0.3 * queries
    key, queries = key.to(dtype), queries.to(dtype)
    bounds, reader = page_bounds(key), Reader()
    count = max(32, bounds.shape[1] // 32)
    rows = [each.float() * SIZE**-0.5 for each in queries]
    uppers = [upper_bounds(row, bounds) for row in rows]
    figures = [missed(r, key, u, chosen_pages(u, count)) for r, u in zip(rows, uppers, strict=True)]
    fell = sum(float(each[1].max()) > LIMIT for each in figures) / len(figures)
    query = queries[0].unsqueeze(2)
    dense = best(lambda: attention._decode(query, key.unsqueeze(0), value.unsqueeze(0), None))
    sparse = best(lambda: reader.attend(query.squeeze(2).float() * SIZE**-0.5, key, value, bounds, count))
    true, most = torch.stack(figures).mean((0, 2)).tolist()
    return (
        f"| {str(dtype).removeprefix('torch.')} | {kind} | {tokens} | {count} of {bounds.shape[1]} | {dense:.2f} "
        f"| {sparse:.2f} | {dense / sparse:.1f} | {true:.3f} | {most:.3f} | {fell:.0%} |"
    )


def best(run: Callable[[], Any]) -> float:
    """Milliseconds of the fastest of ten runs."""
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds) * 1000


class Decoder:
    """Stands in for the engine's attention of one token, and notes what pages would miss, or reads only some."""

    def __init__(self, layers: int, share: int = 0) -> None:
        self.layers, self.share, self.calls = layers, share, 0
        self.dense = attention._decode
        self.figures: dict[tuple[str, int], list[torch.Tensor]] = {}
        self.excess: list[torch.Tensor] = []

    def __call__(self, query: torch.Tensor, key: Any, value: Any, scale: float | None) -> torch.Tensor:
        layer, self.calls = self.calls % self.layers, self.calls + 1
        exact = self.dense(query, key, value, scale)
        if layer < 2:
            return exact
        rows, key, value = query.squeeze(2).float() * query.shape[3] ** -0.5, key[0], value[0]
        bounds = page_bounds(key)
        if self.share:
            return Reader().attend(rows, key, value, bounds, max(2, bounds.shape[1] // self.share))[0].unsqueeze(2)
        self._note(rows, key, value, bounds, exact.squeeze(2))
        return exact

    def _note(
        self, rows: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, exact: torch.Tensor
    ) -> None:
        upper = upper_bounds(rows, bounds)
        scores = (rows @ key.float().transpose(1, 2))[..., : bounds.shape[1] * PAGE].unflatten(-1, (-1, PAGE))
        self.excess.append((upper - scores.amax(-1)).flatten())
        for share in (16, 8, 4):
            for name, most in (("bounds", upper), ("oracle", scores.logsumexp(-1))):
                chosen = chosen_pages(most, max(2, bounds.shape[1] // share))
                kept = without(torch.zeros_like(upper), chosen).isinf().repeat_interleave(PAGE, -1)
                whole = kept.shape[-1]
                masked = torch.cat(
                    [scores.flatten(2).masked_fill(~kept, -math.inf), rows @ key[:, whole:].float().mT], -1
                )
                off = (masked.softmax(-1) @ value.float() - exact).norm(dim=-1) / exact.float().norm(dim=-1)
                noted = torch.cat([missed(rows, key, upper, chosen), off.flatten().unsqueeze(0)])
                self.figures.setdefault((name, share), []).append(noted)


def show_model(options: argparse.Namespace) -> None:
    loaded = load_model(options.model, device="cpu", packed=True)
    engine, encode = Engine(loaded), loaded.tokenizer
    book = encode(options.text.read_text(encoding="utf-8")[3000:400_000])["input_ids"][: options.tokens]
    cut = len(book) * 3 // 10
    ids = encode("<|im_start|>user\n" + encode.decode(book[:cut]) + HIDDEN + encode.decode(book[cut:]))["input_ids"]
    began = time.perf_counter()
    engine.prefix(ids)
    print(f"{len(ids)} tokens read in {time.perf_counter() - began:.0f} s, {loaded.precision}\n", flush=True)
    noting = Decoder(loaded.text_config.num_hidden_layers)
    texts = [ask(engine, loaded, ids, question, noting, options.new) for question in QUESTIONS]
    excess = torch.cat(noting.excess)
    print("a bound is above the largest score of its page by", end=" ")
    print(" / ".join(f"{each:.1f}" for each in excess.quantile(torch.tensor([0.05, 0.5, 0.95])).tolist()))
    print("\n| choose | pages | missed | at most | error | fallback |\n|" + " --- |" * 6)
    for (name, share), noted in noting.figures.items():
        true, most, off = torch.stack(noted).mean((0, 2)).tolist()
        fell = sum(float(each[1].max()) > LIMIT for each in noted) / len(noted)
        print(f"| {name} | 1/{share} | {true:.3f} | {most:.3f} | {off:.3f} | {fell:.0%} |")
    print("\n| question | pages | same | answer |\n|" + " --- |" * 4)
    for question, text in zip(QUESTIONS, texts, strict=True):
        print(f"| {question} | all | | {text!r} |")
        for share in (4, 8, 16):
            found = ask(engine, loaded, ids, question, Decoder(noting.layers, share), options.new)
            same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, found, strict=False)))
            print(f"| | 1/{share} | {same} of {len(text)} | {found!r} |", flush=True)


def ask(engine: Engine, loaded: LoadedModel, ids: list[int], question: str, decoder: Decoder, new: int) -> str:
    suffix = loaded.tokenizer(f"\n\n{question}<|im_end|>\n<|im_start|>assistant\n")["input_ids"]
    with patch.object(attention, "_decode", decoder):
        return engine.stream(ids, suffix, options=GenerationOptions(new, prompt_lookup=False)).rest()


if __name__ == "__main__":
    main()
