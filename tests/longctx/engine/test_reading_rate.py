"""Reading rates: measured once for a model and a machine, kept in the cache folder, and no error if they cannot be."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import Gemma3nTextConfig, LlamaConfig

from longctx import Engine, LoadedModel, load_model
from longctx.models import attention_work, keep_rate, kept_rate, rate_key

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LONGCTX_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def key_of(loaded: LoadedModel) -> str:
    return rate_key(loaded.model.config, loaded.quantization, loaded.model.device, loaded.model.dtype)


def test_a_rate_is_measured_once_and_kept_for_the_next_engine(loaded: LoadedModel, cache: Path) -> None:
    assert Engine(loaded).reading_speed(measure=False) is None
    assert not cache.exists()
    measured = Engine(loaded).reading_speed()
    assert measured is not None
    [file] = cache.iterdir()
    [(key, entry)] = json.loads(file.read_text()).items()
    assert (key, entry["tokens_per_second"]) == (key_of(loaded), round(measured.rate, 3))
    keep_rate(key, 120.0)
    again = Engine(loaded).reading_speed(measure=False)
    assert again is not None
    assert (again.rate, again.attention) == (120.0, measured.attention)


def test_measuring_leaves_the_prefix_cache_as_it_was(loaded: LoadedModel) -> None:
    engine = Engine(loaded)
    prefix = [7919 * place % 200 for place in range(40)]
    engine.prefix(prefix)
    assert engine.reading_speed() is not None
    assert engine.prefix(prefix).computed == 0
    assert engine.pool.nbytes == engine.prefix(prefix).nbytes


def test_a_window_shorter_than_what_is_measured(short_llama: Path) -> None:
    assert Engine(load_model(short_llama)).reading_speed() is not None


@pytest.mark.parametrize("rate", ["0", "-1", "NaN", "1e999", "null", '"x"', "[]"])
def test_a_rate_that_is_none_is_measured_again(loaded: LoadedModel, cache: Path, rate: str) -> None:
    cache.mkdir()
    entry = f'"tokens_per_second": {rate}, "measured_at": 1'
    (cache / "reading-rates.json").write_text(f'{{"{key_of(loaded)}": {{{entry}}}}}')
    assert kept_rate(key_of(loaded)) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"KEY": 5}', '{"KEY": {}}'])
def test_a_damaged_file_is_measured_again_and_replaced(loaded: LoadedModel, cache: Path, text: str) -> None:
    cache.mkdir()
    (cache / "reading-rates.json").write_text(text.replace("KEY", key_of(loaded)))
    assert kept_rate(key_of(loaded)) is None
    measured = Engine(loaded).reading_speed()
    assert measured is not None
    assert kept_rate(key_of(loaded)) == pytest.approx(measured.rate, rel=1e-3)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(loaded: LoadedModel, cache: Path) -> None:
    cache.mkdir(mode=0o500)
    assert Engine(loaded).reading_speed() is not None


def test_a_cache_folder_that_cannot_be_made_costs_a_measurement_for_each_engine(
    loaded: LoadedModel, cache: Path
) -> None:
    cache.write_text("a file where the folder would be")
    engine = Engine(loaded)
    assert engine.reading_speed() is engine.reading_speed(measure=False) is not None
    assert Engine(loaded).reading_speed(measure=False) is None


def test_rates_of_other_models_and_times_are_kept_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_rate("one", 5.0)
    keep_rate("two", 7.0)
    assert (kept_rate("one"), kept_rate("two"), kept_rate("three")) == (5.0, 7.0, None)
    assert kept_rate("one", oldest=3600.0) == 5.0
    assert kept_rate("one", oldest=-1.0) is None
    before = time.time() - 7200.0
    monkeypatch.setattr(time, "time", lambda: before)
    assert kept_rate("one", oldest=3600.0) is None, "the clock was set back"


def test_a_key_is_of_the_shape_and_not_of_the_weights(loaded: LoadedModel, tiny_chat_llama: Path) -> None:
    assert key_of(loaded) == key_of(load_model(tiny_chat_llama))
    assert key_of(loaded) == key_of(replace(loaded, name="elsewhere"))
    config = loaded.model.config
    others = {
        rate_key(config, None, CPU, torch.bfloat16),
        rate_key(config, "4bit", CPU, torch.float32),
        rate_key(LlamaConfig(), None, CPU, torch.float32),
        rate_key(LlamaConfig(quantization_config={"quant_method": "gptq", "bits": 4}), None, CPU, torch.float32),
    }
    assert len(others | {key_of(loaded)}) == 5
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert f"{threads + 1} threads" in key_of(loaded)
    finally:
        torch.set_num_threads(threads)


def test_the_work_of_attention_by_hand() -> None:
    qwen = LlamaConfig(  # Qwen2.5 1.5B: 28 layers, 12 heads of 128, 2 for keys, 1,310 million weights in them
        hidden_size=1536,
        intermediate_size=8960,
        num_hidden_layers=28,
        num_attention_heads=12,
        num_key_value_heads=2,
    )
    assert attention_work(qwen) == pytest.approx(28 * 12 * 128 / 1.310e9, rel=1e-3)
    qwen.layer_types = ["sliding_attention", "full_attention"] * 14
    assert attention_work(qwen) == pytest.approx(14 * 12 * 128 / 1.310e9, rel=1e-3)
    qwen.num_experts_per_tok = 4
    assert attention_work(qwen) < 14 * 12 * 128 / 4e9
    assert attention_work(Gemma3nTextConfig()) == 0, "whose feed-forward layers have several widths"
