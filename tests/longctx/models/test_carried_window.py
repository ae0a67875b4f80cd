"""The window of a checkpoint that carries a scaling: what it carries decides, whatever its configuration calls native."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from toy_families import save, toy_model

from longctx import BadRequest, ContextTooLong, Engine, GenerationOptions, ModelUnavailable, load_model
from longctx.models import estimate_model
from rope_scaling import InvalidScaling, RopeScaling, export_checkpoint, read_base, stated_window

# config.json as published: what it says of its window, and the window
PUBLISHED: dict[str, tuple[dict[str, Any], int]] = {
    "Qwen2.5's README": (
        {
            "max_position_embeddings": 32768,
            "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
        },
        131_072,
    ),
    "Qwen3's README": (
        {
            "max_position_embeddings": 40960,
            "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
        },
        131_072,
    ),
    "Yarn-Llama-2-7b-128k": (
        {
            "max_position_embeddings": 131072,
            "rope_scaling": {"type": "yarn", "factor": 32.0, "original_max_position_embeddings": 4096},
        },
        131_072,
    ),
    "vicuna-7b-v1.5-16k": (
        {"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4.0}},
        16_384,
    ),
    "longchat-7b-16k": (
        {"max_position_embeddings": 2048, "rope_scaling": {"type": "linear", "factor": 8}},
        16_384,
    ),
    "Llama-3.1-8B": (
        {
            "max_position_embeddings": 131072,
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            },
        },
        131_072,
    ),
    "unscaled": ({"max_position_embeddings": 4096}, 4096),
    "a raised base": ({"max_position_embeddings": 16384, "original_max_position_embeddings": 4096}, 16_384),
    "YaRN without its original window": (
        {"max_position_embeddings": 32768, "rope_scaling": {"type": "yarn", "factor": 4.0}},
        32_768,
    ),
}


@pytest.mark.parametrize(("config", "window"), PUBLISHED.values(), ids=PUBLISHED)
def test_the_window_is_what_the_carried_scaling_reaches(
    config: dict[str, Any], window: int, short_llama: Path, tmp_path: Path
) -> None:
    assert stated_window(config) == window
    folder = shutil.copytree(short_llama, tmp_path / "checkpoint")
    file = folder / "config.json"
    own = {key: value for key, value in json.loads(file.read_text()).items() if key != "rope_parameters"}
    file.write_text(json.dumps(own | {"rope_theta": 10000.0} | config))
    loaded = load_model(folder)
    assert loaded.window == window


def test_memory_is_estimated_for_the_window_that_is_carried(short_llama: Path, tmp_path: Path) -> None:
    folder = export_checkpoint(short_llama, RopeScaling.for_window("linear", 256, 64), tmp_path / "linear")
    assert estimate_model(folder, context=256).window == 256


@pytest.mark.parametrize("method", ["linear", "ntk", "yarn", "ntk_by_parts", "dynamic_ntk", "dynamic_yarn"])
def test_an_exported_checkpoint_opens_with_the_window_that_it_was_exported_for(
    method: str, short_llama: Path, tmp_path: Path
) -> None:
    folder = export_checkpoint(short_llama, RopeScaling.for_window(method, 256, 64), tmp_path / method)
    engine = Engine(load_model(folder))
    assert engine.loaded.window == 256
    engine.stream([5] * 200, [], options=GenerationOptions(56)).close()
    with pytest.raises(ContextTooLong, match=r"no second one can be added$"):
        engine.stream([5] * 200, [], options=GenerationOptions(57))


@pytest.mark.parametrize(
    "config",
    [
        {"rope_scaling": {"type": "yarn", "factor": "4", "original_max_position_embeddings": 64}},
        {"rope_scaling": {"type": "linear", "factor": float("inf")}},
        {"rope_scaling": {"type": "linear", "factor": None}},
        {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 0}},
        {"rope_scaling": ["yarn"]},
        {"rope_theta": 0.0},
        {"max_position_embeddings": -5},
        {"max_position_embeddings": True},
        {"num_attention_heads": 0},
    ],
    ids=str,
)
def test_a_configuration_that_makes_no_model_is_refused(
    config: dict[str, Any], short_llama: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(short_llama, tmp_path / "checkpoint")
    file = folder / "config.json"
    own = {key: value for key, value in json.loads(file.read_text()).items() if key != "rope_parameters"}
    file.write_text(json.dumps(own | {"rope_theta": 10000.0} | config))
    with pytest.raises((ModelUnavailable, InvalidScaling)) as refused:
        load_model(folder)
    assert "no tokenizer" not in str(refused.value)


# as published: the scaling is of the layers that attend to all of the window, which is stated as extended
BY_LAYER: dict[str, tuple[dict[str, Any], int]] = {
    "gemma-3-4b-it": (
        {
            "model_type": "gemma3",
            "text_config": {
                "model_type": "gemma3_text",
                "max_position_embeddings": 131_072,
                "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            },
        },
        131_072,
    ),
    "gemma-3, its text model alone": (
        {
            "model_type": "gemma3_text",
            "max_position_embeddings": 131_072,
            "rope_scaling": {"type": "linear", "factor": 8.0},
        },
        131_072,
    ),
    "gemma-3, as transformers 5 writes it": (
        {
            "model_type": "gemma3_text",
            "max_position_embeddings": 131_072,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            },
        },
        131_072,
    ),
    "YaRN for some layers, beside the native window": (
        {
            "model_type": "olmo3",
            "max_position_embeddings": 8192,
            "rope_parameters": {
                "sliding_attention": {"rope_type": "default", "rope_theta": 5e5},
                "full_attention": {
                    "rope_type": "yarn",
                    "factor": 8.0,
                    "original_max_position_embeddings": 8192,
                    "rope_theta": 5e5,
                },
            },
        },
        65_536,
    ),
}


@pytest.mark.parametrize(("config", "window"), BY_LAYER.values(), ids=BY_LAYER)
def test_a_scaling_of_some_layers_multiplies_no_window_but_that_of_yarn(config: dict[str, Any], window: int) -> None:
    assert stated_window(config) == window


@pytest.mark.filterwarnings("ignore")  # of transformers, about the types of layers
def test_memory_is_estimated_whatever_rope_a_configuration_states(tmp_path: Path) -> None:
    folder = save(toy_model("gemma3_text"), tmp_path / "gemma")
    file = folder / "config.json"
    own = {key: value for key, value in json.loads(file.read_text()).items() if key != "rope_parameters"}
    file.write_text(json.dumps(own | {"rope_scaling": {"rope_type": "linear", "factor": 8.0}}))
    assert estimate_model(folder, context=256).window == load_model(folder).window == own["max_position_embeddings"]


def test_frequencies_that_change_in_an_unknown_way_end_the_window(tmp_path: Path) -> None:
    """Phi-3.5-MoE has magnitudes of its own: with two sets of frequencies, blocks would not fit each other."""
    folder = save(toy_model("phi3"), tmp_path / "phi")
    file = folder / "config.json"
    own = {key: value for key, value in json.loads(file.read_text()).items() if key != "rope_parameters"}
    pairs = read_base(own | {"rope_theta": 10_000.0}).rotary_dim // 2
    longrope = {"type": "longrope", "short_factor": [1.0] * pairs, "long_factor": [2.0] * pairs}
    windows = {"max_position_embeddings": 256, "original_max_position_embeddings": 64}
    file.write_text(json.dumps(own | windows | {"rope_theta": 10_000.0, "rope_scaling": longrope}))
    assert load_model(folder).window == 256
    magnitudes = {"short_mscale": 1.2, "long_mscale": 1.3}
    file.write_text(json.dumps(own | windows | {"rope_theta": 10_000.0, "rope_scaling": longrope | magnitudes}))
    loaded = load_model(folder)
    assert loaded.window == 64
    assert (
        loaded.note
        == "its RoPE changes past 64 tokens in a way that is not understood here, so that this is its window"
    )
    with pytest.raises(BadRequest, match=r"native_window is 128, and its RoPE changes past 64 .*: give 64 or less"):
        load_model(folder, native_window=128)
    assert load_model(folder, native_window=32).window == 32
