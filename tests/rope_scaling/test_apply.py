"""A scaling inside a model: taken out again, told in the configuration, refused where it would blend."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from rope_scaling import (
    AlreadyScaled,
    LengthNeeded,
    RopeScaling,
    ScaledRotaryEmbedding,
    UnsupportedConfig,
    UnsupportedModel,
    apply_rope_scaling,
    scaled_rope,
)

L = {"original_max_position_embeddings": 64}
YARN = RopeScaling(method="yarn", factor=4.0, **L)

Make = Callable[..., Any]
Run = Callable[..., torch.Tensor]


def test_everything_is_restored(family_model: Make, tokens: torch.Tensor, logits: Run) -> None:
    model = family_model()
    module, config, before = model.model.rotary_emb, model.config.to_dict(), logits(model, tokens)
    with scaled_rope(model, YARN) as fixed:
        assert fixed == YARN
        assert isinstance(model.model.rotary_emb, ScaledRotaryEmbedding)
        assert not model.model.rotary_emb.training
        assert model.config.rope_parameters["rope_type"] == "yarn"
    assert model.model.rotary_emb is module
    assert model.config.to_dict() == config
    assert torch.equal(logits(model, tokens), before)


def test_restored_after_an_exception(family_model: Make) -> None:
    model = family_model()
    module, config = model.model.rotary_emb, model.config.to_dict()
    with pytest.raises(ZeroDivisionError), scaled_rope(model, YARN):
        raise ZeroDivisionError
    assert model.model.rotary_emb is module
    assert model.config.to_dict() == config


def test_for_good_the_configuration_tells_the_truth(family_model: Make, tokens: torch.Tensor, logits: Run) -> None:
    model = family_model("codellama")
    with scaled_rope(model, YARN):
        want = logits(model, tokens)
    assert apply_rope_scaling(model, YARN) == YARN
    assert torch.equal(logits(model, tokens), want)
    assert model.config.rope_parameters["rope_theta"] == 1_000_000.0
    assert model.config.max_position_embeddings == 256
    assert model.config.original_max_position_embeddings == 64
    assert RopeScaling.from_config(model.config) == YARN


@pytest.mark.parametrize("method", ["linear", "ntk", "ntk_by_parts", "dynamic_ntk", "dynamic_yarn", "llama3"])
def test_for_good_with_every_method_a_new_model_of_that_configuration_agrees(
    method: str, family_model: Make, tokens: torch.Tensor, logits: Run
) -> None:
    model = family_model()
    scaling = RopeScaling.for_window(method, 200, 64)
    apply_rope_scaling(model, scaling)
    config = model.config
    assert config.max_position_embeddings == 200
    fresh = family_model(rope_parameters=dict(config.rope_parameters), max_position_embeddings=200)
    torch.testing.assert_close(logits(fresh, tokens), logits(model, tokens), rtol=0, atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_frequencies_stay_float32_when_the_model_is_cast_afterwards(
    dtype: torch.dtype, family_model: Make, tokens: torch.Tensor, logits: Run
) -> None:
    cast_before, cast_after = family_model().to(dtype), family_model()
    for model in (cast_before, cast_after):
        apply_rope_scaling(model, YARN)
    cast_after.to(dtype)
    assert torch.equal(logits(cast_after, tokens), logits(cast_before, tokens))
    assert cast_after.model.rotary_emb.inv_freq.dtype == torch.float32


def test_frequencies_follow_the_device_and_are_not_lost(family_model: Make) -> None:
    model = family_model()
    apply_rope_scaling(model, YARN)
    module, positions = model.model.rotary_emb, torch.arange(64)[None]
    want = module(torch.zeros(1), positions)
    cos, sin = module(torch.zeros(1, device="meta"), positions.to("meta"))  # a device without values
    assert cos.device == sin.device == torch.device("meta")
    assert all(torch.equal(a, b) for a, b in zip(module(torch.zeros(1), positions), want, strict=True))


@pytest.mark.parametrize("family", ["llama2", "gpt_neox"])
@pytest.mark.parametrize("method", ["yarn", "ntk", "ntk_by_parts", "dynamic_yarn"])
def test_a_model_scaled_for_good_is_saved_as_scaled(
    method: str, family: str, family_model: Make, tokens: torch.Tensor, logits: Run, tmp_path: Path
) -> None:
    model = family_model(family)
    apply_rope_scaling(model, RopeScaling.for_window(method, 200, 64))
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(logits(again, tokens), logits(model, tokens), rtol=0, atol=1e-5)
    assert again.config.max_position_embeddings == 200
    with pytest.raises(AlreadyScaled), scaled_rope(again, RopeScaling(method="linear", factor=2.0)):
        pass


def test_angles_stay_float32_under_autocast(family_model: Make) -> None:
    model = family_model()
    apply_rope_scaling(model, YARN)
    positions = torch.arange(64)[None]
    want = model.model.rotary_emb(torch.zeros(1), positions)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = model.model.rotary_emb(torch.zeros(1), positions)
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


def test_a_model_that_is_scaled_is_not_scaled_again(family_model: Make) -> None:
    model = family_model()
    with scaled_rope(model, YARN):
        with (
            pytest.raises(AlreadyScaled, match=r"scaled already, by RopeScaling.*'yarn'"),
            scaled_rope(model, YARN),
        ):
            pass
        with pytest.raises(AlreadyScaled):
            apply_rope_scaling(model, YARN)
    apply_rope_scaling(model, YARN)
    with pytest.raises(AlreadyScaled), scaled_rope(model.model, YARN):
        pass


def test_a_scaled_checkpoint_takes_its_own_scaling_only(family_model: Make, tokens: torch.Tensor, logits: Run) -> None:
    model = family_model(rope_scaling={"type": "yarn", "factor": 4.0, **L, "finetuned": True})
    want = logits(model, tokens)
    with scaled_rope(model, RopeScaling.from_config(model.config)):
        torch.testing.assert_close(logits(model, tokens), want, rtol=0, atol=2e-5)
    for other in (RopeScaling(method="linear", factor=4.0), RopeScaling(method="yarn", factor=8.0, **L)):
        with (
            pytest.raises(AlreadyScaled, match=r"checkpoint is scaled already, by .*factor=4.0.*from_config"),
            scaled_rope(model, other),
        ):
            pass
    assert torch.equal(logits(model, tokens), want)


def test_two_threads_are_refused_not_blended(family_model: Make, tokens: torch.Tensor, logits: Run) -> None:
    model = family_model()
    with scaled_rope(model, YARN):
        want = logits(model, tokens)
    inside, leave, met = threading.Event(), threading.Event(), []

    def other() -> None:
        try:
            with scaled_rope(model, RopeScaling(method="linear", factor=4.0)):
                met.append("entered")
        except AlreadyScaled as error:
            met.append(str(error))

    def first() -> None:
        with scaled_rope(model, YARN):
            inside.set()
            leave.wait()
            met.append(torch.equal(logits(model, tokens), want))

    threads = [threading.Thread(target=first), threading.Thread(target=other)]
    threads[0].start()
    assert inside.wait()
    threads[1].start()
    threads[1].join()
    leave.set()
    threads[0].join()
    assert "leave the other scaled_rope block first" in met[0]
    assert met[1] is True


def test_a_race_of_many_threads_lets_one_in_at_a_time(family_model: Make) -> None:
    model = family_model()
    module, start, entered, refused = model.model.rotary_emb, threading.Barrier(8), [], []

    def enter() -> None:
        start.wait()
        for _ in range(20):
            try:
                with scaled_rope(model, YARN):
                    entered.append(type(model.model.rotary_emb) is ScaledRotaryEmbedding)
            except AlreadyScaled:
                refused.append(1)

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(entered)
    assert len(entered) + len(refused) == 160
    assert model.model.rotary_emb is module


@pytest.mark.parametrize("method", ["dynamic_ntk", "dynamic_yarn", "longrope"])
def test_a_length_is_asked_for(method: str, family_model: Make) -> None:
    factors = {"short_factor": [1.0] * 8, "long_factor": [2.0] * 8, "factor": 4.0} if method == "longrope" else {}
    scaling, model = RopeScaling(method=method, **L, **factors), family_model()
    with pytest.raises(LengthNeeded, match="give seq_len"), scaled_rope(model, scaling):
        pass
    with pytest.raises(LengthNeeded, match="at_length"):
        apply_rope_scaling(model, scaling)
    with scaled_rope(model, scaling, seq_len=100) as fixed:
        assert fixed.length == 100


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("gpt2", UnsupportedModel, "GPT2LMHeadModel has no rotary embedding"),
        ("codegen", UnsupportedModel, "CodeGenForCausalLM has no rotary embedding"),
        ("gemma3", UnsupportedModel, "Gemma3RotaryEmbedding is not supported"),
        ("cohere", UnsupportedModel, "cannot be replaced faithfully"),
    ],
)
def test_other_models_are_refused(
    name: str, error: type[Exception], message: str, other_models: dict[str, Any]
) -> None:
    with pytest.raises(error, match=message), scaled_rope(other_models[name], YARN):
        pass


def test_a_lost_theta_is_refused(family_model: Make) -> None:
    """A configuration that no longer says what the model's own module was built with."""
    model = family_model("codellama")
    model.config.rope_parameters = {"rope_type": "default", "rope_theta": 10_000.0}
    with pytest.raises(UnsupportedModel, match="θ 10000, 16 dimensions"), scaled_rope(model, YARN):
        pass
    model.config.rope_parameters = {"rope_type": "default"}
    with pytest.raises(UnsupportedConfig, match="rope_theta is None"), scaled_rope(model, YARN):
        pass
