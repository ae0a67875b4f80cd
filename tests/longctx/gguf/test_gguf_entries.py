"""Every entry of a GGUF header that is read, written as something else: refused in one line, or as llama.cpp takes it."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import pytest

from longctx import GgufEngine, ModelUnavailable
from longctx.models import estimate_model, read_gguf

GOOD: dict[str, Any] = {
    "general.architecture": "llama",
    "general.type": "model",
    "general.alignment": 32,
    "general.file_type": 1,
    "split.no": 0,
    "split.count": 1,
    "split.tensors.count": 1,
    "llama.context_length": 4096,
    "llama.embedding_length": 64,
    "llama.block_count": 2,
    "llama.feed_forward_length": 128,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": [2, 2],
    "llama.attention.key_length": 16,
    "llama.attention.value_length": 16,
    "llama.attention.causal": True,
    "llama.rope.dimension_count": 16,
    "llama.rope.freq_base": 10_000.0,
    "llama.rope.scaling.type": "yarn",
    "llama.rope.scaling.factor": 4.0,
    "llama.rope.scale_linear": 4.0,
    "llama.rope.scaling.original_context_length": 1024,
    "llama.rope.scaling.attn_factor": 1.0,
    "tokenizer.chat_template": "{{ messages }}",
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.tokens": ["<s>", "</s>", "a", "b"],
    "tokenizer.ggml.token_type": [3, 3, 1, 1],
    "tokenizer.ggml.add_bos_token": True,
    **{f"tokenizer.ggml.{name}_token_id": 1 for name in ("bos", "eos", "unknown", "eot", "eom")},
}
TEXTS = {name for name, value in GOOD.items() if isinstance(value, str)}
BAD = [
    "4096",
    "",
    [4096, 1, 2],
    ["a"],
    [],
    -5,
    0,
    math.nan,
    math.inf,
    -1.0,
    0.5,
    True,
    2**40,
    "two\nlines",
    {"deep": 1},
]
# what is strange, and still what llama.cpp takes: a number in place of another, or none
TAKEN: dict[str, list[Any]] = {
    **{name: ["4096", "", "two\nlines"] for name in sorted(TEXTS - {"general.architecture"})},
    "llama.rope.scaling.type": [],
    "general.file_type": [0],
    "split.no": [0],
    "split.count": [0],
    "llama.feed_forward_length": [0],
    "llama.rope.freq_base": [2**40],
    "llama.rope.scaling.factor": [0],
    "llama.rope.scale_linear": [0],
    "llama.rope.scaling.original_context_length": [0],
    "llama.rope.scaling.attn_factor": [0.5, 2**40],
    "llama.attention.causal": [True],
    "tokenizer.ggml.add_bos_token": [True],
    **{f"tokenizer.ggml.{name}_token_id": [0] for name in ("bos", "eos", "unknown", "eot", "eom")},
}
# what does not go with the other entries
LATER: dict[str, list[Any]] = {"general.architecture": ["4096"], "tokenizer.ggml.tokens": [["a"]]}


def encoded(value: Any) -> tuple[int, bytes]:
    """The number of a value's type, and its bytes."""
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return 11, struct.pack("<q", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    if isinstance(value, str):
        return 8, struct.pack("<Q", len(value.encode())) + value.encode()
    items = [encoded(item) for item in value] if isinstance(value, list) else [encoded([[1]])]  # lists in lists
    return 9, struct.pack("<IQ", items[0][0] if items else 4, len(items)) + b"".join(data for _, data in items)


def written(path: Path, entries: dict[str, Any]) -> Path:
    """A file with these entries and one tensor of 32 numbers."""
    body = struct.pack("<4sIQQ", b"GGUF", 3, 1, len(entries))
    for name, value in entries.items():
        kind, data = encoded(value)
        body += encoded(name)[1] + struct.pack("<I", kind) + data
    body += encoded("token_embd.weight")[1] + struct.pack("<IQIQ", 1, 32, 0, 0)
    path.write_bytes(body + bytes(-len(body) % 32 + 128))
    return path


@pytest.mark.parametrize("name", GOOD)
def test_an_entry_of_another_type_or_out_of_range_is_named_with_its_remedy(name: str, tmp_path: Path) -> None:
    for number, value in enumerate(BAD):
        entries = {each: good for each, good in GOOD.items() if not each.startswith(f"{name}.")} | {name: value}
        path = written(tmp_path / f"{number}.gguf", entries)
        if any(
            value is taken or (value == taken and type(value) is type(taken))
            for taken in TAKEN.get(name, []) + LATER.get(name, [])
        ):
            continue
        with pytest.raises(ModelUnavailable) as error:
            read_gguf(path)
        assert "\n" not in str(error.value), value
        assert all(part in str(error.value) for part in (str(path), name.removeprefix("llama"))), (value, error.value)
        assert ": " in str(error.value).rpartition(")")[2], error.value


@pytest.mark.parametrize("name", TAKEN)
def test_what_llama_cpp_takes_is_taken(name: str, tmp_path: Path) -> None:
    for number, value in enumerate(TAKEN[name]):
        path = written(tmp_path / f"{number}.gguf", GOOD | {name: value})
        assert estimate_model(path, available=1 << 30).token_bytes > 0
        assert read_gguf(path).checkpoint().scaling.factor >= 1


def test_a_factor_without_a_type_is_linear_as_in_llama_cpp(tmp_path: Path) -> None:
    for number, name in enumerate(("llama.rope.scaling.factor", "llama.rope.scale_linear")):
        entries = {each: value for each, value in GOOD.items() if "scal" not in each} | {name: 4.0}
        own = read_gguf(written(tmp_path / f"{number}.gguf", entries)).checkpoint().scaling
        assert (own.method, own.factor) == ("linear", 4.0)


def test_linear_scaling_reaches_what_the_file_says(tmp_path: Path) -> None:
    bare = {each: value for each, value in GOOD.items() if "scal" not in each}
    linear = bare | {"llama.rope.scaling.type": "linear"}
    stated = {"llama.rope.scaling.factor": 4.0, "llama.rope.scaling.original_context_length": 1024}
    windows = {"one": (linear, 4096), "two": (linear | stated, 4096)}  # a type alone scales nothing
    for name, (entries, window) in windows.items():
        file = read_gguf(written(tmp_path / f"{name}.gguf", entries))
        assert file.window == window
        assert file.checkpoint().scaling.method == ("default" if name == "one" else "linear")
    gemma = {name.replace("llama.", "gemma3."): value for name, value in linear.items()}
    gemma |= {"general.architecture": "gemma3", "gemma3.rope.scaling.factor": 8.0}
    assert read_gguf(written(tmp_path / "gemma.gguf", gemma)).window == 4096


@pytest.mark.parametrize("architecture", ["bert", "nomic-bert-moe", "t5encoder", "t5", "gemma-embedding", "llama"])
def test_an_encoder_is_refused(architecture: str, tmp_path: Path) -> None:
    entries = {name.replace("llama.", f"{architecture}."): value for name, value in GOOD.items()}
    entries |= {"general.architecture": architecture, f"{architecture}.attention.causal": architecture != "llama"}
    with pytest.raises(ModelUnavailable, match=f"is an encoder .{architecture}., which cannot generate: use a decoder"):
        read_gguf(written(tmp_path / "encoder.gguf", entries))


def test_what_does_not_go_together_is_named(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"tokenizer.ggml.token_type": [3, 3, 1]}, r"token_type is a list of 3, and has to be a list of 4"),
        ({"tokenizer.ggml.tokens": ["a"]}, r"bos_token_id is 1, and has to be below 1"),
        ({"tokenizer.ggml.eos_token_id": 4}, r"eos_token_id is 4, and has to be below 4"),
        ({"llama.feed_forward_length": [128] * 3}, r"feed_forward_length is a list of 3, .* a list of 2 numbers"),
        ({"llama.attention.head_count": 0}, r"without attention .llama.attention.head_count is 0."),
    ]
    for number, (entries, said) in enumerate(cases):
        with pytest.raises(ModelUnavailable, match=said):
            read_gguf(written(tmp_path / f"{number}.gguf", GOOD | entries))
    none = read_gguf(written(tmp_path / "none.gguf", GOOD | {"tokenizer.ggml.unknown_token_id": 2**32 - 1}))
    assert none.checkpoint().scaling.method == "yarn"


def test_factors_that_divide_by_nothing_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "bad.gguf", GOOD)
    path.write_bytes(
        path.read_bytes().replace(b"\x11\0\0\0\0\0\0\0token_embd.weight", b"\x11\0\0\0\0\0\0\0rope_freqs.weight")
    )
    with pytest.raises(ModelUnavailable, match=r"rope_freqs.weight divides frequencies by what is no number above 0"):
        read_gguf(path)


def test_a_file_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="GGUF files are run by xllamacpp, from the extra gguf")
    path = written(tmp_path / "bare.gguf", {name: value for name, value in GOOD.items() if "tokenizer" not in name})
    with pytest.raises(
        ModelUnavailable, match=r"states no tokenizer\.ggml\.tokens: give a file that has its tokenizer"
    ):
        GgufEngine.open(path)
