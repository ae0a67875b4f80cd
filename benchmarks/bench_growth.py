"""How prefill, decode, memory and the second question of a real model grow with the length, on a CPU.

    python benchmarks/bench_growth.py MODEL --text FILE [--lengths 4096 8192 16384 32768] [--plot FILE]

A prompt is the beginning of a text and a question, which together with the answer have the length. Lengths beyond the
native window are read with YaRN. Each kind has a process of its own, with its weights loaded once; the first
question after a restart is asked in another one. A kind reads no length that would take longer than `--minutes`, by
what the last one took.

prefill s      time to the first token                          decode ms  each token after it, the median
again s        time to the first token of a second question     restart s  the same in a new process, from disk, with
peak GB        of resident memory so far                                   the weights loaded
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
from collections import ChainMap
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gpu import asked_twice, timed, transformers, yarn

from indexes.encoders import has_bf16
from longctx import Engine, GenerationOptions, LoadedModel, load_model
from longctx.engine import attention

KINDS: dict[str, dict[str, Any]] = {
    "int8, int8 KV cache": {"quantization": "int8"},
    "int8": {"quantization": "int8"},
    "int8, attention in float32": {"quantization": "int8"},
    "bfloat16": {"dtype": "bfloat16", "packed": True},
    "float32": {"dtype": "float32", "packed": True},
    "transformers float32": {"dtype": "float32"},
    "transformers bfloat16": {"dtype": "bfloat16"},
}
QUESTIONS = ("Who is speaking here?", "Where does this take place?")
COLUMNS = ("prefill s", "decode ms", "again s", "restart s", "peak GB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--lengths", type=int, nargs="+", default=[4096, 8192, 16_384, 32_768])
    parser.add_argument("--new", type=int, default=16, help="tokens of an answer")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="default: all that this processor has")
    parser.add_argument("--minutes", type=float, default=10, help="the most for a length")
    parser.add_argument("--plot", type=Path, help="draw the table into this file")
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--prefixes", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--restart", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        for row in restarted(options) if options.restart else measured(options):
            print(json.dumps(row), flush=True)
        return
    print(f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads\n")
    print(f"| | tokens | {' | '.join(COLUMNS)} |\n| --- |{' ---: |' * (1 + len(COLUMNS))}")
    grown: dict[str, list[dict[str, Any]]] = {}
    for kind in options.kinds or [kind for kind in KINDS if has_bf16() or "bfloat16" not in kind]:
        with tempfile.TemporaryDirectory() as folder:
            child = [sys.executable, __file__, *sys.argv[1:], "--kind", kind, "--prefixes", folder]
            runs = [child] if kind.startswith("transformers") else [child, [*child, "--restart"]]
            done = [subprocess.run(run, stdout=subprocess.PIPE, text=True, check=True).stdout for run in runs]
        parts = ([json.loads(line) for line in said.splitlines()] for said in done)
        rows = [dict(ChainMap(*row)) for row in zip(*parts, strict=True)]
        grown[kind] = rows
        for row in rows:
            cells = (f"{row[name]:.2f}" if name in row else "–" for name in COLUMNS)
            print(f"| {kind} | {row['tokens']:,} | {' | '.join(cells)} |", flush=True)
    if options.plot:
        plot(options.plot, grown)


def prompt(text: Path, loaded: LoadedModel, length: int, new: int, number: int = 0) -> tuple[list[int], list[int]]:
    """The document, which is the same for every question, and what stands behind it."""
    message = [{"role": "user", "content": "\0"}]
    chat = loaded.tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=False)
    before, after = chat.split("\0")
    asked = loaded.tokenizer(f"\n\n{QUESTIONS[number]}{after}")["input_ids"]
    document = loaded.tokenizer(before + text.read_text(encoding="utf-8")[: 12 * length])["input_ids"]
    kept = length - new - max(32, len(asked))
    if len(document) < kept:
        sys.exit(f"{text} has {len(document)} tokens: give a text of {kept}, or shorter lengths")
    return document[:kept], asked


def opened(options: argparse.Namespace) -> Engine:
    if "attention in float32" in options.kind:
        attention.has_bf16 = lambda: False  # type: ignore[attr-defined]
    loaded = load_model(options.model, device="cpu", **KINDS[options.kind])
    return Engine(loaded, cache_dtype="int8" if "int8 KV" in options.kind else "model")


def measured(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    engine, of_text = opened(options), partial(prompt, options.text)
    peer = transformers("sdpa", of_text) if options.kind.startswith("transformers") else None

    def ask(length: int) -> Iterator[float]:
        engine.forget()
        if peer is not None:
            return peer(engine.loaded, length, options.new)
        return asked_twice(engine, length, options.new, of_text)

    with torch.inference_mode():
        list(ask(256))  # the first passes of a process prepare what later ones use
        before = (0.0, 1)
        for length in options.lengths:
            seconds, last = before
            if seconds * (length / last) ** 1.5 > 60 * options.minutes:
                break
            row = dict(zip(COLUMNS, ask(length), strict=False))
            before = (row["prefill s"], length)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            if peer is None:
                document, _ = of_text(engine.loaded, length, options.new)
                engine.save_prefix(options.prefixes / str(length), document, yarn(engine.loaded, length))
            yield row | {"tokens": length, "peak GB": peak}


def restarted(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    engine = opened(options)
    with torch.inference_mode():
        list(asked_twice(engine, 256, options.new, partial(prompt, options.text)))
        for length in options.lengths:
            file = options.prefixes / str(length)
            if not file.exists():
                break
            engine.forget()
            yield {"restart s": timed(engine.loaded, partial(from_disk, engine, options, length, file))[0]}


def from_disk(engine: Engine, options: argparse.Namespace, length: int, file: Path) -> None:
    document, asked = prompt(options.text, engine.loaded, length, options.new, 1)
    scaling = yarn(engine.loaded, length)
    held = engine.load_prefix(file, document, scaling)
    assert held.refused is None, held.refused
    engine.stream(document, asked, scaling, GenerationOptions(1)).rest()


def plot(file: Path, grown: dict[str, list[dict[str, Any]]]) -> None:
    import matplotlib.pyplot as plt

    titles = {
        "prefill s": "prefill, s",
        "decode ms": "decode, ms a token",
        "again s": "second question, s",
        "peak GB": "peak memory, GB",
    }
    figure, axes = plt.subplots(1, 4, figsize=(16, 4))
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        for kind, rows in grown.items():
            label = kind if kind.startswith("transformers") else f"longctx {kind}"
            axis.plot([row["tokens"] for row in rows], [row[name] for row in rows], "o-", label=label)
        lengths = sorted({row["tokens"] for rows in grown.values() for row in rows})
        axis.set_xticks(lengths, [f"{length // 1024}K" for length in lengths])
        axis.set(xlabel="tokens", title=title, ylim=(0, None))
    axes[2].legend()
    figure.tight_layout()
    figure.savefig(file)


if __name__ == "__main__":
    main()
