"""What is known of a GGUF file without llama.cpp: its header, its size and its RoPE; and files that are none."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from longctx import BadRequest, DocumentQA, ModelUnavailable, load_model
from longctx.cli import app
from longctx.models import estimate_model, is_gguf, read_gguf


def test_the_header_says_what_the_configuration_does(gguf_file: Path, checkpoint: Path) -> None:
    file, loaded = read_gguf(gguf_file), load_model(checkpoint)
    config = loaded.model.config
    for name in ("max_position_embeddings", "hidden_size", "num_hidden_layers", "num_attention_heads", "head_dim"):
        assert file.config[name] == getattr(config, name), name
    assert file.config["rope_theta"] == config.rope_parameters["rope_theta"]
    assert file.parameters == loaded.parameters
    assert (file.architecture, file.checkpoint().scaling.method) == ("llama", "default")


def test_its_memory_is_estimated(gguf_file: Path) -> None:
    sizing = estimate_model(gguf_file, context=256, available=1 << 30)
    assert [need.tokens for need in sizing.needs] == [128, 256]
    assert sizing.needs[0].weights == gguf_file.stat().st_size
    assert sizing.token_bytes == 2 * 2 * 32 * 4  # keys and values of 2 layers with a head of 32 float32
    assert estimate_model(gguf_file, 256, cache="int8").token_bytes == 2 * 2 * 34
    with pytest.raises(BadRequest, match="run as it is: leave it out"):
        estimate_model(gguf_file, quantization="4bit")


@pytest.mark.parametrize("kind", ["yarn", "linear"])
def test_a_scaling_in_the_file_is_read(checkpoint: Path, tmp_path: Path, kind: str) -> None:
    gguf = pytest.importorskip("gguf")
    from gguf_writer import write_gguf

    def scale(writer) -> None:
        writer.add_rope_scaling_type(gguf.RopeScalingType(kind))
        writer.add_rope_scaling_factor(4.0)
        writer.add_rope_scaling_orig_ctx_len(128)

    own = read_gguf(write_gguf(checkpoint, tmp_path / "scaled.gguf", change=scale, window=512)).checkpoint().scaling
    assert (own.method, own.factor) == (kind, 4.0)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def header(entry: bytes = b"", tensor: bytes = b"") -> bytes:
    """A file with the name of its architecture, an entry and a tensor."""
    named = text("general.architecture") + struct.pack("<I", 8) + text("llama") + entry
    counts = struct.pack("<4sIQQ", b"GGUF", 3, bool(tensor), 1 + bool(entry))
    return counts + named + tensor + bytes(64)


NUMBER, LIST, NO_NUMBER = 4, 9, struct.pack("<If", 6, math.inf)
BAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", "is empty.: download it again"),
    "page": (lambda data: b"<html>not found</html>", "is no GGUF file, though it is named so"),
    "pointer": (lambda data: b"version https://git-lfs.github.com/spec/v1\n", "run `git lfs pull`"),
    "old": (lambda data: data[:4] + b"\1\0\0\0" + data[8:], "is GGUF version 1, an old version: download a current"),
    "the bytes of numbers the other way around": (
        lambda data: data[:4] + b"\0\0\0\3" + data[8:],
        "is a big-endian file, for processors of another kind: download the little-endian one",
    ),
    "ggml": (lambda data: b"tjgg" + data[4:], "from before GGUF"),
    "cut in the header": (lambda data: data[:3000], "is cut short or damaged, at 3,000 bytes: download it again"),
    "lists in lists": (
        lambda data: header(text("a") + struct.pack("<I", LIST) + struct.pack("<IQ", LIST, 1) * 2000),
        "is damaged .lists nested too deep.: download it again",
    ),
    "an endless alignment": (
        lambda data: header(text("general.alignment") + NO_NUMBER),
        "general.alignment is inf, and has to be a power of two",
    ),
    "no alignment": (lambda data: header(text("general.alignment") + struct.pack("<II", NUMBER, 0)), "is damaged"),
    "an endless count of parts": (
        lambda data: header(text("split.count") + NO_NUMBER),
        "split.count is inf, and has to be a whole number",
    ),
    "factors beyond the end": (
        lambda data: header(tensor=text("rope_freqs.weight") + struct.pack("<IQIQ", 1, 1 << 40, 0, 0)),
        "is cut short or damaged",
    ),
    "cut in the weights": (lambda data: data[: len(data) // 2], "is cut short or damaged"),
}


@pytest.mark.parametrize("magic", [b"lmgg", b"tjgg", b"fmgg", b"algg"])
def test_a_file_from_before_gguf_is_told_by_what_is_in_it(tmp_path: Path, magic: bytes) -> None:
    path = tmp_path / "ggml-model-q4_0.bin"  # as they were named
    path.write_bytes(magic + bytes(400))
    with pytest.raises(ModelUnavailable, match="is a GGML file from before GGUF, which llama"):
        DocumentQA.open(tmp_path / "index", path)


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_file_gets_one_line_with_a_remedy(gguf_file: Path, tmp_path: Path, fault: str) -> None:
    change, said = BAD[fault]
    path = tmp_path / "bad.gguf"
    path.write_bytes(change(gguf_file.read_bytes()))
    with pytest.raises(ModelUnavailable, match=said) as error:
        read_gguf(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_part_of_a_model_are_named(gguf_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    from gguf_writer import split_gguf

    with pytest.raises(ModelUnavailable, match=r"there is no file .*none\.gguf"):
        read_gguf(tmp_path / "none.gguf")
    first, second, third = split_gguf(gguf_file, tmp_path / "m", 3)
    whole, split = read_gguf(gguf_file), read_gguf(first)
    assert (split.parameters, split.config) == (whole.parameters, whole.config)
    assert split.nbytes == sum(part.stat().st_size for part in (first, second, third))
    with pytest.raises(ModelUnavailable, match=r"is part 2 of 3 of a split model: give the first, m-00001-of-00003"):
        read_gguf(second)
    held = second.rename(tmp_path / "held")
    with pytest.raises(ModelUnavailable, match=r"m-00002-of-00003\.gguf is not beside it: download all"):
        read_gguf(first)
    third.rename(second)
    held.rename(third)
    with pytest.raises(ModelUnavailable, match=r"m-00002-of-00003\.gguf holds part 3 of 3, and is named part 2 of 3"):
        read_gguf(first)
    with pytest.raises(ModelUnavailable, match=r"is part 1 of 3 of a split model: name it as it was, …-00001-of-00003"):
        read_gguf(first.rename(tmp_path / "model.gguf"))


def test_a_folder_of_gguf_files_is_met_with_the_file(gguf_file: Path, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").symlink_to(gguf_file)
    for look in (load_model, estimate_model):
        with pytest.raises(ModelUnavailable, match=r"give the GGUF file itself, .*model\.gguf"):
            look(tmp_path)
    shown = CliRunner().invoke(app, ["rope", str(tmp_path)])
    assert "give the GGUF file itself" in str(shown.exception)


def test_load_model_says_where_a_gguf_file_goes(gguf_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"is a GGUF file, which llama\.cpp runs: open it with"):
        load_model(gguf_file)
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelUnavailable, match=r"give the GGUF file itself, .*a\.gguf"):
        load_model(tmp_path)
    assert is_gguf("Model.GGUF")
    assert not is_gguf(tmp_path)
