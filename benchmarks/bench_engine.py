"""Generation over a long prompt: longctx beside transformers' `generate` and llama.cpp, in one run.

    python benchmarks/bench_engine.py [--lengths 8192 32768] [--kv-heads 2 8] [--dtypes fp32 bf16] [--plot FILE]

A random Llama of 26 million parameters (hidden 512, 8 layers, 8 heads of 64, YaRN x8 from 4,096 tokens; more at lengths
beyond 32,768). Every measurement has a process of its own. A length is prompt and answer together. llama.cpp runs with
flash attention on and off and weights and cache in f16; it needs the extra `bench`.

prefill s      time to the first token                          decode ms  each token after it, the median
again s        time to the first token of a second question     restart s  the same in a new process, from disk
peak MiB       of resident memory, after the first answer
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import itertools
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from gguf_writer import write_shape, write_tensors

NATIVE, LAYERS, HEADS, HEAD_DIM, VOCABULARY = 4096, 8, 8, 64, 4096
SUFFIX = 32  # tokens of a question; all before them is the document
COLUMNS = ("prefill", "decode_ms", "again", "restart", "peak_mib")


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement."""

    peer: str
    folder: str
    length: int
    new: int
    threads: int

    def tokens(self, question: int = 0) -> list[int]:
        """The same document for every question."""
        document = np.random.default_rng(0).integers(3, VOCABULARY, self.length - self.new - SUFFIX)
        asked = np.random.default_rng(1 + question).integers(3, VOCABULARY, SUFFIX)
        return [*map(int, document), *map(int, asked)]


class Codes:
    """A tokenizer whose text is a token's number, so that every token gives a piece at once."""

    eos_token_id = None

    def decode(self, ids: list[int], **_: Any) -> str:
        return "".join(f"{token} " for token in ids)

    def get_vocab(self) -> dict[str, int]:
        return {str(token): token for token in range(VOCABULARY)}


def make_model(folder: Path, kv_heads: int, dtype: str, length: int) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    factor = max(8.0, length / NATIVE)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HEADS * HEAD_DIM,
        intermediate_size=1376,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=kv_heads,
        max_position_embeddings=int(NATIVE * factor),
        rope_parameters={
            "rope_type": "yarn",
            "rope_theta": 10000.0,
            "factor": factor,
            "original_max_position_embeddings": NATIVE,
        },
        eos_token_id=None,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).to({"fp32": torch.float32, "bf16": torch.bfloat16}[dtype])
    model.save_pretrained(folder)
    if importlib.util.find_spec("gguf"):
        write_gguf(model, folder / "model.gguf", factor)


def write_gguf(model: Any, path: Path, factor: float) -> None:
    """The same weights for llama.cpp, in f16."""
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    write_shape(writer, model.config, model.config.max_position_embeddings)
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(factor)
    writer.add_rope_scaling_orig_ctx_len(NATIVE)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([b"<unk>", b"<s>", b"</s>", *(f"<{n}>".encode() for n in range(3, VOCABULARY))])
    writer.add_token_scores([0.0] * VOCABULARY)
    writer.add_token_types([gguf.TokenType.NORMAL] * VOCABULARY)
    write_tensors(writer, model, "float16")


def load(case: Case) -> Any:
    from transformers import AutoModelForCausalLM

    from longctx import LoadedModel

    model = AutoModelForCausalLM.from_pretrained(case.folder, dtype="auto").eval()
    return LoadedModel("bench", model, Codes(), model.config.max_position_embeddings)


def timed(steps: Iterator[Any]) -> dict[str, Any]:
    """Run through an answer: when its first token came, and the median time of those after it."""
    began = time.perf_counter()
    times, tokens = [began], []
    for token in steps:
        times.append(time.perf_counter())
        tokens.append(int(token))
    gaps = [later - earlier for earlier, later in itertools.pairwise(times[1:])]
    return {"prefill": times[1] - began, "decode_ms": 1000 * statistics.median(gaps or [0.0]), "tokens": tokens}


def run_longctx(case: Case) -> dict[str, Any]:
    from longctx import Engine, GenerationOptions

    engine, ids, again = Engine(load(case)), case.tokens(), case.tokens(1)
    result = timed(engine.stream(ids[:-SUFFIX], ids[-SUFFIX:], options=GenerationOptions(case.new)))
    result["peak_mib"] = peak_mib()
    result["again"] = timed(engine.stream(again[:-SUFFIX], again[-SUFFIX:], options=GenerationOptions(1)))["prefill"]
    engine.save_prefix(Path(case.folder) / "prefix", ids[:-SUFFIX])
    return result


def run_longctx_restart(case: Case) -> dict[str, Any]:
    from longctx import Engine, GenerationOptions

    engine, ids = Engine(load(case)), case.tokens()

    def steps() -> Iterator[str]:
        assert engine.load_prefix(Path(case.folder) / "prefix", ids[:-SUFFIX]).refused is None
        yield from engine.stream(ids[:-SUFFIX], ids[-SUFFIX:], options=GenerationOptions(1))

    return {"restart": timed(steps())["prefill"]}


def run_transformers(case: Case) -> dict[str, Any]:
    """`generate` keeps nothing from call to call, so a second question costs what the first did."""
    times: list[float] = []

    class Clock:
        def put(self, _: Any) -> None:
            times.append(time.perf_counter())

        def end(self) -> None:
            pass

    model, ids = load(case).model, torch.tensor([case.tokens()])
    began = time.perf_counter()
    output = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=case.new, do_sample=False, streamer=Clock()
    )
    gaps = [b - a for a, b in itertools.pairwise(times[1:])]  # the first call is told of the prompt
    prefill = times[1] - began
    tokens = output[0, ids.shape[1] :].tolist()
    decode = 1000 * statistics.median(gaps)
    return {"prefill": prefill, "decode_ms": decode, "again": prefill, "peak_mib": peak_mib(), "tokens": tokens}


def llama_cpp(flash: bool) -> Callable[[Case], dict[str, Any]]:
    def run(case: Case) -> dict[str, Any]:
        from llama_cpp import Llama

        llm = Llama(
            str(Path(case.folder) / "model.gguf"),
            n_ctx=case.length,
            n_threads=case.threads,
            n_threads_batch=case.threads,
            flash_attn=flash,
            verbose=False,
        )

        def steps(ids: list[int], new: int) -> Iterator[int]:
            for number, token in enumerate(llm.generate(ids, temp=0.0, repeat_penalty=1.0), start=1):
                yield token
                if number == new:
                    return

        result = timed(steps(case.tokens(), case.new))
        result["peak_mib"] = peak_mib()
        result["again"] = timed(steps(case.tokens(1), 1))["prefill"]  # what it finds in its context it does not read
        return result

    return run


PEERS: dict[str, Callable[[Case], dict[str, Any]]] = {
    "longctx": run_longctx,
    "transformers": run_transformers,
    "llama.cpp f16 flash": llama_cpp(True),
    "llama.cpp f16": llama_cpp(False),
    "restart": run_longctx_restart,
}


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(case: Case) -> dict[str, Any] | str:
    """A measurement in its own process, or why there is none."""
    if case.peer.startswith("llama.cpp") and not importlib.util.find_spec("llama_cpp"):
        return "not installed"
    command = [sys.executable, __file__, "--child", json.dumps(asdict(case))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def row(peer: str, result: dict[str, Any] | str, reference: dict[str, Any] | str) -> str:
    if isinstance(result, str):
        return f"{peer:<22}{result}"
    cells = "".join(f"{result[name]:>12.2f}" if name in result else f"{'-':>12}" for name in COLUMNS)
    pairs = zip(result["tokens"], reference["tokens"], strict=False) if isinstance(reference, dict) else ()
    same = next((number for number, (a, b) in enumerate(pairs) if a != b), len(result["tokens"]))
    return f"{peer:<22}{cells}{same:>8}/{len(result['tokens'])}"


def compare(arguments: argparse.Namespace, kv_heads: int, dtype: str, length: int) -> dict[str, Any] | str:
    """One table; returns our own row."""
    print(f"\n{length} tokens, {kv_heads} KV heads, {dtype}, {arguments.threads} thread(s)")
    print(f"{'':<22}" + "".join(f"{name:>12}" for name in COLUMNS) + "  same tokens as longctx", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        make_model(Path(folder), kv_heads, dtype, length)
        ours: dict[str, Any] | str = "not measured"
        for peer in arguments.peers:
            result = measure(Case(peer, folder, length, arguments.new, arguments.threads))
            if peer == "longctx":
                if isinstance(result, dict):
                    restart = measure(Case("restart", folder, length, arguments.new, arguments.threads))
                    result |= restart if isinstance(restart, dict) else {}
                ours = result
            print(row(peer, result, ours), flush=True)
    return ours


def plot(path: str, grown: dict[str, list[tuple[int, dict[str, Any]]]]) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(13, 4))
    for axis, name in zip(axes, ("prefill", "decode_ms", "peak_mib"), strict=True):
        for label, points in grown.items():
            lengths = [length for length, _ in points]
            axis.plot(lengths, [result[name] for _, result in points], "o-", label=label)
        apart = [length for length in lengths if 8 * length > max(lengths)]
        axis.set_xticks(apart, [f"{length // 1024}K" for length in apart])
        axis.set(xlabel="tokens", title=name, ylim=(0, None))
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[8192, 32768])
    parser.add_argument("--kv-heads", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--dtypes", nargs="+", default=["fp32", "bf16"], choices=["fp32", "bf16"])
    parser.add_argument("--peers", nargs="+", default=list(PEERS)[:-1], choices=list(PEERS)[:-1])
    parser.add_argument("--new", type=int, default=24, help="tokens of an answer")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--plot", help="draw how longctx grows with the length, into this file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        case = Case(**json.loads(arguments.child))
        torch.set_num_threads(case.threads)
        print(json.dumps(PEERS[case.peer](case)))
        return
    print(f"{datetime.date.today()}  {platform.machine()} {platform.system()}  torch {torch.__version__}")
    grown: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for kv_heads in arguments.kv_heads:
        for dtype in arguments.dtypes:
            for length in arguments.lengths:
                ours = compare(arguments, kv_heads, dtype, length)
                if isinstance(ours, dict):
                    grown.setdefault(f"{kv_heads} KV heads, {dtype}", []).append((length, ours))
    if arguments.plot:
        plot(arguments.plot, grown)


if __name__ == "__main__":
    main()
