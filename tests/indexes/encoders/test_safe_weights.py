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


@pytest.fixture
def small_model(encoder, tmp_path: Path) -> Path:
    """A model of a transformer with random weights, a pooling and a dense layer, which can be loaded."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = tmp_path / "small"
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=30_522, **shape)).save_pretrained(tmp_path / "bert")
    AutoTokenizer.from_pretrained(encoder.folder).save_pretrained(tmp_path / "bert")
    parts = [Transformer(str(tmp_path / "bert")), Pooling(8), Dense(8, 8)]
    SentenceTransformer(modules=parts, device="cpu").save_pretrained(str(folder))
    return folder


def test_a_small_model_is_loaded(small_model: Path) -> None:
    given = load_encoder(str(small_model))
    assert given.encode_query("a lamp").shape == (8,)
    assert str(small_model) == given.name


def shared_out(model: Path, file: str, index: str = "model.safetensors.index.json") -> None:
    """Put another file in the place of a model's weights, and an index of files that names it."""
    names = list(load_file(model / "model.safetensors"))
    (model / "model.safetensors").rename(model / "unused.safetensors")
    (model / index).write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(names, file)}))


def set_in(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize("index", ["model.safetensors.index.json", "other.safetensors.index.json"])
@pytest.mark.parametrize("arguments", ["model_args", "model_kwargs"])
def test_no_configuration_has_a_pickle_run(small_model: Path, tmp_path: Path, index: str, arguments: str) -> None:
    """Its index of files names the pickle, and its settings have it loaded without torch's safe loader."""
    import torch

    torch.save(Dangerous(tmp_path / "ran"), small_model / "weights.bin")
    shared_out(small_model, "weights.bin", index)
    set_in(small_model / "config.json", transformers_weights=index)
    set_in(small_model / "sentence_bert_config.json", **{arguments: {"weights_only": False}})
    with pytest.raises(EncoderUnavailable, match=r"names weights that are no safetensors \('weights.bin'\)"):
        load_encoder(str(small_model)).encode_query("a")
    with pytest.raises(RerankerUnavailable, match="names weights that are no safetensors"):
        load_reranker(str(small_model)).scores("a", ["b"])
    assert not (tmp_path / "ran").exists()


def test_a_configuration_does_not_admit_code_from_the_hub(small_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import BertModel

    given = []
    whole = BertModel.from_pretrained.__func__

    def recorded(kind: type, *arguments: object, **options: object) -> object:
        given.append(options["allow_all_kernels"])
        return whole(kind, *arguments, **options)

    monkeypatch.setattr(BertModel, "from_pretrained", classmethod(recorded))
    set_in(small_model / "sentence_bert_config.json", model_args={"allow_all_kernels": True})
    load_encoder(str(small_model)).encode_query("a")
    assert given == [False]


def test_what_lies_outside_the_folder_is_not_loaded(small_model: Path, tmp_path: Path) -> None:
    (small_model / "1_Pooling").rename(tmp_path / "pooling")
    (small_model / "1_Pooling").symlink_to(tmp_path / "pooling")
    with pytest.raises(EncoderUnavailable, match="1_Pooling is a link to a folder"):
        load_encoder(str(small_model)).encode_query("a")
    (small_model / "1_Pooling").unlink()
    (tmp_path / "pooling").rename(small_model / "1_Pooling")
    config = small_model / "sentence_bert_config.json"
    before = config.read_text()
    set_in(config, tokenizer_name_or_path=str(tmp_path / "bert"))
    with pytest.raises(EncoderUnavailable, match="names a tokenizer elsewhere"):
        load_encoder(str(small_model)).encode_query("a")
    config.write_text(before)
    (small_model / "model.safetensors").rename(tmp_path / "elsewhere.safetensors")
    (small_model / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../elsewhere.safetensors"}}')
    with pytest.raises(EncoderUnavailable, match="names weights outside its folder"):
        load_encoder(str(small_model)).encode_query("a")


def test_only_what_is_in_the_fingerprint_is_loaded(small_model: Path) -> None:
    import torch

    dense = small_model / "2_Dense"
    torch.save(load_file(dense / "model.safetensors"), dense / "pytorch_model.bin")
    (dense / "model.safetensors").rename(dense / "unused.safetensors")
    with pytest.raises(EncoderUnavailable, match=f"could be loaded from {small_model}: Could not find"):
        load_encoder(str(small_model)).encode_query("a")
    (dense / "unused.safetensors").rename(dense / "model.safetensors")
    modules = small_model / "modules.json"
    for hidden in (".dense", "onnx"):
        dense = dense.rename(small_model / hidden)
        modules.write_text(modules.read_text().replace("2_Dense", hidden).replace(".dense", hidden))
        with pytest.raises(EncoderUnavailable, match="could be loaded from"):
            load_encoder(str(small_model)).encode_query("a")


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
