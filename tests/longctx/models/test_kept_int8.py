"""Weights in int8 that are kept for the next load: the same numbers, or none."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from longctx import DocumentQA, Engine, load_model
from longctx.models import estimate_model, kept_int8, loading, quantization
from longctx.models.user_cache import cache_path

TOKENS = torch.tensor([[5, 9, 7, 5, 9, 7, 11, 23, 42, 5, 9]])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LONGCTX_CACHE_DIR", str(tmp_path / "cache"))
    return cache_path("int8")


def in_int8(half_llama: Path) -> Any:
    return load_model(half_llama, quantization="int8", device="cpu")


def logits(loaded: Any) -> torch.Tensor:
    with torch.inference_mode():
        return loaded.model(TOKENS).logits


def kept(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.safetensors"))


def test_the_second_load_reads_what_the_first_has_kept(
    half_llama: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = in_int8(half_llama)
    [file] = kept(cache)
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(cache.stat().st_mode)) == (0o600, 0o700)
    monkeypatch.setattr(loading, "read_model", lambda *_, **__: pytest.fail("the checkpoint was read again"))
    second = in_int8(half_llama)
    assert torch.equal(logits(first), logits(second))
    assert Engine(first).identity() == Engine(second).identity()
    assert first.parameters == second.parameters
    assert second.quantization == "int8"
    assert first.model.generation_config.to_dict() == second.model.generation_config.to_dict()
    assert first.model.config.to_dict() == second.model.config.to_dict()
    assert not second.model.training


@pytest.mark.parametrize("changed", ["weights", "config"])
def test_a_checkpoint_that_has_changed_is_quantized_anew(half_llama: Path, cache: Path, changed: str) -> None:
    before = logits(in_int8(half_llama))
    if changed == "weights":
        file = half_llama / "model.safetensors"
        tensors = load_file(file)
        tensors["model.norm.weight"] *= 3
        save_file(tensors, file, {"format": "pt"})
    else:
        config = json.loads((half_llama / "config.json").read_text())
        (half_llama / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 0.5}))
    after = logits(in_int8(half_llama))
    assert not torch.allclose(before, after)
    assert torch.equal(after, logits(in_int8(half_llama)))
    assert len(kept(cache)) == 2


def test_a_damaged_file_is_made_anew(half_llama: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    wanted = logits(in_int8(half_llama))
    [file] = kept(cache)
    data = file.read_bytes()
    damaged = [b"", data[:-1], data[: len(data) // 2], b"\xff" * 64 + data[64:]]
    for place in range(0, len(data), len(data) // 40):
        damaged.append(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
    for each in damaged:
        file.write_bytes(each)
        assert torch.equal(logits(in_int8(half_llama)), wanted)
        assert file.read_bytes() == data
    assert f"{file} is damaged: the weights are quantized again" in caplog.text


def test_a_file_of_another_user_is_not_read(
    half_llama: Path, cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_int8(half_llama)
    [file] = kept(cache)
    with safe_open(file, "pt") as kept_file:
        metadata = kept_file.metadata()
    tensors = load_file(file)
    tensors["model.norm.weight"] *= 3
    save_file(tensors, file, metadata)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    in_int8(half_llama)
    assert "is damaged" not in caplog.text


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_has_taken_the_place_of_a_file_is_not_read(
    half_llama: Path, cache: Path, tmp_path: Path, kind: str
) -> None:
    wanted = logits(in_int8(half_llama))
    [file] = kept(cache)
    file.rename(tmp_path / "moved")
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to(tmp_path / "moved")
    assert torch.equal(logits(in_int8(half_llama)), wanted)
    assert file.is_file()
    assert not file.is_symlink()


def test_what_a_killed_process_left_does_not_take_the_room(
    half_llama: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = cache / f".{'0' * 32}.safetensors.new"
    left.mkdir(parents=True)
    left.with_suffix(".lock").touch()
    free = shutil.disk_usage(cache)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free if left.exists() else free._replace(free=1 << 40))
    in_int8(half_llama)
    assert len(kept(cache)) == 1


def test_files_that_were_not_used_make_room(half_llama: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_int8(half_llama)
    [file] = kept(cache)
    size = file.stat().st_size
    others = [cache / f"{digit * 32}.safetensors" for digit in "01"]
    for age, other in enumerate(others):
        other.write_bytes(bytes(size))
        os.utime(other, (age, age))
    weights = cache / "model-00001-of-00002.safetensors"  # as in a checkpoint, should the folder be a link to one
    weights.write_bytes(b"weights")
    os.utime(weights, (0, 0))
    monkeypatch.setattr(kept_int8, "MOST_BYTES", 5 * size // 2)
    in_int8(half_llama)  # is used, and so the last to go
    (half_llama / "config.json").touch()
    in_int8(half_llama)
    assert file in kept(cache)
    assert len(kept(cache)) == 3
    assert weights.exists()
    assert not any(other.exists() for other in others)


def test_what_has_no_room_is_quantized_at_each_load(
    half_llama: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = logits(in_int8(half_llama))
    kept(cache)[0].unlink()
    with monkeypatch.context() as patch:
        patch.setattr(kept_int8, "MOST_BYTES", 1000)
        assert torch.equal(logits(in_int8(half_llama)), wanted)
    assert not kept(cache)
    (tmp_path / "file").touch()
    monkeypatch.setenv("LONGCTX_CACHE_DIR", str(tmp_path / "file"))  # which is no folder
    assert torch.equal(logits(in_int8(half_llama)), wanted)


@pytest.mark.parametrize(
    ("has_bf16", "least", "options", "expected"),
    [
        (False, 1, {}, "int8"),
        (False, 1, {"quantization": "none"}, None),
        (False, 1, {"dtype": "bfloat16"}, None),
        (False, 500_000_000, {}, None),
        (True, 1, {}, None),
    ],
)
def test_a_large_model_is_in_int8_where_the_processor_lacks_its_dtype(
    has_bf16: bool,
    least: int,
    options: dict[str, Any],
    expected: str | None,
    half_llama: Path,
    tmp_path: Path,
    encoder: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("indexes.encoders.has_bf16", lambda: has_bf16)
    monkeypatch.setattr(quantization, "_LEAST_FOR_INT8", least)
    held = {"device": "cpu"} | options
    with DocumentQA.open(tmp_path / "index", half_llama, encoder=encoder, loading=held) as qa:
        assert ("its weights are kept in int8" in str(qa.model_note)) == (expected == "int8")
    loaded = load_model(half_llama, **{"quantization": "auto"} | held)
    assert loaded.quantization == expected
    assert load_model(half_llama, device="cpu").quantization is None
    if "dtype" not in options:
        sized = estimate_model(half_llama, quantization=held.get("quantization", "auto"))
        whole = estimate_model(half_llama)
        assert (sized.needs[0].weights < whole.needs[0].weights) == (expected == "int8")
