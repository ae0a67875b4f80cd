"""The cost of a forward pass with our rotary module against transformers' own, interleaved in one run.

    python benchmarks/bench_rope.py [--repeats 200]

Both compute the same YaRN: the stock module from its configuration, ours put in by `scaled_rope`. The claim
is a ratio of at most 1.02. A round times both, in an order that alternates; the ratio is the median of the
rounds' ratios, so that whatever else the machine does falls on both alike.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from rope_scaling import RopeScaling, scaled_rope

CLAIM = 1.02
CASES = (
    # what is timed, batch, tokens, first position
    ("rotary module, prefill", 1, 4096, 0),
    ("rotary module, one token", 1, 1, 100_000),
    ("rotary module, one token, batch of 8", 8, 1, 100_000),
    ("whole model, prefill", 1, 256, 0),
    ("whole model, one token", 1, 1, 0),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200, help="rounds for each case")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, scaling = (
        make_model(),
        RopeScaling(method="yarn", factor=32.0, original_max_position_embeddings=4096),
    )
    stock = model.model.rotary_emb
    with scaled_rope(model, scaling):
        ours = model.model.rotary_emb
    print(f"{'case':40} {'dtype':9} {'stock':>11} {'ours':>11} {'ratio':>7}")
    worst = 0.0
    for dtype in (torch.float32, torch.bfloat16):
        model.to(dtype)
        for case in CASES:
            calls = [call(model, module, case, dtype) for module in (stock, ours)]
            ratio = compare(case[0], str(dtype).removeprefix("torch."), calls, options.repeats)
            worst = max(worst, ratio)
    print(f"worst ratio {worst:.3f}: {'within' if worst <= CLAIM else 'ABOVE'} the claim of {CLAIM}")


def make_model() -> LlamaForCausalLM:
    """Make a Llama of four layers with heads of 128 dimensions, which carries YaRN to 128K natively."""
    config = LlamaConfig(
        vocab_size=1000,
        hidden_size=512,
        intermediate_size=1024,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=131_072,
        rope_parameters={
            "rope_type": "yarn",
            "rope_theta": 10_000.0,
            "factor": 32.0,
            "original_max_position_embeddings": 4096,
        },
    )
    return LlamaForCausalLM(config).eval()


def call(model: Any, module: Any, case: tuple[str, int, int, int], dtype: torch.dtype) -> Callable[[], object]:
    name, batch, tokens, first = case
    positions = (first + torch.arange(tokens)).expand(batch, -1)
    if name.startswith("rotary"):
        x = torch.zeros(batch, tokens, 1, dtype=dtype)
        return lambda: module(x, positions)
    ids = torch.ones(batch, tokens, dtype=torch.long)

    def forward() -> object:
        model.model.rotary_emb = module
        with torch.inference_mode():
            return model(ids, use_cache=False)

    return forward


def compare(name: str, dtype: str, calls: list[Callable[[], object]], repeats: int) -> float:
    """Print both medians in microseconds, and return the median ratio, ours to stock."""
    for warm_up in calls * 3:
        warm_up()
    times: list[tuple[float, float]] = []
    for number in range(repeats):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        spent = {which: seconds(calls[which]) for which in order}
        times.append((spent[0], spent[1]))
    stock, ours = (statistics.median(column) * 1e6 for column in zip(*times, strict=True))
    ratio = statistics.median(mine / theirs for theirs, mine in times)
    print(f"{name:40} {dtype:9} {stock:8.1f} µs {ours:8.1f} µs {ratio:7.3f}")
    return ratio


def seconds(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
