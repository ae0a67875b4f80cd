"""Encoders and rerankers take safetensors only, and an encoder's fingerprint covers every file that it is loaded from."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from safetensors.torch import load_file

from indexes import CorpusIndex, EncoderUnavailable, RerankerUnavailable
from indexes.encoders import load_encoder, load_reranker
from indexes.encoders.hub import explained_loading


class Dangerous:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The files of a model with a second part, whose weights are too short to be loaded."""
    folder = tmp_path / "model"
    (folder / "2_Dense").mkdir(parents=True)
    for name in ("model.safetensors", "2_Dense/model.safetensors", "tokenizer.json", "config.json", "vocab.txt"):
        (folder / name).write_text(f"{{}} {name}")
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "os.mkdir"}]))
    return folder


@pytest.mark.parametrize("part", ["", "2_Dense"])
@pytest.mark.parametrize("pickle_name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "weights.pt"])
def test_a_part_with_a_pickle_in_place_of_safetensors_is_refused(
    model: Path, tmp_path: Path, part: str, pickle_name: str
) -> None:
    import pickle

    (model / part / pickle_name).write_bytes(pickle.dumps(Dangerous(tmp_path / "ran")))
    load_encoder(str(model)).fingerprint  # noqa: B018  # the safetensors beside it are what is loaded
    (model / part / "model.safetensors").unlink()
    with pytest.raises(EncoderUnavailable, match="is a pickle"):
        load_encoder(str(model)).encode_query("a")
    with pytest.raises(RerankerUnavailable, match="is a pickle"):
        load_reranker(str(model)).scores("a", ["b"])
    assert not (tmp_path / "ran").exists()


def test_an_adapter_whose_weights_lie_elsewhere_is_refused(model: Path) -> None:
    (model / "adapter_config.json").write_text("{}")
    with pytest.raises(EncoderUnavailable, match="merge it"):
        load_encoder(str(model)).encode_query("a")


@pytest.mark.parametrize(
    "name", ["model.safetensors", "2_Dense/model.safetensors", "tokenizer.json", "config.json", "vocab.txt", "new.json"]
)
def test_another_file_is_another_fingerprint(model: Path, name: str) -> None:
    before = load_encoder(str(model)).fingerprint
    (model / "README.md").write_text("no part of the model")
    (model / ".cache").mkdir()
    (model / ".cache" / "download.json").write_text("{}")
    assert load_encoder(str(model)).fingerprint == before
    (model / name).write_text("another")
    assert load_encoder(str(model)).fingerprint != before


def test_an_index_that_recorded_the_weights_alone_is_searched(make_index, encoder) -> None:
    folder = make_index({"a.txt": "The lamp turns."})
    with CorpusIndex.open(folder, encoder) as index:
        with index.changing(wait=False) as (store, _):
            store.set_meta("encoder_fingerprint", encoder.weights_fingerprint)
        assert index.search("lamp", mode="dense")
        index.add([])
        with index.changing(wait=False) as (store, _):
            store.set_meta("encoder_fingerprint", "another")
        with pytest.raises(Exception, match="other weights or settings"):
            index.search("lamp", mode="dense")


def test_damaged_weights_are_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 1000)
    with (
        pytest.raises(EncoderUnavailable, match=f"no model could be loaded from {tmp_path}: Error while"),
        explained_loading("model", tmp_path, EncoderUnavailable),
    ):
        load_file(tmp_path / "model.safetensors")
