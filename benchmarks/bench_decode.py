"""Reading and writing with a real model on a CPU: longctx, transformers and llama.cpp, in one run.

    python benchmarks/bench_decode.py MODEL --data DIR [--gguf FILE --work FOLDER] [--questions 2] [--new 48]

MODEL is the folder of a transformers checkpoint, DIR holds XQuAD and JSQuAD (see `squad_questions.py`), FILE is the
same model as a GGUF file, of which a copy in Q8_0 is written into FOLDER. Each kind has a process of its own, one after
the other, since a copy of the weights is all that memory may hold; prompt lookup is switched on and off in turns on the
same model. `--clock cpu` counts the seconds of the processor, which other processes on the machine disturb less; use it
with one thread, and not for servers and llama.cpp, which run in processes of their own.

read, write    tokens per second of the prompt, and of the answer after its first token; in brackets, over the first
               kind's of the same language
a pass         tokens of the answer for each pass of the model
held           answers that hold a gold answer
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
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import httpx
import torch
from gguf_copy import copy_gguf
from squad_questions import FILES, choose, read_corpus
from transformers import AutoTokenizer

from indexes.encoders import has_bf16
from longctx import Engine, GenerationOptions, GgufEngine, LoadedModel, load_model
from longctx.evaluation import answer_held
from longctx.models import is_packed, memory, packing

LOADED: dict[str, dict[str, Any]] = {
    "transformers float32": {"dtype": "float32"},
    "transformers bfloat16": {"dtype": "bfloat16"},
    "float32": {"dtype": "float32"},
    "float32 packed": {"dtype": "float32", "packed": True},
    "bfloat16 packed": {"dtype": "bfloat16", "packed": True},
    "int8 apart": {"quantization": "int8"},  # with a product for each layer, also for those of one input
    "int8": {"quantization": "int8"},
}
SERVE = "transformers serve"
GGUF = ("llama.cpp Q8_0", "llama.cpp Q4_K_M")
ASK = "Quote the sentence that answers the question, then answer it.\n\n{passages}\n\nQuestion: {question}"
PORT = 8765


class Prompt(NamedTuple):
    """A question, its gold answers, and what the model is sent."""

    answers: tuple[str, ...]
    text: str
    ids: list[int]


class Figures(NamedTuple):
    """Of one answer: tokens and seconds of the prompt, then of what was written after its first token."""

    read: float
    reading: float
    written: float
    writing: float
    passes: float
    text: str


Ask = Callable[[Prompt, int, bool], Figures]  # with so many new tokens, and with prompt lookup or without


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = (*LOADED, SERVE, *GGUF)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--gguf", type=Path, help="the model in Q4_K_M")
    parser.add_argument("--work", type=Path, help="where the copy in Q8_0 is kept")
    parser.add_argument("--questions", type=int, default=2, help="of each language")
    parser.add_argument("--new", type=int, default=48, help="tokens of an answer")
    parser.add_argument("--passages", type=int, default=2, help="in a prompt")
    parser.add_argument("--lookup", choices=("both", "no", "yes"), default="both", help="where there is prompt lookup")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--kinds", nargs="+", choices=kinds, help="default: all that this processor has")
    parser.add_argument("--kind", choices=kinds, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        torch.set_num_threads(options.threads)
        for row in measure(options):
            print(json.dumps(row), flush=True)
        return
    rows = []
    for kind in options.kinds or [kind for kind in kinds if runs_here(kind, options)]:
        command = [sys.executable, __file__, *sys.argv[1:], "--kind", kind]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows += [json.loads(line) for line in done.stdout.splitlines()]
        show(rows)
    print(f"\n{platform.processor() or platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {options}")


def runs_here(kind: str, options: argparse.Namespace) -> bool:
    """Emulated bfloat16, and a product for each layer, are measured where they are asked for."""
    if kind in GGUF:
        return options.gguf is not None
    return kind != "int8 apart" and ("bfloat16" not in kind or has_bf16())


def show(rows: list[dict[str, Any]]) -> None:
    names = ("kind", "language", "lookup", "read", "write", "a pass", "held", "weights GB", "peak GB")
    print("\n| " + " | ".join(names) + " |\n| --- | --- | --- |" + " ---: |" * (len(names) - 3))
    first = {row["language"]: row for row in reversed(rows) if row["kind"] == rows[0]["kind"]}
    for row in rows:
        speeds = (f"{row[name]:.2f} ({row[name] / first[row['language']][name]:.2f})" for name in ("read", "write"))
        cells = (row["kind"], row["language"], "yes" if row["lookup"] else "no", *speeds, f"{row['a pass']:.2f}")
        sizes = (f"{row[name]:.2f}" if row[name] else "–" for name in ("weights", "peak"))
        print("| " + " | ".join((*cells, row["held"], *sizes)) + " |", flush=True)


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    clock = time.process_time if options.clock == "cpu" else time.perf_counter
    families = frozenset[str]() if options.kind.endswith("apart") else packing.FUSED_FAMILIES
    rows = []
    with (
        patch.object(packing, "FUSED_FAMILIES", families),
        opened(options, tokenizer, clock) as (ask, lookups, weights),
    ):
        for language in FILES:
            asked, figures = list(prompts(tokenizer, language, options)), dict[bool, list[Figures]]()
            ask(Prompt((), "Good morning.", asked[0].ids[:64]), 4, lookups[-1])  # the first passes prepare others
            for prompt in asked:
                for lookup in lookups:
                    figures.setdefault(lookup, []).append(ask(prompt, options.new, lookup))
            for lookup, given in figures.items():
                known = {"kind": options.kind, "language": language, "lookup": lookup, "weights": weights}
                rows.append(known | total(given, asked))
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 2**20
    yield from (row | {"peak": peak} for row in rows)


def total(figures: list[Figures], asked: list[Prompt]) -> dict[str, Any]:
    read, reading, written, writing, passes = (sum(column) for column in list(zip(*figures, strict=True))[:5])
    held = sum(answer_held(each.text, prompt.answers) for each, prompt in zip(figures, asked, strict=True))
    return {
        "read": read / reading,
        "write": written / writing,
        "a pass": written / passes,
        "held": f"{held} of {len(asked)}",
    }


def prompts(tokenizer: Any, language: str, options: argparse.Namespace) -> Iterator[Prompt]:
    corpus = read_corpus(options.data / FILES[language])
    for asked in choose(corpus, options.questions, 0, seed=0):
        passages = "\n\n".join(corpus.paragraphs[number][1] for number in asked.given[: options.passages])
        text = ASK.format(passages=passages, question=asked.question.question)
        message = [{"role": "user", "content": text}]
        ids = tokenizer.apply_chat_template(message, add_generation_prompt=True)["input_ids"]
        yield Prompt(asked.question.answers or (), text, list(ids))


@contextmanager
def opened(
    options: argparse.Namespace, tokenizer: Any, clock: Callable[[], float]
) -> Iterator[tuple[Ask, tuple[bool, ...], float]]:
    """How to ask, whether without prompt lookup or with it, too, and the weights in GB, where they are known."""
    if options.kind in GGUF:
        file = options.gguf
        if options.kind.endswith("Q8_0"):
            file = copy_gguf(file, options.work / "q8_0.gguf", "Q8_0")
        with GgufEngine.open(file, device="cpu") as engine:
            yield partial(with_llama_cpp, engine), (False,), file.stat().st_size / 2**30
    elif options.kind == SERVE:
        with served(options) as http:
            yield partial(over_http, http, str(options.model), tokenizer), (False,), 0.0
    else:
        loaded = load_model(options.model, device="cpu", **LOADED[options.kind])
        run = with_transformers if options.kind.startswith("transformers") else with_engine
        lookups = {"both": (False, True), "no": (False,), "yes": (True,)}[options.lookup]
        if not is_packed(loaded.model):
            lookups = (False,)
        yield partial(run, loaded, clock), lookups, memory.weight_bytes(loaded.model) / 2**30


def with_engine(loaded: LoadedModel, clock: Callable[[], float], prompt: Prompt, new: int, lookup: bool) -> Figures:
    ends: list[float] = []
    with loaded.model.register_forward_hook(lambda *_: ends.append(clock())):
        began = clock()
        options = GenerationOptions(new, prompt_lookup=lookup)
        stream = Engine(loaded, prefix_bytes=0).stream(prompt.ids, (), options=options)
        text = stream.rest()
    return figures_of(began, ends, len(prompt.ids), stream.completion_tokens, text)


def with_transformers(loaded: LoadedModel, clock: Callable[[], float], prompt: Prompt, new: int, _: bool) -> Figures:
    ends: list[float] = []
    ids = torch.tensor([prompt.ids])
    with loaded.model.register_forward_hook(lambda *_: ends.append(clock())):
        began = clock()
        given = {"max_new_tokens": new, "do_sample": False, "pad_token_id": 0}
        tokens = loaded.model.generate(ids, attention_mask=torch.ones_like(ids), **given)[0, ids.shape[1] :]
    text = loaded.tokenizer.decode(tokens, skip_special_tokens=True)
    return figures_of(began, ends, len(prompt.ids), len(tokens), text)


def figures_of(began: float, ends: list[float], read: int, written: int, text: str) -> Figures:
    return Figures(read, ends[0] - began, written - 1, ends[-1] - ends[0], len(ends) - 1, text)


def with_llama_cpp(engine: GgufEngine, prompt: Prompt, new: int, _: bool) -> Figures:
    """By llama.cpp's own clock, as its pieces of text are no tokens."""
    body = {"prompt": prompt.ids, "n_predict": new, "temperature": 0.0, "cache_prompt": False}
    with engine._server(engine._request((), prompt.ids, None, new)) as server:
        said = server.post("/completion", body)
    times, written = said["timings"], said["timings"]["predicted_n"] - 1
    reading, writing = times["prompt_ms"] / 1000, times["predicted_ms"] / 1000
    return Figures(times["prompt_n"], reading, written, writing, written, said["content"])


@contextmanager
def served(options: argparse.Namespace) -> Iterator[httpx.Client]:
    """`transformers serve` in a process of its own, with weights in float32."""
    transformers = Path(sys.executable).with_name("transformers")
    command = [transformers, "serve", options.model, "--device", "cpu", "--dtype", "float32", "--port", str(PORT)]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{PORT}/v1", timeout=600, trust_env=False) as http,
    ):
        try:
            while True:
                try:
                    http.get("/models")
                    break
                except httpx.TransportError:  # it does not listen yet
                    if server.poll() is not None:
                        sys.exit(f"{' '.join(map(str, command))} ended with {server.returncode}")
                    time.sleep(0.5)
            yield http
        finally:
            server.terminate()


def over_http(http: httpx.Client, model: str, tokenizer: Any, prompt: Prompt, new: int, _: bool) -> Figures:
    message = [{"role": "user", "content": prompt.text}]
    body = {"model": model, "messages": message, "max_tokens": new, "temperature": 0, "stream": True}
    ends, text, began = list[float](), "", time.perf_counter()
    with http.stream("POST", "/chat/completions", json=body) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            if not line.startswith("data: {"):
                continue
            choices = json.loads(line.removeprefix("data: ")).get("choices")
            piece = choices[0]["delta"].get("content") if choices else None
            if piece:
                ends.append(time.perf_counter())
                text += piece
    written = len(tokenizer(text)["input_ids"]) - 1
    return Figures(len(prompt.ids), ends[0] - began, written, ends[-1] - ends[0], written, text)


if __name__ == "__main__":
    main()
