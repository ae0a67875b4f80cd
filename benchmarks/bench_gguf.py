"""Logits of a GGUF file in llama.cpp, beside those of the same weights in longctx's engine.

    python benchmarks/bench_gguf.py --gguf model-q4_k_m.gguf --text book.txt --work FOLDER --methods none,yarn
    python benchmarks/bench_gguf.py --text book.txt --work FOLDER

The file's weights are written out in float32, once as a GGUF file for llama.cpp and once as a transformers folder for
the engine, which takes four bytes per parameter in each. Without `--gguf`, a random Llama takes its place. Both read
the same tokens of a text, and their logits at the last places are compared. Logits are known up to a constant, so each
row of them is centred first: the error is the length of the difference over the length of the engine's row.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from gguf_copy import copy_gguf
from gguf_writer import write_gguf

from longctx import Engine, GgufEngine, load_model
from rope_scaling import RopeScaling

_FORCED = 10_000.0  # added to the logit of a token that is a whole character, so that llama.cpp ends after it


def in_float32(source: Path, folder: Path) -> tuple[Path, Path]:
    """The weights of a GGUF file in float32: a GGUF file, and a transformers folder. What is there already is kept."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    file = copy_gguf(source, folder / "float32.gguf")
    if not (folder / "model" / "config.json").exists():
        given: dict[str, Any] = {"gguf_file": file.name}
        model = AutoModelForCausalLM.from_pretrained(
            folder, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32, **given
        )
        model.save_pretrained(folder / "model")
        AutoTokenizer.from_pretrained(folder, **given).save_pretrained(folder / "model")
    return file, folder / "model"


def random_llama(folder: Path, window: int) -> tuple[Path, Path]:
    """A random Llama with the tokenizer of the demo model, as a GGUF file and as a transformers folder."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    demo = Path(__file__).parents[1] / "examples" / "models" / "passkey-llama"
    tokenizer = AutoTokenizer.from_pretrained(demo)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=2,
        max_position_embeddings=window,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        initializer_range=0.1,  # with the usual 0.02, attention is all but even, and a scaling changes nothing
    )
    model = folder / f"random-{window}"
    LlamaForCausalLM(config).save_pretrained(model)
    tokenizer.save_pretrained(model)
    return write_gguf(model, model / "model.gguf"), model


def ours(engine: Engine, ids: Sequence[int], last: int, scaling: RopeScaling | None) -> torch.Tensor:
    """The engine's logits at the last places before the end."""
    rows: list[torch.Tensor] = []
    head = engine.loaded.model.get_output_embeddings()
    hook = head.register_forward_hook(lambda module, inputs, output: rows.append(output.flatten(0, -2).float()))
    try:
        engine.token_losses([*ids, ids[-1]], last, scaling)
    finally:
        hook.remove()
    return torch.cat(rows)[-last:]


def theirs(engine: GgufEngine, ids: Sequence[int], last: int, scaling: RopeScaling | None) -> torch.Tensor:
    """llama.cpp's logits at the same places, up to a constant for each."""
    known, letter = engine.loaded.vocabulary_size, engine.loaded.tokenizer.letter
    rows = torch.empty(last, known)
    with engine._server(engine._request((), ids, scaling, 1)) as server:
        for row, place in zip(rows, range(len(ids) - last + 1, len(ids) + 1), strict=True):
            body = {"prompt": list(ids[:place]), "n_predict": 1, "temperature": 0.0, "cache_prompt": True}
            said = server.post("/completion", body | {"logit_bias": [[letter, _FORCED]], "n_probs": known})
            for entry in said["completion_probabilities"][0]["top_logprobs"]:
                row[int(entry["id"])] = float(entry["logprob"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path, help="the GGUF file; without one, a random Llama")
    parser.add_argument("--text", type=Path, required=True, help="what is read")
    parser.add_argument("--work", type=Path, required=True, help="folder for the weights in float32")
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--factor", type=float, default=8.0, help="of the scalings")
    parser.add_argument("--last", type=int, default=8, help="places whose logits are compared")
    parser.add_argument("--methods", default="none,linear,ntk,yarn")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    print("| method | error of the logits, mean (largest) | same likeliest token | longctx | llama.cpp |")
    print("| --- | --- | --- | --- | --- |")
    for method in options.methods.split(","):
        window = 16 + int(options.tokens / (1 if method == "none" else options.factor))
        file, folder = in_float32(options.gguf, options.work) if options.gguf else random_llama(options.work, window)
        loaded = load_model(folder, dtype="float32", device="cpu")
        text = options.text.read_text(encoding="utf-8")[: 12 * options.tokens]
        ids = loaded.tokenizer(text)["input_ids"][: options.tokens]
        native = loaded.native_window
        scaling = None if method == "none" else RopeScaling.for_window(method, int(options.factor * native), native)
        began = time.perf_counter()
        expected = ours(Engine(loaded), ids, options.last, scaling)
        read = time.perf_counter()
        del loaded
        with GgufEngine.open(file) as engine:
            found = theirs(engine, ids, options.last, scaling)
        done = time.perf_counter()
        expected = expected[:, : found.shape[1]]
        expected, found = (rows - rows.mean(1, keepdim=True) for rows in (expected, found))
        errors = (found - expected).norm(dim=1) / expected.norm(dim=1)
        same = int((found.argmax(1) == expected.argmax(1)).sum())
        figures = f"{errors.mean():.3%} ({errors.max():.3%}) | {same} of {options.last}"
        print(f"| {method}, {len(ids):,} tokens | {figures} | {read - began:.0f} s | {done - read:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
