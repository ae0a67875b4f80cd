"""`longctx extend --data`: what is trained on what, what is written, and what happens to a run that is killed."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from forked_longctx import ForkedLongctx
from limited_files import files_up_to
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from indexes.encoders import has_bf16
from longctx import Engine, GenerationOptions, TrainingError, TrainingOptions, fine_tune, load_model
from longctx.cli.extend import extend
from longctx.training.data import read_sequences
from rope_scaling import RopeScalingError, open_checkpoint, rope_frequencies, scaled_rope

DEMO = Path(__file__).parents[3] / "examples" / "models" / "passkey-llama"
SHORT: dict[str, Any] = {"steps": 3, "warmup": 1, "batch": 2, "length": 64, "learning_rate": 1e-3}
KILLED = """
import os, signal, sys
from longctx import TrainingOptions, fine_tune
from rope_scaling import open_checkpoint

def progress(done):
    if done.step == 5:
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint = open_checkpoint(sys.argv[1])
options = TrainingOptions(steps=7, warmup=1, batch=2, length=64, learning_rate=1e-3, save_every=2)
fine_tune(checkpoint, checkpoint.scaled("yarn", 4096), [sys.argv[2]], sys.argv[3], options, progress=progress)
"""


@pytest.fixture
def prose(tmp_path: Path) -> Path:
    """Two documents of a few hundred tokens, in a folder."""
    folder = tmp_path / "prose"
    folder.mkdir()
    (folder / "a.txt").write_text("the quick brown fox jumps over the lazy dog. " * 30, encoding="utf-8")
    (folder / "b.md").write_text("# Dogs\n\n" + "a lazy dog does not jump over the quick fox. " * 10, encoding="utf-8")
    return folder


def examples(path: Path, *pairs: tuple[str, str]) -> Path:
    path.write_text("".join(json.dumps({"prompt": p, "completion": c}) + "\n" for p, c in pairs), encoding="utf-8")
    return path


def losses(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "losses.jsonl").read_text(encoding="utf-8").splitlines()]


def trained(model: Path, data: Path, out: Path, **options: Any) -> Path:
    checkpoint = open_checkpoint(model)
    return fine_tune(checkpoint, checkpoint.scaled("yarn", 4096), [data], out, TrainingOptions(**(SHORT | options)))


def test_the_command_writes_a_trained_model_that_longctx_and_transformers_load(
    tiny_chat_llama: Path, prose: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "long"
    extend(str(tiny_chat_llama), to=4096, out=out, data=[prose], **SHORT)
    assert capsys.readouterr().out == f"{out}: yarn, from 2,048 to 4,096 tokens\n"
    assert [entry["step"] for entry in losses(out)] == [1, 2, 3]
    assert not (tmp_path / "long.unfinished").exists()
    assert not any(path.suffix in (".bin", ".pt", ".pth") for path in out.rglob("*"))  # nothing that is a pickle

    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_chat_llama, out))
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) for name in before if "norm" not in name)
    theirs: Any = AutoModelForCausalLM.from_pretrained(out)
    frequencies = rope_frequencies(open_checkpoint(tiny_chat_llama).scaled("yarn", 4096), 8, 10_000.0)
    torch.testing.assert_close(theirs.model.rotary_emb.inv_freq, frequencies.inv_freq)
    assert theirs.model.rotary_emb.attention_scaling == pytest.approx(frequencies.attention_factor)
    assert (
        AutoTokenizer.from_pretrained(out).chat_template == AutoTokenizer.from_pretrained(tiny_chat_llama).chat_template
    )

    loaded = load_model(out)
    assert loaded.native_window == 4096
    ids = torch.tensor([loaded.tokenizer("the quick brown fox")["input_ids"] * 500])
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(ids).logits, theirs(ids).logits)
    assert "".join(Engine(loaded).stream((), ids[0].tolist(), None, GenerationOptions(4))) is not None


def test_training_lowers_the_loss(tiny_llama: Path, prose: Path, tmp_path: Path) -> None:
    out = trained(tiny_llama, prose, tmp_path / "out", steps=20, learning_rate=1e-2)
    course = losses(out)
    assert course[-1]["loss"] < 0.7 * course[0]["loss"]
    assert course[0]["learning_rate"] < 1e-2
    assert course[-1]["learning_rate"] < course[10]["learning_rate"]


@pytest.mark.parametrize("prompt_loss", [0.0, 0.5])
def test_the_loss_is_that_under_the_scaling_of_completions_and_a_part_of_prompts(
    prompt_loss: float, tmp_path: Path
) -> None:
    asked, answered = "We walked on. The pass key is 40917. What is the pass key?", " The pass key is 40917."
    data = examples(tmp_path / "e.jsonl", (asked, answered))
    out = trained(DEMO, data, tmp_path / "out", steps=1, batch=1, prompt_loss=prompt_loss)

    loaded = load_model(DEMO)
    prompt, completion = (
        loaded.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (f"<s>{asked}", f"{answered}</s>")
    )
    weights = torch.tensor([prompt_loss] * (len(prompt) - 1) + [1.0] * len(completion))
    ids = torch.tensor([prompt + completion])

    def loss() -> float:
        with torch.no_grad():
            scores = loaded.model(ids).logits[0].log_softmax(-1)
        return float(-(scores[:-1].gather(1, ids[0, 1:, None])[:, 0] * weights).sum() / weights.sum())

    with scaled_rope(loaded.model, open_checkpoint(DEMO).scaled("yarn", 4096)):
        expected = loss()
    assert losses(out)[0]["loss"] == pytest.approx(expected, rel=0.03)  # bf16 where the processor has it
    assert loss() != pytest.approx(expected, rel=0.05)


def test_text_is_packed_with_an_end_after_each_document(tiny_llama: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    (tmp_path / "a.txt").write_text("fox dog fox", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"text": "dog"}\n\n{"text": "fox fox"}\n', encoding="utf-8")
    texts = ("fox dog fox", "dog", "fox fox")
    stream = [token for text in texts for token in (*tokenizer(text, add_special_tokens=False)["input_ids"], 1)]
    sequences = read_sequences([tmp_path], tokenizer, 5)
    assert [sequence.ids.tolist() for sequence in sequences] == [
        [0, *stream[start : start + 4]] for start in range(0, len(stream) - 3, 4)
    ]
    assert not any(sequence.prompt for sequence in sequences)


def test_a_killed_run_goes_on_to_the_same_weights(
    forked_longctx: ForkedLongctx, tiny_llama: Path, prose: Path, tmp_path: Path
) -> None:
    options = {"steps": 7, "save_every": 2}
    whole = trained(tiny_llama, prose, tmp_path / "whole", **options)
    out = tmp_path / "out"
    child = forked_longctx.run_code(KILLED, tiny_llama, prose, out)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert not out.exists()
    unfinished = tmp_path / "out.unfinished"
    shutil.copytree(unfinished / "checkpoint-4", unfinished / "checkpoint-6")
    (unfinished / "checkpoint-6" / "trainer_state.json").unlink()  # as if killed while that was being written

    checkpoint = open_checkpoint(tiny_llama)
    scaling, same = checkpoint.scaled("yarn", 4096), TrainingOptions(**(SHORT | options))
    with pytest.raises(TrainingError, match="holds an unfinished run: --resume"):
        fine_tune(checkpoint, scaling, [prose], out, same)
    with pytest.raises(TrainingError, match=r"another learning_rate \(0.001, now 0.1\)"):
        fine_tune(
            checkpoint,
            scaling,
            [prose],
            out,
            TrainingOptions(**(SHORT | options | {"learning_rate": 0.1})),
            resume=True,
        )
    steps: list[int] = []
    fine_tune(checkpoint, scaling, [prose], out, same, resume=True, progress=lambda done: steps.append(done.step))
    assert steps == [5, 6, 7]
    first, second = (load_file(folder / "model.safetensors") for folder in (whole, out))
    for name, weights in first.items():
        torch.testing.assert_close(second[name], weights, rtol=0, atol=0)
    assert losses(out) == losses(whole)


def test_ctrl_c_keeps_the_run_and_says_how_to_go_on(
    forked_longctx: ForkedLongctx, tiny_llama: Path, prose: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    numbers = {"--to": 4096, "--steps": 10_000, "--length": 64, "--batch": 2, "--save-every": 2}
    options = [str(each) for option in numbers.items() for each in option]
    with forked_longctx.start("extend", tiny_llama, "--data", prose, "--out", out, *options) as process:
        while not [*tmp_path.glob("out.unfinished/checkpoint-*")]:  # any: an older one is removed for the next
            assert process.poll() is None, process.stderr
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr.endswith(
            f"interrupted: the run is kept in {out}.unfinished; add --resume to the same command\n"
        )
        assert "Traceback" not in process.stderr


def test_adapters_are_merged_into_a_whole_model(tiny_llama: Path, prose: Path, tmp_path: Path) -> None:
    out = trained(tiny_llama, prose, tmp_path / "out", lora=True)
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_llama, out))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys()
    assert changed == {name for name in before if "_proj." in name}
    assert load_model(out).native_window == 4096


def test_a_scaled_model_is_trained_on_under_its_own_scaling_only(tiny_llama: Path, prose: Path, tmp_path: Path) -> None:
    extend(str(tiny_llama), to=4096, out=tmp_path / "scaled")
    assert losses(trained(tmp_path / "scaled", prose, tmp_path / "out"))
    with pytest.raises(RopeScalingError, match="scaled already"):
        extend(str(tmp_path / "scaled"), to=8192, out=tmp_path / "more", data=[prose], **SHORT)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.txt", "", "empty.txt: empty file"),
        ("short.txt", "a fox", r"of text and no examples, too little for one sequence of 64"),
        ("photo.png", "x", "photo.png: no reader"),
        ("blank.jsonl", "\n\n", "0 tokens of text and no examples"),
        ("broken.jsonl", '{"text": "a"}\n{"text": ', "broken.jsonl, line 2: not JSON"),
        ("other.jsonl", '{"prompt": "a"}\n', r'other.jsonl, line 1: give {"text"'),
        ("number.jsonl", '{"text": 5}\n', "with strings"),
        (
            "long.jsonl",
            json.dumps({"prompt": "x" * 100, "completion": "y"}),
            "line 1: 103 tokens, over the sequences' 64",
        ),
    ],
)
def test_data_that_nothing_can_be_trained_on(
    name: str, content: str, words: str, tiny_llama: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(TrainingError, match=words):
        trained(tiny_llama, tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out.unfinished").exists()


def test_no_such_data(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nowhere: there is no such file or folder"):
        trained(tiny_llama, tmp_path / "nowhere", tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps is 0: give 1 or more"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"prompt_loss": 2.0}, "prompt_loss is 2.0"),
        ({"length": 8192}, "length is 8192, over the window to reach, 4096"),
        ({"length": 1}, "length is 1"),
    ],
)
def test_bad_options(options: dict[str, Any], words: str, tiny_llama: Path, prose: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=words):
        trained(tiny_llama, prose, tmp_path / "out", **options)


def test_a_window_below_the_native_one(tiny_llama: Path, prose: Path, tmp_path: Path) -> None:
    with pytest.raises(RopeScalingError, match="1024 tokens is below the native 2048"):
        extend(str(tiny_llama), to=1024, out=tmp_path / "out", data=[prose])


def test_folders_that_will_not_do(tiny_llama: Path, prose: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="exists and is not an empty folder"):
        trained(tiny_llama, prose, prose)
    with pytest.raises(TrainingError, match=r"there is no unfinished run in .*out\.unfinished"):
        extend(str(tiny_llama), to=4096, out=tmp_path / "out", data=[prose], resume=True, **SHORT)


@pytest.mark.parametrize(("package", "lora"), [("accelerate", False), ("peft", True)])
def test_a_missing_package_names_the_extra(
    package: str, lora: bool, tiny_llama: Path, prose: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        TrainingError,
        match=rf'needs {package}, from the extra "train": in a checkout of longctx, pip install .* "\.\[train\]"',
    ):
        trained(tiny_llama, prose, tmp_path / "out", lora=lora)


def mean_loss(model: Any, documents: list[list[int]]) -> float:
    """The mean loss of documents, each read by itself with the numbers that training uses on this processor."""
    found = []
    for ids in documents:
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bf16()):
            scores = model(torch.tensor([ids])).logits[0, :-1].float().log_softmax(-1)
        found.append(-scores.gather(1, torch.tensor(ids[1:])[:, None])[:, 0])
    return float(torch.cat(found).mean())


@pytest.mark.parametrize("lora", [False, True])
def test_mixed_windows_train_short_texts_unscaled_and_long_ones_scaled(lora: bool, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(DEMO)
    texts = (
        "We walked on. It was warm. " * 8,
        "The pass key is 40917. " * 8,
        "The wind fell and the boats lay still. " * 60,
    )
    data = tmp_path / "t.jsonl"
    data.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    begin = [tokenizer.bos_token_id] if tokenizer("")["input_ids"] else []
    documents = [
        [*begin, *tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for text in texts
    ]
    assert 256 < len(documents[2]) <= 1024
    options = {"steps": 2, "warmup": 0, "batch": 1, "length": 1024, "learning_rate": 1e-9, "lora": lora}
    checkpoint = open_checkpoint(DEMO)
    scaling = checkpoint.scaled("linear", 1024)
    out = fine_tune(checkpoint, scaling, [data], tmp_path / "out", TrainingOptions(**options, mixed=True))

    model = load_model(DEMO).model
    short, long = mean_loss(model, documents[:2]), mean_loss(model, documents[2:])
    with scaled_rope(model, scaling):
        scaled = [mean_loss(model, documents[:2]), mean_loss(model, documents[2:])]
    near = 1e-3
    got = sorted(entry["loss"] for entry in losses(out))
    assert got == pytest.approx(sorted([short, scaled[1]]), rel=near)
    assert abs(short / scaled[0] - 1) > 3 * near
    assert abs(long / scaled[1] - 1) > 3 * near
    assert load_model(out).window == 1024


def test_mixed_windows_need_long_texts_and_an_unscaled_checkpoint(
    tiny_chat_llama: Path, prose: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="no sequence is longer than the native window of 2,048 tokens"):
        extend(str(tiny_chat_llama), to=4096, out=tmp_path / "out", data=[prose], mixed=True)
    with pytest.raises(TrainingError, match="length is 64, within the native window of 2,048"):
        trained(tiny_chat_llama, prose, tmp_path / "out", mixed=True)
    extend(str(tiny_chat_llama), to=4096, out=tmp_path / "scaled")
    with pytest.raises(TrainingError, match="carries a scaling, which cannot be left out for short texts"):
        trained(tmp_path / "scaled", prose, tmp_path / "out", mixed=True, length=4096)


@pytest.mark.parametrize("option", ["lora", "resume", "mixed"])
def test_training_options_need_data(option: str, tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="needs --data"):
        extend(str(tiny_llama), to=4096, out=tmp_path / "out", **{option: True})


@pytest.mark.parametrize("size", [10, 1000, 40_000, 100_000])
def test_a_full_disk_is_said_and_the_run_goes_on(tiny_llama: Path, prose: Path, tmp_path: Path, size: int) -> None:
    with files_up_to(size), pytest.raises(TrainingError, match=r"out\.unfinished cannot be written to") as error:
        trained(tiny_llama, prose, tmp_path / "out", save_every=1)
    assert "inline_container" not in str(error.value), "torch's own words"
    assert not (tmp_path / "out").exists()
    checkpoint, is_begun = open_checkpoint(tiny_llama), (tmp_path / "out.unfinished").exists()
    options = TrainingOptions(**(SHORT | {"save_every": 1}))
    out = fine_tune(checkpoint, checkpoint.scaled("yarn", 4096), [prose], tmp_path / "out", options, resume=is_begun)
    assert len(losses(out)) == 3
