"""Reading and writing with a real model on a CPU: plain, packed and 8-bit products, with and without prompt lookup.

    python benchmarks/bench_decode.py MODEL --data DIR [--questions 2] [--new 48] [--clock cpu]

MODEL is the folder of a transformers checkpoint, DIR holds XQuAD and JSQuAD (see `squad_questions.py`). Each kind of
products has a process of its own, one after the other, since a copy of the weights is all that memory may hold; prompt
lookup is switched on and off in turns on the same model. `--clock cpu` counts the seconds of the processor, which other
processes on the machine disturb less; use it with one thread.

read, write    tokens per second of the prompt, and of the answer after its first token
passes         tokens of the answer for each pass of the model
GB             of weights, and of resident memory at its peak
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from squad_questions import FILES, choose, read_corpus

from longctx import Engine, GenerationOptions, LoadedModel, load_model
from longctx.models import is_packed, memory, packing

KINDS: dict[str, dict[str, Any]] = {
    "transformers": {"dtype": "float32"},
    "float32": {"dtype": "float32"},
    "packed": {"dtype": "float32", "packed": True},
    "int8 apart": {"quantization": "int8"},  # with a product for each layer, also for those of one input
    "int8": {"quantization": "int8"},
}
ASK = "Quote the sentence that answers the question, then answer it.\n\n{passages}\n\nQuestion: {question}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=2, help="of each language")
    parser.add_argument("--new", type=int, default=48, help="tokens of an answer")
    parser.add_argument("--passages", type=int, default=2, help="in a prompt")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), default=list(KINDS))
    parser.add_argument("--kind", choices=tuple(KINDS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        torch.set_num_threads(options.threads)
        for row in measure(options):
            print(json.dumps(row), flush=True)
        return
    rows = []
    for kind in options.kinds:
        command = [sys.executable, __file__, *sys.argv[1:], "--kind", kind]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows += [json.loads(line) for line in done.stdout.splitlines()]
        show(rows)
    print(f"\n{platform.processor() or platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {options}")


def show(rows: list[dict[str, Any]]) -> None:
    names = ("kind", "language", "lookup", "read", "write", "passes", "weights_gb", "peak_gb")
    print("\n| " + " | ".join(names) + " |\n|" + " --- |" * len(names))
    for row in rows:
        cells = (row[name] for name in names)
        print("| " + " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |")


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    families = frozenset[str]() if options.kind.endswith("apart") else packing.FUSED_FAMILIES
    with patch.object(packing, "FUSED_FAMILIES", families):
        loaded = load_model(options.model, device="cpu", **KINDS[options.kind])
    clock = time.process_time if options.clock == "cpu" else time.perf_counter
    weights = memory.weight_bytes(loaded.model) / 2**30
    lookups = (False, True) if is_packed(loaded.model) else (False,)
    run = with_transformers if options.kind == "transformers" else with_engine
    run(loaded, prompts(loaded, "en", options)[0][:64], 4, lookups[-1], clock)  # warm
    for language in FILES:
        sums = {lookup: [0.0] * 5 for lookup in lookups}
        for ids in prompts(loaded, language, options):
            for lookup in lookups:
                figures = run(loaded, ids, options.new, lookup, clock)
                sums[lookup] = [one + other for one, other in zip(sums[lookup], figures, strict=True)]
        for lookup, (read, reading, written, writing, passes) in sums.items():
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            yield {
                "kind": options.kind,
                "language": language,
                "lookup": lookup,
                "read": read / reading,
                "write": written / writing,
                "passes": written / passes,
                "weights_gb": weights,
                "peak_gb": peak,
            }


def prompts(loaded: LoadedModel, language: str, options: argparse.Namespace) -> list[list[int]]:
    corpus = read_corpus(options.data / FILES[language])
    written = []
    for asked in choose(corpus, options.questions, 0, seed=0):
        passages = "\n\n".join(corpus.paragraphs[number][1] for number in asked.given[: options.passages])
        text = ASK.format(passages=passages, question=asked.question.question)
        message = [{"role": "user", "content": text}]
        written.append(list(loaded.tokenizer.apply_chat_template(message, add_generation_prompt=True)["input_ids"]))
    return written


def with_engine(
    loaded: LoadedModel, ids: list[int], new: int, lookup: bool, clock: Callable[[], float]
) -> tuple[float, ...]:
    """Tokens read and their seconds, tokens written after the first and theirs, and passes for those."""
    ends: list[float] = []
    handle = loaded.model.register_forward_hook(lambda *_: ends.append(clock()))
    began = clock()
    stream = Engine(loaded, prefix_bytes=0).stream(ids, (), options=GenerationOptions(new, prompt_lookup=lookup))
    stream.rest()
    handle.remove()
    return len(ids), ends[0] - began, stream.completion_tokens - 1, ends[-1] - ends[0], len(ends) - 1


def with_transformers(
    loaded: LoadedModel, ids: list[int], new: int, lookup: bool, clock: Callable[[], float]
) -> tuple[float, ...]:
    ends: list[float] = []
    handle = loaded.model.register_forward_hook(lambda *_: ends.append(clock()))
    began = clock()
    given = {"max_new_tokens": new, "do_sample": False, "pad_token_id": 0}
    tokens = loaded.model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), **given)
    handle.remove()
    return len(ids), ends[0] - began, tokens.shape[1] - len(ids) - 1, ends[-1] - ends[0], len(ends) - 1


if __name__ == "__main__":
    main()
