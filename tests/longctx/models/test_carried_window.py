"""The window of a checkpoint that carries a scaling: what it carries decides, whatever its configuration calls native."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from longctx import ContextTooLong, Engine, GenerationOptions, ModelUnavailable, load_model
from longctx.models import estimate_model
from rope_scaling import InvalidScaling, RopeScaling, export_checkpoint, stated_window

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
