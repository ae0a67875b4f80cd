from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from indexes.encoders import cpu_inference as inference
from indexes.encoders.cpu_products import Bf16Product, Int8Product, Product, why_not_bf16, why_not_int8
from indexes.encoders.packed_bert import is_packed, pack_encoders
from indexes.encoders.sentence_encoder import load_encoder


@pytest.fixture
def bf16_products() -> None:
    """Skips a test of bf16 products where `why_not_bf16`, which also keeps them from being used, gives a reason."""
    if (reason := why_not_bf16()) is not None:
        pytest.skip(reason)


@pytest.mark.parametrize("passage_prompt", ["document", "passage", "corpus"])
def test_an_encoder_brings_its_prompts_window_and_languages(encoder, tmp_path: Path, passage_prompt: str) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(encoder.folder), device="cpu")
    model.prompts = {"query": "find this: ", passage_prompt: "one passage of a text: "}
    model.max_seq_length = 40
    model.save_pretrained(str(tmp_path))
    (tmp_path / "README.md").write_text("---\nlanguage: [ja, en]\n---\n")

    given = load_encoder(str(tmp_path))
    assert given.languages == {"ja", "en"}
    assert given.max_tokens == 40 - 2 - 6, "two special tokens, and a prompt of six"
    expected = model.encode(["find this: the lamp", "one passage of a text: the lamp"], normalize_embeddings=True)
    np.testing.assert_allclose(given.encode_query("the lamp") @ expected[0], 1.0, atol=1e-3)
    np.testing.assert_allclose(given.encode_passages(["the lamp"])[0] @ expected[1], 1.0, atol=1e-3)
    assert given.encode_query("the lamp") @ expected[1] < 0.99


WHY_NOT = {Bf16Product: why_not_bf16, Int8Product: why_not_int8}


@pytest.fixture(params=WHY_NOT, ids=["bf16", "int8"])
def product(request: pytest.FixtureRequest) -> type[Product]:
    """Each kind of product that oneDNN has here."""
    if (reason := WHY_NOT[request.param]()) is not None:
        pytest.skip(reason)
    return request.param


TEXTS = ["the lamp on a table by the old bridge"[: 3 + 5 * (i % 7)] + " over it" * (i % 5) for i in range(60)]
TEXTS += ["東京の川。", "word " * 400, "x"]


@pytest.mark.parametrize(
    ("kind", "mean", "least"), [(Bf16Product, 0.9999, 0.9995), (Int8Product, 0.999, 0.997), (None, 0.999999, 0.99999)]
)
def test_passages_in_batches_of_one_length_get_the_vectors_of_the_plain_model(
    encoder, monkeypatch: pytest.MonkeyPatch, kind: type[Product] | None, mean: float, least: float
) -> None:
    """In the order of the texts, and with fp32's cosine; bf16 is slow but right where oneDNN emulates it."""
    from sentence_transformers import SentenceTransformer

    if kind is not None and (reason := WHY_NOT[kind]()) is not None:
        pytest.skip(reason)
    monkeypatch.setattr(inference, "has_bf16", lambda: kind is Bf16Product)
    monkeypatch.setattr(inference, "has_int8", lambda: kind is Int8Product)
    given = load_encoder(str(encoder.folder))
    expected = SentenceTransformer(str(encoder.folder), device="cpu").encode(TEXTS, normalize_embeddings=True)
    vectors = given.encode_passages(TEXTS)
    assert vectors.dtype == np.float32
    cosines = (vectors * expected).sum(1)
    assert cosines.mean() > mean
    assert cosines.min() > least
    np.testing.assert_allclose(given.encode_passages(TEXTS[7:8])[0] @ vectors[7], 1.0, atol=1e-4)
    assert given.encode_passages([]).shape == (0, vectors.shape[1])


def test_a_processor_whose_bf16_is_slower_than_float32_does_not_use_it(
    bf16_products, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Intel's with AMX switched off."""
    import torch

    assert 0.01 < inference.speedup(Bf16Product) < 100
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    for speedup in (0.6, 2.1):
        monkeypatch.setattr(inference, "speedup", lambda _, speedup=speedup: speedup)
        assert inference.has_bf16() == (speedup > 1)
        assert not inference.has_int8()


def test_a_processor_with_bf16_that_onednn_does_not_use_gets_the_plain_model(
    encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under ONEDNN_MAX_CPU_ISA, or in a torch without oneDNN."""
    import torch
    from sentence_transformers import SentenceTransformer

    features = {"avx512_bf16": True, "amx_bf16": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features, raising=False)
    monkeypatch.setattr(inference, "speedup", lambda _: 2.1)
    assert inference.has_bf16() == (why_not_bf16() is None)
    monkeypatch.setattr(inference, "why_not_bf16", lambda: "oneDNN has no bf16 products here")
    assert not inference.has_bf16()
    expected = SentenceTransformer(str(encoder.folder), device="cpu").encode(TEXTS, normalize_embeddings=True)
    given = load_encoder(str(encoder.folder))
    np.testing.assert_allclose(given.encode_passages(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(given.encode_query(TEXTS[0]), expected[0], atol=1e-5)


@pytest.mark.parametrize("gone", ["_reorder_linear_weight", "_linear_pointwise"])
@pytest.mark.parametrize("error", [AttributeError, NotImplementedError])
def test_a_missing_operator_is_noticed(gone: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def missing(*_: object) -> None:
        raise error("no such operator")

    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this torch was built without oneDNN")
    monkeypatch.setattr(torch.ops.mkldnn, gone, missing)
    why_not_bf16.cache_clear()
    try:
        assert "oneDNN has no bf16 products here: " in why_not_bf16()
    finally:
        why_not_bf16.cache_clear()


def test_int8_is_used_where_the_processor_has_it_and_it_is_exact_and_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    for feature in ("avx512_vnni", "avx_vnni", "avx2"):
        for reason in (None, "oneDNN's int8 products are not exact here"):
            for speedup in (0.6, 2.1):
                monkeypatch.setattr(torch.cpu, "get_capabilities", lambda f=feature: {f: True}, raising=False)
                monkeypatch.setattr(inference, "why_not_int8", lambda reason=reason: reason)
                monkeypatch.setattr(inference, "speedup", lambda _, speedup=speedup: speedup)
                assert inference.has_int8() == (feature != "avx2" and reason is None and speedup > 1)


def test_a_processor_with_vnni_has_exact_int8_products() -> None:
    """Otherwise broken ones would be left unused without a word, and the tests of them skipped."""
    import torch

    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    if not (capabilities.get("avx512_vnni") or capabilities.get("avx_vnni")) or "ONEDNN_MAX_CPU_ISA" in os.environ:
        pytest.skip("no VNNI, or oneDNN may not use it")
    assert why_not_int8() is None


def test_a_model_whose_vectors_int8_would_change_stays_in_float32(encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    if (reason := why_not_int8()) is not None:
        pytest.skip(reason)
    monkeypatch.setattr(inference, "has_bf16", lambda: False)

    class Rough(Int8Product):
        def __call__(self, inputs, activation="none"):
            return super().__call__(inputs.round(), activation)

    def vectors(has_int8: bool, product: type[Product]) -> np.ndarray:
        monkeypatch.setattr(inference, "has_int8", lambda: has_int8)
        monkeypatch.setattr(inference, "Int8Product", product)
        return load_encoder(str(encoder.folder)).encode_passages(TEXTS)

    plain = vectors(False, Int8Product)
    assert abs(vectors(True, Int8Product) - plain).max() > 1e-4
    np.testing.assert_allclose(vectors(True, Rough), plain, atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 2, 60])
def test_int8_products_stand_large_channels_and_empty_rows(tokens: int) -> None:
    import torch

    if (reason := why_not_int8()) is not None:
        pytest.skip(reason)
    torch.manual_seed(0)
    weight, bias, inputs = torch.randn(48, 96), torch.randn(48), torch.randn(tokens, 96)
    inputs[:, 5] *= 40
    inputs[0] = 0
    with torch.inference_mode():
        found, plain = Int8Product(weight, bias)(inputs), torch.nn.functional.linear(inputs, weight, bias)
    assert torch.equal(found[0], bias)
    assert (found - plain).norm() <= 0.02 * plain.norm()


def test_a_tokenizer_that_pads_on_the_left(encoder, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(encoder.folder), device="cpu")
    model.tokenizer.padding_side = "left"
    model.save_pretrained(str(tmp_path))
    vectors = load_encoder(str(tmp_path)).encode_passages(TEXTS)
    assert ((vectors * encoder.encode_passages(TEXTS)).sum(1) > 0.999).all()


def test_encoding_leaves_the_number_of_threads_alone(encoder) -> None:
    import torch

    before = torch.get_num_threads()
    encoder.encode_passages(TEXTS)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("kind", "activation", "can_be_packed"),
    [
        ("bert", "gelu", True),
        ("roberta", "gelu", True),
        ("xlm-roberta", "gelu", True),
        ("bert", "gelu_new", False),
        ("roberta-prelayernorm", "gelu", False),
        ("distilbert", "gelu", False),
    ],
)
@pytest.mark.parametrize("padded", ["not", "right", "left"])
def test_what_is_packed_gives_what_the_plain_model_does(
    kind: str, activation: str, can_be_packed: bool, padded: str, product: type[Product]
) -> None:
    import torch
    from transformers import AutoConfig, AutoModel

    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, vocab_size=100, hidden_act=activation, initializer_range=0.2, **sizes)
    model = AutoModel.from_config(config).eval()
    lengths = torch.tensor([12, 12, 12] if padded == "not" else [12, 3, 7])
    mask = torch.arange(12) < lengths[:, None]
    mask = mask.flip(1) if padded == "left" else mask
    given = {"input_ids": torch.randint(5, 100, (3, 12)), "attention_mask": mask.long()}
    with torch.inference_mode():
        plain = model(**given).last_hidden_state[mask]
        assert bool(pack_encoders(model, product)) == is_packed(model) == can_be_packed
        packed = model(**given).last_hidden_state[mask]
    assert torch.nn.functional.cosine_similarity(packed, plain).min() > 0.999


@pytest.mark.parametrize("spread", [0.2, 8.0, 40.0])
def test_scores_of_any_size_are_shared_out_as_softmax_does(spread: float, product: type[Product]) -> None:
    # In the widest the powers of scores are infinite, or all zero, for some of the tokens.
    import torch
    from transformers import AutoModel, BertConfig

    sizes = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 128}
    torch.manual_seed(0)
    model = AutoModel.from_config(BertConfig(vocab_size=100, **sizes)).eval()
    attention = model.encoder.layer[0].attention.self
    for part in (attention.query, attention.key):
        torch.nn.init.normal_(part.weight, std=spread / 8)
    given = {"input_ids": torch.randint(5, 100, (3, 12))}
    with torch.inference_mode():
        plain = model(**given).last_hidden_state
        assert pack_encoders(model, product)
        packed = model(**given).last_hidden_state
    assert torch.nn.functional.cosine_similarity(packed, plain, dim=-1).mean() > 0.999


def test_a_static_embedding_is_an_encoder(tmp_path: Path) -> None:
    """Its tokenizer is not one of transformers, and it states no window."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: number for number, word in enumerate(["[UNK]", "lamp", "tower", "storm"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(2)
    static = StaticEmbedding(tokenizer, embedding_weights=np.eye(4, dtype=np.float32))
    SentenceTransformer(modules=[static], device="cpu").save_pretrained(str(tmp_path))

    given = load_encoder(str(tmp_path))
    assert given.max_tokens == 512
    assert given.token_offsets(["lamp tower storm"]) == [[(0, 4), (5, 10), (11, 16)]]
    np.testing.assert_allclose(
        given.encode_passages(["lamp", "tower storm"]) @ given.encode_query("storm"), [0, 0.5**0.5]
    )
