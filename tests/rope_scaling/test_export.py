"""Checkpoints written with a scaling: what transformers makes of them, what vLLM reads, what is refused."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rope_scaling import (
    AlreadyScaled,
    CheckpointError,
    LengthNeeded,
    RopeScaling,
    export_checkpoint,
    open_checkpoint,
    rope_frequencies,
    scaled_rope,
)

Make = Callable[..., Any]
Run = Callable[..., torch.Tensor]
L = {"original_max_position_embeddings": 64}
YARN = RopeScaling(method="yarn", factor=4.0, **L)
EXPORTED = {
    "linear": RopeScaling(method="linear", factor=4.0, **L),
    "ntk": RopeScaling(method="ntk", factor=4.0, **L),
    "dynamic_ntk": RopeScaling(method="dynamic_ntk", factor=2.0, **L).at_length(256),
    "ntk_by_parts": RopeScaling(method="ntk_by_parts", factor=4.0, **L),
    "yarn": YARN,
    "yarn, attention factor": RopeScaling(method="yarn", factor=4.0, **L, attention_factor=0.9),
    "yarn, mscales": RopeScaling(method="yarn", factor=4.0, **L, mscale=0.7, mscale_all_dim=1.0),
    "dynamic_yarn": RopeScaling(method="dynamic_yarn", **L).at_length(256),
    "llama3": RopeScaling(method="llama3", factor=4.0, **L),
}


@pytest.fixture
def checkpoint(tmp_path: Path, family_model: Make) -> Callable[..., Path]:
    """`checkpoint("llama2", key=value)`: a toy on disk, its config.json changed; None removes a key."""

    def make(family: str = "llama2", **changes: Any) -> Path:
        folder = tmp_path / "source"
        family_model(family).save_pretrained(folder)
        (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 64, "legacy": True}))
        config = json.loads((folder / "config.json").read_text()) | changes
        config = {name: value for name, value in config.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return make


def load(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def config_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize("case", EXPORTED)
@pytest.mark.parametrize("family", ["llama2", "codellama", "gpt_neox"])
def test_transformers_loads_it_with_the_same_logits_as_ours(
    case: str,
    family: str,
    checkpoint: Callable[..., Path],
    tmp_path: Path,
    tokens: torch.Tensor,
    logits: Run,
) -> None:
    scaling, source = EXPORTED[case], checkpoint(family)
    out = export_checkpoint(source, scaling, tmp_path / "out")
    ours = load(source)
    unscaled = logits(ours, tokens)
    with scaled_rope(ours, scaling):
        want = logits(ours, tokens)
    exported = load(out)
    torch.testing.assert_close(logits(exported, tokens), want, rtol=0, atol=2e-5)
    assert (want - unscaled).abs().max() > 0.05
    assert RopeScaling.from_config(config_of(out)).is_fixed
    for n in (40, 100):  # no length of sequence makes transformers choose otherwise
        with scaled_rope(ours, scaling):
            want = logits(ours, tokens[:, :n])
        torch.testing.assert_close(logits(exported, tokens[:, :n]), want, rtol=0, atol=2e-5)


@pytest.mark.parametrize("n", [64, 256])
def test_longrope_is_exported_as_fixed(
    n: int, checkpoint: Callable[..., Path], tmp_path: Path, tokens: torch.Tensor, logits: Run
) -> None:
    factors = {"short_factor": [1.0 + i / 9 for i in range(8)], "long_factor": [2.0 + i for i in range(8)]}
    rope = {"type": "longrope", **factors}
    source = checkpoint("phi3", max_position_embeddings=256, rope_scaling=rope, rope_parameters=None)
    scaling = RopeScaling.from_config(config_of(source)).at_length(n)
    exported, ours = load(export_checkpoint(source, scaling, tmp_path / "out")), load(source)
    for length in (40, 160):
        with scaled_rope(ours, scaling):
            want = logits(ours, tokens[:, :length])
        torch.testing.assert_close(logits(exported, tokens[:, :length]), want, rtol=0, atol=2e-5)


def vllm_reads(config: dict[str, Any], key: str) -> dict[str, Any]:
    """What vLLM's documented keys say, under the name that its newer or its older releases read."""
    parameters = config.get(key) or {"rope_type": "default"}
    kind, longest = parameters["rope_type"], config["max_position_embeddings"]
    if kind == "yarn":
        longest = parameters["original_max_position_embeddings"] * parameters["factor"]
    elif kind not in ("longrope", "llama3"):
        longest *= parameters.get("factor", 1.0)
    magnitude = 1.0
    if kind == "yarn":
        magnitude = (0.1 * math.log(parameters["factor"]) + 1) * parameters.get("attn_factor", 1.0)
    theta = parameters.get("rope_theta") if key == "rope_parameters" else config["rope_theta"]
    return {"kind": kind, "longest": longest, "magnitude": magnitude, "theta": theta}


@pytest.mark.parametrize("key", ["rope_parameters", "rope_scaling"])
@pytest.mark.parametrize("case", EXPORTED)
def test_vllm_finds_the_window_the_magnitude_and_theta(
    case: str, key: str, checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    """What vLLM reads: `rope_type`, `factor`, the original window, `attn_factor`, `rope_theta`."""
    from rope_scaling import rope_frequencies

    scaling = EXPORTED[case]
    read = vllm_reads(config_of(export_checkpoint(checkpoint(), scaling, tmp_path / "out")), key)
    want = rope_frequencies(scaling, 16, 1e4)
    assert read["longest"] == 256
    assert read["magnitude"] == pytest.approx(want.attention_factor, rel=1e-9)
    raised = {"ntk": 4.0, "dynamic_ntk": 2.0 * 4 - 1}.get(case)
    assert read["theta"] == pytest.approx(1e4 * (raised or 1.0) ** (16 / 14))


def test_weights_are_linked_and_the_rest_copied(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    source = checkpoint(auto_map={"AutoModelForCausalLM": "modeling_far_away.Llama"}, unheard_of={"a": [1, "日本"]})
    (source / "modeling_far_away.py").write_text("raise SystemExit('remote code was run')")
    before = config_of(source)
    out = export_checkpoint(source, YARN, tmp_path / "out")
    weights = "model.safetensors"
    assert (out / weights).stat().st_ino == (source / weights).stat().st_ino
    assert (out / "generation_config.json").read_bytes() == (source / "generation_config.json").read_bytes()
    assert (out / "generation_config.json").stat().st_ino != (source / "generation_config.json").stat().st_ino
    assert json.loads((out / "tokenizer_config.json").read_text()) == {
        "model_max_length": 256,
        "legacy": True,
    }
    assert not list(out.glob("*.py"))
    config = config_of(out)
    assert "auto_map" not in config
    assert config["unheard_of"] == {"a": [1, "日本"]}
    assert config_of(source) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_weights_are_copied_where_they_cannot_be_linked(
    checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    source = checkpoint()
    out = export_checkpoint(source, YARN, tmp_path / "out")
    assert (out / "model.safetensors").read_bytes() == (source / "model.safetensors").read_bytes()


def test_a_hub_caches_links_are_followed(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    source = checkpoint()
    blob = (source / "model.safetensors").rename(tmp_path / "blob")
    (source / "model.safetensors").symlink_to(blob)
    out = export_checkpoint(source, YARN, tmp_path / "out")
    assert not (out / "model.safetensors").is_symlink()
    assert (out / "model.safetensors").stat().st_ino == blob.stat().st_ino


def test_yarn_llama_as_published_is_exported_for_transformers_5(
    checkpoint: Callable[..., Path], tmp_path: Path, tokens: torch.Tensor, logits: Run
) -> None:
    source = checkpoint(
        rope_parameters=None,
        rope_scaling={"type": "yarn", "factor": 4.0, **L, "finetuned": True},
        auto_map={"AutoConfig": "configuration_llama.LlamaConfig"},
    )
    own = RopeScaling.from_config(config_of(source))
    out = export_checkpoint(source, own, tmp_path / "out")
    torch.testing.assert_close(logits(load(out), tokens), logits(load(source), tokens), rtol=0, atol=2e-5)
    with pytest.raises(AlreadyScaled, match="scaled already"):
        export_checkpoint(out, RopeScaling(method="linear", factor=2.0), tmp_path / "again")


def test_a_raised_theta_is_not_raised_again(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    out = export_checkpoint(checkpoint(), EXPORTED["ntk"], tmp_path / "out")
    with pytest.raises(AlreadyScaled, match="a raised rope_theta"):
        export_checkpoint(out, EXPORTED["ntk"], tmp_path / "again")
    copied = export_checkpoint(out, RopeScaling(method="default"), tmp_path / "copy")
    assert config_of(copied) == config_of(out)


def test_a_family_that_does_not_take_the_method_is_refused(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="transformers cannot read"):
        export_checkpoint(checkpoint("phi3"), YARN, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_transformers_cannot_compute_is_not_written(tmp_path: Path) -> None:
    """Its YaRN fails where a configuration class leaves head_dim at None, as Mixtral's does."""
    config = AutoConfig.for_model(
        "mixtral", hidden_size=64, intermediate_size=32, num_hidden_layers=1, vocab_size=97, num_local_experts=2
    )
    config.max_position_embeddings = 64
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "source")
    with pytest.raises(CheckpointError, match=r"MixtralConfig.*state it there"):
        export_checkpoint(tmp_path / "source", YARN, tmp_path / "out")
    written = config_of(tmp_path / "source") | {"head_dim": 2}
    (tmp_path / "source" / "config.json").write_text(json.dumps(written))
    assert export_checkpoint(tmp_path / "source", YARN, tmp_path / "out").is_dir()


def test_where_it_will_not_write(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    source = checkpoint()
    full = tmp_path / "full"
    full.mkdir()
    (full / "something").touch()
    for destination, message in (
        (full, "is not an empty folder"),
        (full / "something", "is not an empty folder"),
        (source, "inside the source"),
        (source / "out", "inside the source"),
        (full / "something" / "out", "cannot be written"),
    ):
        with pytest.raises(CheckpointError, match=message):
            export_checkpoint(source, YARN, destination)
    assert sorted(path.name for path in full.iterdir()) == ["something"]
    (empty := tmp_path / "empty").mkdir()
    assert export_checkpoint(source, YARN, empty) == empty


def test_nothing_is_left_of_an_export_that_fails(
    checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copy2", fill_up)
    monkeypatch.setattr(os, "link", fill_up)
    with pytest.raises(CheckpointError, match="No space left"):
        export_checkpoint(checkpoint(), YARN, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_sources_that_cannot_be_exported(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(LengthNeeded, match="at_length"):
        export_checkpoint(checkpoint(), RopeScaling(method="dynamic_ntk", **L), tmp_path / "out")
    source = checkpoint()
    (source / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="holds no weights"):
        export_checkpoint(source, YARN, tmp_path / "out")
    (source / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        export_checkpoint(source, YARN, tmp_path / "out")
    (source / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        open_checkpoint(source)


@pytest.mark.parametrize("name", ["/no/such/folder", "no-such-model", "nobody/no-such-model", ""])
def test_a_model_that_is_nowhere_gets_one_line(name: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_vllm_gets_the_magnitude_of_deepseek_models_by_its_own_formula(tmp_path: Path) -> None:
    """vLLM's DeepseekScalingRotaryEmbedding: the ratio of the mscales, times `attn_factor`."""
    config = {
        **{"model_type": "deepseek_v3", "max_position_embeddings": 64, "rope_theta": 10000.0, "qk_rope_head_dim": 8},
        **{"head_dim": 8, "hidden_size": 64, "num_attention_heads": 4},
    }
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "config.json").write_text(json.dumps(config))
    (tmp_path / "source" / "model.safetensors").write_bytes(b"")
    for name, given in {
        "both": {"mscale": 1.0, "mscale_all_dim": 1.0},
        "none": {},
        "one": {"mscale_all_dim": 0.7},
    }.items():
        scaling = RopeScaling(method="yarn", factor=4.0, original_max_position_embeddings=64, **given)
        folder = export_checkpoint(tmp_path / "source", scaling, tmp_path / name)
        written = json.loads((folder / "config.json").read_text())["rope_parameters"]
        grown = 0.1 * math.log(4.0)
        ratio = (written.get("mscale", 1.0) * grown + 1) / (written.get("mscale_all_dim", 0.0) * grown + 1)
        wanted = rope_frequencies(scaling, 8, 10000.0).attention_factor
        assert ratio * written.get("attn_factor", 1.0) == pytest.approx(wanted)
        assert written.get("attention_factor", wanted) == pytest.approx(wanted)
