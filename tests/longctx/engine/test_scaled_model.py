"""Models that are loaded with a scaling: what they take, and that it is plain transformers under the same scaling."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from longctx import BadRequest, ContextTooLong, DocumentQA, Engine, GenerationOptions, Policy, load_model
from longctx.models.loaded_model import extended_window
from rope_scaling import (
    AlreadyScaled,
    InvalidScaling,
    RopeScaling,
    UnsupportedModel,
    export_checkpoint,
    scaled_rope,
)

NATIVE = 64  # of short_llama


def prompt(count: int) -> list[int]:
    return torch.randint(3, 200, (count,), generator=torch.Generator().manual_seed(count)).tolist()


def greedy(folder: Path, scaling: RopeScaling | None, ids: list[int], count: int) -> str:
    """What plain transformers continues with, a whole forward pass for each token."""
    loaded = load_model(folder)
    with torch.no_grad(), nullcontext() if scaling is None else scaled_rope(loaded.model, scaling):
        for _ in range(count):
            ids = [*ids, int(loaded.model(torch.tensor([ids])).logits[0, -1].argmax())]
    return loaded.tokenizer.decode(ids[-count:])


@pytest.mark.parametrize(("length", "window"), [(40, None), (56, None), (57, 128), (120, 128), (121, 256)])
def test_a_method_by_name_extends_as_little_as_a_sequence_needs(
    short_llama: Path, length: int, window: int | None
) -> None:
    engine = Engine(load_model(short_llama, scaling="yarn"))
    scaling = None if window is None else RopeScaling.for_window("yarn", window, NATIVE)
    answer = "".join(engine.stream(prompt(length), [], options=GenerationOptions(8)))
    assert answer == greedy(short_llama, scaling, prompt(length), 8)


@pytest.mark.parametrize("method", ["linear", "ntk", "dynamic_ntk", "yarn", "dynamic_yarn"])
def test_a_name_goes_to_32_native_windows_and_no_further(short_llama: Path, method: str) -> None:
    loaded = load_model(short_llama, scaling=method)
    assert loaded.window == 32 * NATIVE
    engine = Engine(loaded)
    assert engine.prefix(prompt(32 * NATIVE)).tokens == 32 * NATIVE
    with pytest.raises(ContextTooLong, match=f"the window holds {32 * NATIVE}"):
        engine.prefix(prompt(32 * NATIVE), room=1)


def test_a_scaling_is_in_force_at_every_length_and_a_calls_own_comes_first(short_llama: Path) -> None:
    given, other = RopeScaling(method="linear", factor=4.0), RopeScaling.for_window("yarn", 512, NATIVE)
    loaded = load_model(short_llama, scaling=given)
    assert loaded.window == 4 * NATIVE
    engine, ids = Engine(loaded), prompt(40)
    for called, in_force in ((None, RopeScaling.for_window("linear", 4 * NATIVE, NATIVE)), (other, other)):
        answer = "".join(engine.stream(ids, [], called, GenerationOptions(8)))
        assert answer == greedy(short_llama, in_force, ids, 8)
    with pytest.raises(ContextTooLong, match="the window holds 256"):
        engine.prefix(prompt(257))


@pytest.mark.parametrize(
    ("scaling", "error", "message"),
    [
        ("yarm", InvalidScaling, "did you mean 'yarn'"),
        ("default", InvalidScaling, "default"),
        (
            RopeScaling(
                method="longrope",
                factor=2.0,
                original_max_position_embeddings=NATIVE,
                short_factor=(1.0,),
                long_factor=(2.0,),
            ),
            InvalidScaling,
            "1",
        ),
    ],
)
def test_what_cannot_scale_the_model_is_said_when_it_is_loaded(short_llama: Path, scaling, error, message: str) -> None:
    with pytest.raises(error, match=message):
        load_model(short_llama, scaling=scaling)


def test_a_checkpoint_that_carries_a_scaling_is_not_scaled_again(short_llama: Path, tmp_path: Path) -> None:
    carried = RopeScaling.for_window("yarn", 256, NATIVE)
    extended = export_checkpoint(short_llama, carried, tmp_path / "extended")
    assert load_model(extended).window == 256
    with pytest.raises(AlreadyScaled, match="is scaled already"):
        load_model(extended, scaling="linear")


def test_a_model_without_rope_is_refused(tmp_path: Path, short_llama: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(vocab_size=400, n_positions=64, n_embd=32, n_layer=1, n_head=2)).save_pretrained(
        tmp_path
    )
    load_model(short_llama).tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModel, match="no rotary embedding"):
        load_model(tmp_path, scaling="yarn")


def test_questions_use_the_window_that_the_scaling_gives(short_llama: Path, tmp_path: Path, encoder) -> None:
    (tmp_path / "log.txt").write_text("The keeper wrote down what she saw.\n\n" + "The lamp turned. " * 400)
    told = []
    policy = Policy(extend_retrieval=True)
    with DocumentQA.open(tmp_path / "index", short_llama, scaling="yarn", policy=policy, encoder=encoder) as qa:
        qa.ingest([tmp_path / "log.txt"])
        answer = qa.ask("Did the lamp turn?", max_new_tokens=4, progress=told.append)
    assert answer.plan.window == 32 * NATIVE
    assert NATIVE < answer.usage.prompt_tokens <= 32 * NATIVE - 4
    assert (told[0].done, told[-1].done) == (0, answer.usage.prompt_tokens)


def test_a_scaling_needs_a_model_to_load(short_llama: Path, tmp_path: Path) -> None:
    for model, remedy in ((None, "give a model"), (load_model(short_llama), "give it where the model is loaded")):
        with pytest.raises(BadRequest, match=f"scaling is 'yarn'.*{remedy}"):
            DocumentQA.open(tmp_path / "index", model, scaling="yarn")
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize(
    ("length", "window"), [(1, 256), (256, 256), (257, 512), (513, 1024), (1024, 1024), (1025, 2048)]
)
def test_a_window_grows_by_powers_of_two_and_no_more_than_a_sequence_needs(length: int, window: int) -> None:
    assert extended_window(256, length) == window
