"""A GPU's prefill, decode and memory at 4K to 131,072 tokens, beside transformers; then the probe under YaRN.

    python benchmarks/gpu.py [MODEL] [--lengths 4096 32768 131072] [--minutes 8] [--out benchmarks/results]
    python benchmarks/gpu.py --tiny        # the model of this repository, at short lengths: runs on any CPU

MODEL is the folder of a transformers checkpoint; without one, it is a random model in the shape of Qwen2.5-1.5B, for
which there is no probe. Lengths, prompt and answer together, beyond the native window are read with YaRN, by both. The
table is written to OUT/DATE-CARD.md after every row; what does not fit into `--minutes` is named there and left out.

prefill s   time to the first token                        decode ms  each token after it, the median
again s     time to the first token of a second question   peak GB    of the device's memory; on a CPU, of the process
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import itertools
import re
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_engine import Codes

from longctx import (
    Engine,
    GenerationOptions,
    LoadedModel,
    NotEnoughMemory,
    ProbeOptions,
    load_model,
    load_report,
    run_probe,
)
from longctx.probe import report_tables
from rope_scaling import RopeScaling, scaled_rope

TINY = Path(__file__).parents[1] / "examples" / "models" / "passkey-llama"
QUESTION = 32  # tokens behind the document
COLUMNS = ("prefill s", "decode ms", "again s", "peak GB")
Prompt = Callable[..., tuple[list[int], list[int]]]  # (model, length, tokens of the answer, number of the question)


def random_model(device: str) -> LoadedModel:
    from transformers import AutoModelForCausalLM, Qwen2Config

    config = Qwen2Config(
        vocab_size=151_936,
        hidden_size=1536,
        intermediate_size=8960,
        num_hidden_layers=28,
        num_attention_heads=12,
        num_key_value_heads=2,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).to(device).eval()
    return LoadedModel("random 1.5B", model, Codes(), config.max_position_embeddings)


def yarn(loaded: LoadedModel, length: int) -> RopeScaling | None:
    native = loaded.native_window
    if length <= native:
        return None
    return RopeScaling(method="yarn", factor=length / native, original_max_position_embeddings=native)


def prompt(loaded: LoadedModel, length: int, new: int, question: int = 0) -> tuple[list[int], list[int]]:
    """The same document for every question."""
    vocabulary = loaded.model.config.vocab_size
    document = np.random.default_rng(0).integers(3, vocabulary, length - new - QUESTION)
    asked = np.random.default_rng(1 + question).integers(3, vocabulary, QUESTION)
    return document.tolist(), asked.tolist()


def timed(loaded: LoadedModel, run: Callable[[], object]) -> tuple[float, float]:
    """Seconds to the end of the prompt's last pass, and the median milliseconds of the passes behind it."""
    ends: list[float] = []

    def end(_: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any], __: Any) -> None:
        if loaded.model.device.type == "cuda":
            torch.cuda.synchronize()
        ids = given[0] if given else named["input_ids"]
        if ids.shape[-1] > 1 and ends:  # a prompt may be read in several passes
            ends.pop()
        ends.append(time.perf_counter())

    with loaded.model.register_forward_hook(end, with_kwargs=True):
        began = time.perf_counter()
        run()
    gaps = [later - earlier for earlier, later in itertools.pairwise(ends)]
    return ends[0] - began, 1000 * statistics.median(gaps or [float("nan")])


def asked_twice(engine: Engine, length: int, new: int, prompt: Prompt = prompt) -> Iterator[float]:
    """Prefill and decode of a first question, and the time to the first token of a second one."""
    scaling = yarn(engine.loaded, length)

    def ask(question: int, tokens: int) -> Callable[[], object]:
        # without prompt lookup, which would find nothing in random tokens and much in a real text
        options = GenerationOptions(tokens, prompt_lookup=False)
        return lambda: engine.stream(*prompt(engine.loaded, length, new, question), scaling, options).rest()

    yield from timed(engine.loaded, ask(0, new))
    yield timed(engine.loaded, ask(1, 1))[0]


def ours(cache_dtype: Any) -> Callable[[LoadedModel, int, int], Iterator[float]]:
    return lambda loaded, length, new: asked_twice(Engine(loaded, cache_dtype=cache_dtype), length, new)


def transformers(attention: str, prompt: Prompt = prompt) -> Callable[[LoadedModel, int, int], Iterator[float]]:
    def run(loaded: LoadedModel, length: int, new: int) -> Iterator[float]:
        """`generate` keeps nothing from call to call: a second question costs what the first did."""
        document, asked = prompt(loaded, length, new)
        ids, scaling = torch.tensor([document + asked], device=loaded.model.device), yarn(loaded, length)
        given = {"max_new_tokens": new, "do_sample": False, "pad_token_id": 0}
        before = loaded.model.config._attn_implementation
        loaded.model.set_attn_implementation(attention)
        try:
            with nullcontext() if scaling is None else scaled_rope(loaded.model, scaling, length):
                prefill, decode = timed(
                    loaded, lambda: loaded.model.generate(ids, attention_mask=torch.ones_like(ids), **given)
                )
        finally:
            loaded.model.set_attn_implementation(before)
        yield from (prefill, decode, prefill)

    return run


PEERS = {
    "longctx": ours("model"),
    "longctx, int8 KV cache": ours("int8"),
    "transformers, SDPA": transformers("sdpa"),
    "transformers, flash": transformers("flash_attention_2"),
}


def measure(peer: str, loaded: LoadedModel, length: int, new: int) -> str:
    """A row of the table, or why there is none."""
    on_gpu = loaded.model.device.type == "cuda"
    if "flash" in peer and not importlib.util.find_spec("flash_attn"):
        return f"| {length:,} | {peer} | flash_attn is not installed |"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        with torch.inference_mode():
            figures = [*PEERS[peer](loaded, length, new)]
    except (torch.cuda.OutOfMemoryError, NotEnoughMemory) as error:
        return f"| {length:,} | {peer} | out of memory: {str(error).splitlines()[0]} |"
    peak = torch.cuda.max_memory_allocated() if on_gpu else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"| {length:,} | {peer} | " + " | ".join(f"{each:.2f}" for each in (*figures, peak / 1e9)) + " |"


def probed(loaded: LoadedModel, length: int, trials: int) -> Iterator[str]:
    """Needle and reading at a length."""
    with tempfile.TemporaryDirectory() as folder:
        tasks = ("needle", "reading")
        run_probe(loaded, folder, ProbeOptions(("yarn",), (length,), tasks, ("en",), trials=trials, depths=3))
        for table in report_tables(load_report(folder)):
            yield "\n| " + " | ".join(table.head) + " |"
            yield "|" + " --- |" * len(table.head)
            yield from ("| " + " | ".join(row) + " |" for row in table.rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--lengths", type=int, nargs="+", default=[4096, 32_768, 131_072])
    parser.add_argument("--new", type=int, default=32, help="tokens of an answer")
    parser.add_argument("--trials", type=int, default=2, help="of each task of the probe")
    parser.add_argument("--minutes", type=float, default=8, help="begin nothing after so many")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    if options.tiny:
        options.model, options.lengths, options.new, options.trials = TINY, [256, 2048], 8, 1
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not options.tiny:
        sys.exit("there is no GPU here: try it with --tiny")
    card = torch.cuda.get_device_name() if device == "cuda" else f"CPU {torch.backends.cpu.get_cpu_capability()}"
    began = time.monotonic()
    loaded = load_model(options.model, device=device) if options.model else random_model(device)
    how = f"{loaded.model.dtype}, answers of {options.new} tokens, YaRN beyond {loaded.native_window:,}"
    lines = [
        f"# {card}: {Path(loaded.name).name}",
        f"\ntorch {torch.__version__}, {how}\n",
        f"| tokens | | {' | '.join(COLUMNS)} |",
        f"| ---: | --- |{' ---: |' * len(COLUMNS)}",
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9]+", "-", card).strip("-").lower()
    out = options.out / f"{datetime.date.today()}-{name}.md"

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")

    print("\n".join(lines), flush=True)
    for run in (ours("model"), transformers("sdpa")):  # the first passes of a process prepare what later ones use
        list(run(loaded, 256, 2))
    for length, peer in itertools.product(options.lengths, PEERS):
        if time.monotonic() - began < 60 * options.minutes:
            say(measure(peer, loaded, length, options.new))
        else:
            say(f"| {length:,} | {peer} | not measured: {options.minutes:g} minutes were over |")
    if not options.model:
        say("\nNo probe: the model is random.")
    elif time.monotonic() - began < 60 * options.minutes:
        for line in probed(loaded, options.lengths[-1], options.trials):
            say(line)
    else:
        say(f"\nNo probe: {options.minutes:g} minutes were over.")
    print(f"\nwritten to {out} in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
