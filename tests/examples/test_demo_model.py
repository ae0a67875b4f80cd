"""The demo model that is shipped: it finds keys in its window, and YaRN lengthens the window."""

from __future__ import annotations

import json
import random
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from longctx import Engine, GenerationOptions, LoadedModel, load_model
from rope_scaling import RopeScaling

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "examples" / "models" / "passkey-llama"
EXTENDED = MODEL.with_name("passkey-llama-yarn-8k")
ROOM = 24  # tokens that an answer may take
OPTIONS = GenerationOptions(ROOM)


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model(MODEL)


@pytest.fixture(scope="module")
def engine(loaded: LoadedModel) -> Engine:
    return Engine(loaded)


@pytest.fixture(scope="module")
def words() -> list[str]:
    """Prose that the model was not trained on, and that does not change: the licence, without its numbers."""
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    return [word for word in text.split() if word.strip(",.:;()").isalpha()]


def haystack(
    loaded: LoadedModel, words: list[str], length: int, depth: float, seed: int
) -> tuple[list[int], list[int], str]:
    """The tokens of a text with one key in it, those of the question, and the key: `length` tokens with the answer's."""
    draw = random.Random(seed)
    key = f"{draw.randrange(10**5):05d}"

    def ids(text: str) -> list[int]:
        return loaded.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]

    needle, suffix = ids(f" The pass key is {key}."), ids("\n\nWhat is the pass key?<|assistant|>")
    start = draw.randrange(len(words))
    prose = ids("<s><|user|>" + " ".join(words[start:] + words * (length // len(words) + 1)))
    prose = prose[: length - ROOM - len(needle) - len(suffix)]
    at = max(2, round(depth * len(prose)))
    return prose[:at] + needle + prose[at:], suffix, key


def found(engine: Engine, words: list[str], length: int, scaling: RopeScaling | None, trials: int) -> int:
    """In how many of `trials` texts, over depths, the key is found."""
    count = 0
    for trial in range(trials):
        prefix, suffix, key = haystack(engine.loaded, words, length, trial / (trials - 1), trial)
        count += key in "".join(engine.stream(prefix, suffix, scaling, OPTIONS))
    return count


def yarn(loaded: LoadedModel, factor: int) -> RopeScaling:
    return RopeScaling(method="yarn", factor=float(factor), original_max_position_embeddings=loaded.native_window)


def test_it_finds_the_key_in_its_window(engine: Engine, words: list[str]) -> None:
    assert found(engine, words, engine.loaded.native_window, None, trials=20) >= 19


def test_yarn_finds_the_key_where_the_model_alone_does_not(engine: Engine, words: list[str]) -> None:
    length = 8 * engine.loaded.native_window
    alone = Engine(load_model(MODEL, native_window=length))  # or the engine would refuse
    assert found(alone, words, length, None, trials=10) <= 1
    assert found(engine, words, length, yarn(engine.loaded, 8), trials=10) >= 9


def test_the_fine_tuned_model_finds_the_key_far_out_as_it_is(words: list[str]) -> None:
    engine = Engine(load_model(EXTENDED))
    assert engine.loaded.native_window == 8192
    assert found(engine, words, 4096, None, trials=5) >= 4

    prefix, suffix, key = haystack(engine.loaded, words, 2048, 0.5, seed=3)
    stock = AutoModelForCausalLM.from_pretrained(EXTENDED)
    ids = stock.generate(torch.tensor([[*prefix, *suffix]]), max_new_tokens=ROOM, do_sample=False)[0]
    answer = engine.loaded.tokenizer.decode(ids[len(prefix) + len(suffix) :], skip_special_tokens=True)
    assert key in answer
    assert answer == "".join(engine.stream(prefix, suffix, None, OPTIONS))


@pytest.mark.parametrize("folder", [MODEL, EXTENDED], ids=lambda folder: folder.name)
def test_the_folder_is_small_and_holds_nothing_that_runs(folder: Path) -> None:
    files = " ".join(sorted(path.name for path in folder.iterdir() if path.suffix not in (".json", ".jsonl", ".jinja")))
    assert files == "README.md model.safetensors"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 12e6
    assert type(load_model(folder).model).__name__ == "LlamaForCausalLM"


def test_the_data_script_writes_examples_of_every_length(
    tmp_path: Path, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, out = tmp_path / "book.txt", tmp_path / "needles.jsonl"
    # fmt: off
    nouns = ["bakery", "bridge", "castle", "cellar", "chapel", "factory", "forest", "garden", "island", "kitchen", "market", "museum"]
    # fmt: on
    book.write_text(" ".join(f"the {noun} was there." for noun in nouns * 500), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["write_needle_data.py", str(book), "--out", str(out), "--examples", "40"])
    monkeypatch.syspath_prepend(ROOT / "examples")  # where it finds the training script
    runpy.run_path(str(ROOT / "examples" / "write_needle_data.py"), run_name="__main__")
    examples = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(examples) == 40
    for example in examples:
        keys = re.findall(r"is (\d{5})", example["completion"])
        assert keys
        assert all(key in example["prompt"] for key in keys)
    as_longctx_asks = [e["prompt"] for e in examples if ":\n<document>" in e["prompt"]]
    assert 10 <= len(as_longctx_asks) <= 30
    assert all(prompt.endswith("?<|assistant|>") for prompt in as_longctx_asks)
    lengths = {
        len(loaded.tokenizer(e["prompt"] + e["completion"], add_special_tokens=False)["input_ids"]) for e in examples
    }
    assert all(length <= 8192 for length in lengths)
    assert len({-(-length // 256) for length in lengths}) >= 3


def test_every_digit_is_a_token(loaded: LoadedModel) -> None:
    pieces = loaded.tokenizer.tokenize("keys 58213 and 007")
    assert [piece.lstrip("Ġ") for piece in pieces if piece.lstrip("Ġ").isdigit()] == list("58213007")


def test_it_answers_through_its_chat_template(engine: Engine, loaded: LoadedModel) -> None:
    asked = [
        {
            "role": "user",
            "content": "We walked along the river. The pass key is 40917. It rained. What is the pass key?",
        }
    ]
    text = loaded.tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    ids = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert "".join(engine.stream((), ids, None, OPTIONS)) == "The pass key is 40917."


def test_the_training_script_writes_a_model_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, pages = ROOT / "examples" / "train_demo_model.py", sorted(map(str, (ROOT / "docs").glob("*.md")))
    monkeypatch.setattr(sys, "argv", [str(script), *pages, "--out", str(tmp_path / "m"), "--smoke"])
    runpy.run_path(str(script), run_name="__main__")
    made = load_model(tmp_path / "m")
    assert made.native_window == 256
    ids = made.tokenizer("What is the pass key?")["input_ids"]
    assert ids[0] == made.tokenizer.bos_token_id
    assert isinstance("".join(Engine(made).stream((), ids, None, GenerationOptions(4))), str)
