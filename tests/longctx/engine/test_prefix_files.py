from __future__ import annotations

import copy
import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from limited_files import files_up_to
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from longctx import Engine, GenerationOptions, LoadedModel
from rope_scaling import RopeScaling

YARN = RopeScaling(method="yarn", factor=2.0, original_max_position_embeddings=2048)


@pytest.fixture(scope="module")
def ids(loaded: LoadedModel) -> list[int]:
    return list(loaded.tokenizer("the quick brown fox jumps over the lazy dog. " * 8)["input_ids"])


def answer(engine: Engine, ids: list[int], scaling: RopeScaling | None = None) -> str:
    return "".join(engine.stream(ids, [7, 8], scaling, GenerationOptions(8)))


@pytest.mark.parametrize("scaling", [None, YARN])
@pytest.mark.parametrize("cache_dtype", ["model", "int8"])
def test_a_saved_prefix_answers_as_a_read_one(loaded, ids, scaling, cache_dtype, tmp_path: Path) -> None:
    engine = Engine(loaded, cache_dtype=cache_dtype)
    assert engine.save_prefix(tmp_path / "new" / "prefix", ids, scaling).computed == len(ids)
    assert stat.S_IMODE((tmp_path / "new" / "prefix").stat().st_mode) == 0o600, "text can be read off keys and values"
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["prefix"]
    other = Engine(loaded, cache_dtype=cache_dtype)
    taken = other.load_prefix(tmp_path / "new" / "prefix", ids, scaling)
    assert (taken.tokens, taken.computed, taken.refused) == (len(ids), 0, None)
    stream = other.stream(ids, [7, 8], scaling, GenerationOptions(8))
    assert "".join(stream) == answer(engine, ids, scaling)
    assert stream.reused_tokens == len(ids)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def header_length(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + path.read_bytes()[8:])


def header(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"shape":[1,', b'"shape":[9,', 1))


def no_json(path: Path) -> None:
    contents = path.read_bytes()
    path.write_bytes(contents[:8] + b"]" + contents[9:])


def one_number(path: Path) -> None:
    contents = bytearray(path.read_bytes())
    contents[-1] ^= 1
    path.write_bytes(bytes(contents))


def a_pickle(path: Path) -> None:
    torch.save({"0.0": torch.ones(1)}, path)


def rewritten(path: Path, change: Callable[[dict[str, torch.Tensor], dict[str, str]], None]) -> None:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors, metadata)
    save_file(tensors, path, metadata)


def no_metadata(path: Path) -> None:
    rewritten(path, lambda _, metadata: metadata.clear())


def no_hash(path: Path) -> None:
    rewritten(path, lambda _, metadata: metadata.pop("contents"))


def a_layer_less(path: Path) -> None:
    """Somebody who also makes the hash right, as from a model with one layer."""
    from longctx.models import hash_tensors

    def change(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
        for name in [name for name in tensors if name.startswith("1.")]:
            del tensors[name]
        metadata["contents"] = hash_tensors(tensors)

    rewritten(path, change)


def missing(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE = {
    cut: "cannot be read",
    empty: "cannot be read",
    header_length: "cannot be read",
    header: "",
    no_json: "cannot be read",
    one_number: "was altered",
    a_pickle: "cannot be read",
    no_metadata: "format is None",
    no_hash: "cannot be read",
    a_layer_less: "does not hold",
    missing: "there is no file",
    a_folder: "cannot be read",
}


@pytest.fixture(scope="module")
def saved(loaded, ids, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "prefix"
    Engine(loaded).save_prefix(path, ids)
    return path


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_a_damaged_file_is_refused_and_the_prefix_read(loaded, ids, saved, damage, tmp_path: Path) -> None:
    path = Path(shutil.copy(saved, tmp_path / "prefix"))
    damage(path)
    engine = Engine(loaded)
    taken = engine.load_prefix(path, ids)
    assert taken.computed == len(ids)
    assert taken.refused
    assert DAMAGE[damage] in taken.refused
    assert answer(engine, ids) == answer(Engine(loaded), ids)


def test_a_file_from_something_else_is_refused(loaded, ids, saved) -> None:
    weights, half = copy.deepcopy(loaded.model), copy.deepcopy(loaded.model).bfloat16()
    with torch.no_grad():
        weights.model.norm.weight[0] += 1e-3
    tokenizer = copy.deepcopy(loaded.tokenizer)
    tokenizer.add_tokens(["<more>"])
    for other, tokens, scaling, options, named in [
        (loaded, [*ids[:-1], 9], None, {}, "tokens"),
        (loaded, ids[:-1], None, {}, "tokens"),
        (loaded, ids, YARN, {}, "rotation"),
        (loaded, ids, None, {"cache_dtype": "int8"}, "dtype"),
        (LoadedModel("other", weights, loaded.tokenizer, 2048), ids, None, {}, "weights"),
        (LoadedModel("other", loaded.model, tokenizer, 2048), ids, None, {}, "tokenizer"),
        (LoadedModel("other", half, loaded.tokenizer, 2048), ids, None, {}, "weights and rotation and dtype"),
    ]:
        taken = Engine(other, **options).load_prefix(saved, tokens, scaling)
        assert taken.refused == f"it was made with other {named}"
        assert taken.computed == len(tokens)


def test_a_file_that_cannot_be_written_leaves_nothing(loaded, ids, tmp_path: Path) -> None:
    with files_up_to(1000), pytest.raises(OSError, match="too large"):
        Engine(loaded).save_prefix(tmp_path / "prefix", ids)
    assert list(tmp_path.iterdir()) == []


def test_the_header_holds_hashes_and_no_text(saved: Path) -> None:
    length = int.from_bytes(saved.read_bytes()[:8], "little")
    said = json.loads(saved.read_bytes()[8 : 8 + length])["__metadata__"]
    assert set(said) == {"format", "contents", "weights", "tokenizer", "tokens", "rotation", "dtype"}
    assert said["dtype"] == "torch.float32 model"
