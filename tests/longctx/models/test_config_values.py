"""Values in a config.json that do not fit the weights, or the family: transformers' own tokens, or one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from longctx import Engine, GenerationOptions, ModelUnavailable, load_model
from longctx.models import estimate_model
from rope_scaling import RopeScalingError

IDS = torch.randint(2, 290, (40,), generator=torch.Generator().manual_seed(0)).tolist()
LINEAR = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a part of each head, scaled": ({"rope_parameters": LINEAR | {"partial_rotary_factor": 0.5}}, "own config.json"),
    "more layers than weights": ({"num_hidden_layers": 9}, r"lack what .* asks for: model\.layers\.\d\.input"),
    "fewer layers than weights": ({"num_hidden_layers": 1}, r"no place for: model\.layers\.1\.input_layernorm"),
    "biases without weights": ({"attention_bias": True}, r"lack what .*k_proj\.bias"),
    "another shape": ({"intermediate_size": 33}, r"have other shapes than .* asks for: .*_proj\.weight \("),
    "no layers": ({"num_hidden_layers": 0}, "has no layers"),
    "no such scaling": ({"rope_parameters": LINEAR | {"rope_type": "spiral"}}, "rope_type is 'spiral'"),
    "no dimensions": ({"head_dim": 0}, "head_dim is 0"),
    "no such activation": ({"hidden_act": "wavy"}, r"a value in its config\.json cannot be used: KeyError\('wavy'\)"),
    "a window below 0": ({"max_position_embeddings": -64}, "no window above 0 tokens: give native_window"),
}
READ: dict[str, dict[str, Any]] = {
    "a part of each head": {"partial_rotary_factor": 0.5},
    "parameters by type of layer": {"rope_parameters": {"full_attention": {"rope_type": "default"}}},
    "a factor in words": {"rope_parameters": {"rope_theta": 10_000.0, "partial_rotary_factor": "half"}},
    "an original window in words": {"original_max_position_embeddings": "64"},
    "a window that slides over nothing": {"sliding_window": None},
}

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers, about such values


def changed(folder: Path, target: Path, values: dict[str, Any]) -> Path:
    shutil.copytree(folder, target)
    file = target / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
    return target


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_right_is_refused_in_one_line(case: str, tiny_llama: Path, tmp_path: Path) -> None:
    values, said = REFUSED[case]
    folder = changed(tiny_llama, tmp_path / "model", values)
    with pytest.raises(ModelUnavailable, match=said) as error:
        Engine(load_model(folder))
    assert "\n" not in str(error.value)
    assert str(folder) in str(error.value) or case == "no layers"


def test_tensors_that_the_configuration_has_no_place_for_are_refused_unless_no_token_depends_on_them(
    tiny_llama: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    def with_tensor(name: str) -> Path:
        folder = changed(tiny_llama, tmp_path / name, {})
        save_file(load_file(tiny_llama / "model.safetensors") | {name: torch.ones(2)}, folder / "model.safetensors")
        return folder

    for name in ("model.layers.0.self_attn.q_proj.bias", "model.layers.9.mlp.up_proj.weight"):
        with pytest.raises(ModelUnavailable, match=f"no place for: {name}; give"):
            load_model(with_tensor(name))
    for name in (
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        "model.layers.2.eh_proj.weight",  # of layers that predict further tokens
        "model.mtp.layers.0.mlp.up_proj.weight",
        "vision_tower.encoder.layers.7.mlp.up_proj.weight",
    ):
        assert load_model(with_tensor(name)).parameters


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ({"weight_map": {"model.embed_tokens.weight": "../elsewhere.safetensors"}}, "outside its folder .*elsewhere"),
        ({"weight_map": {"model.embed_tokens.weight": "/tmp/model.safetensors"}}, "outside its folder"),
        ({"weight_map": {"model.embed_tokens.weight": 7}}, "outside its folder"),
        ({"weight_map": {"model.embed_tokens.weight": "weights.bin"}}, "no safetensors .'weights.bin'"),
        ({"weight_map": [1]}, "cannot be read"),
        ({}, "cannot be read"),
        ("{", "cannot be read"),
    ],
)
def test_weights_outside_the_folder_are_refused(index: Any, said: str, tiny_llama: Path, tmp_path: Path) -> None:
    folder = changed(tiny_llama, tmp_path / "model", {})
    (folder / "model.safetensors").rename(tmp_path / "elsewhere.safetensors")
    text = index if isinstance(index, str) else json.dumps(index)
    (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelUnavailable, match=said) as error:
        load_model(folder)
    assert "\n" not in str(error.value)


def test_an_index_of_files_under_another_name_is_looked_at_too(tiny_llama: Path, tmp_path: Path) -> None:
    named = {"transformers_weights": "other.safetensors.index.json"}
    folder = changed(tiny_llama, tmp_path / "model", named)
    index = {"weight_map": {"model.embed_tokens.weight": "../elsewhere.safetensors"}}
    (folder / "other.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(ModelUnavailable, match=r"outside its folder .*elsewhere"):
        load_model(folder)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"use_safetensors": None}, "pytorch_model.bin"),  # which takes the argument of that name
        ({"transformers_weights": "adapter_model.bin"}, "adapter_model.bin"),
    ],
)
def test_a_configuration_does_not_bring_in_a_pickle(
    values: dict[str, Any], name: str, tiny_llama: Path, tmp_path: Path
) -> None:
    folder = changed(tiny_llama, tmp_path / "model", values)
    torch.save(AutoModelForCausalLM.from_pretrained(tiny_llama).state_dict(), folder / name)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match="holds no weights as safetensors"):
        load_model(folder)


def test_the_base_of_an_adapter_is_no_adapter_of_a_third_model(tiny_llama: Path, tmp_path: Path) -> None:
    """Transformers would load the third, which has been checked by nobody."""
    base = changed(tiny_llama, tmp_path / "base", {})
    (base / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tiny_llama)}))
    lora = tmp_path / "lora"
    lora.mkdir()
    said = {"peft_type": "LORA", "base_model_name_or_path": str(base), "r": 8, "target_modules": ["q_proj"]}
    (lora / "adapter_config.json").write_text(json.dumps(said))
    save_file({"a": torch.ones(1)}, lora / "adapter_model.safetensors")
    with pytest.raises(ModelUnavailable, match="base is an adapter of another model"):
        load_model(lora)


def test_weights_in_several_files_are_read(tiny_llama: Path, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_llama)
    folder = changed(tiny_llama, tmp_path / "model", {})
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="50KB")
    assert len([*folder.glob("*.safetensors")]) > 1
    assert Engine(load_model(folder)).token_losses(IDS, 8) == Engine(load_model(tiny_llama)).token_losses(IDS, 8)


@pytest.mark.parametrize("case", READ)
def test_what_transformers_reads_is_read_alike(case: str, tiny_llama: Path, tmp_path: Path) -> None:
    folder = changed(tiny_llama, tmp_path / "model", READ[case])
    engine = Engine(load_model(folder), block=7)
    theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        scores = theirs(torch.tensor([IDS])).logits[0, -9:-1].log_softmax(-1)
    expected = -scores.gather(1, torch.tensor(IDS[-8:])[:, None])[:, 0]
    torch.testing.assert_close(torch.tensor(engine.token_losses(IDS, 8)), expected, rtol=0, atol=1e-4)
    assert engine.stream(IDS, (), options=GenerationOptions(2)).rest() is not None


@pytest.mark.parametrize("values", [{"num_hidden_layers": 0}, {"num_key_value_heads": 0}, {"head_dim": 0}])
def test_nothing_is_estimated_of_such_a_model(values: dict[str, Any], tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises((ModelUnavailable, RopeScalingError)):
        estimate_model(changed(tiny_llama, tmp_path / "model", values))
