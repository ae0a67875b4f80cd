"""Dual chunk attention against Llama written out by position: each score is computed at the distance of the paper."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from longctx import Engine, LoadedModel, load_model
from rope_scaling import CheckpointError, InvalidScaling, RopeScaling, UnsupportedModel, export_checkpoint, scaled_rope

L = 64  # the toys' window: chunks of 44 tokens, distances up to 48
DCA = RopeScaling(method="dca", factor=4.0, original_max_position_embeddings=L)


def distance(query: int, key: int, chunk: int, local: int) -> int:
    """The distance between two positions, as section 3 of arXiv 2402.17463 defines it case by case."""
    step = chunk - local
    if query // step == key // step:  # intra-chunk
        return query - key
    if query // step - key // step == 1:  # successive chunks
        return min(query % step + step, chunk) - key % step
    return chunk - key % step  # inter-chunk


def turned(vector: torch.Tensor, by: int, theta: float) -> torch.Tensor:
    half = len(vector) // 2
    angles = torch.tensor([by * theta ** (-2 * pair / len(vector)) for pair in range(half)])
    first, second = vector[:half], vector[half:]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((first * cos - second * sin, second * cos + first * sin))


@torch.no_grad()
def by_position(model: Any, ids: list[int], chunk: int, local: int) -> torch.Tensor:
    """Logits of a Llama, each score computed by itself."""
    config, hidden = model.config, model.model.embed_tokens(torch.tensor(ids))
    heads, size = config.num_attention_heads, config.hidden_size // config.num_attention_heads
    groups, theta = heads // config.num_key_value_heads, config.rope_parameters["rope_theta"]
    for layer in model.model.layers:
        normed, attention = layer.input_layernorm(hidden), layer.self_attn
        query, key, value = (
            project(normed).reshape(len(ids), -1, size)
            for project in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        mixed = torch.zeros(len(ids), heads, size)
        for head in range(heads):
            keys, values = key[:, head // groups], value[:, head // groups]
            for i in range(len(ids)):
                scores = torch.stack(
                    [turned(query[i, head], distance(i, j, chunk, local), theta) @ keys[j] for j in range(i + 1)]
                )
                mixed[i, head] = (scores / math.sqrt(size)).softmax(0) @ values[: i + 1]
        hidden = hidden + attention.o_proj(mixed.reshape(len(ids), -1))
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    logits: torch.Tensor = model.lm_head(model.model.norm(hidden))
    return logits


@pytest.fixture
def one_layer(family_model: Any) -> Any:
    return family_model("llama2", num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, hidden_size=32)


def tokens_of(count: int) -> list[int]:
    return torch.randint(3, 97, (count,), generator=torch.Generator().manual_seed(3)).tolist()


@pytest.mark.parametrize(("chunk", "local"), [(None, None), (24, 6)])
def test_it_is_the_paper_position_by_position(
    one_layer: Any, logits: Any, chunk: int | None, local: int | None
) -> None:
    ids = tokens_of(100)  # three chunks at least
    scaling = RopeScaling(
        method="dca", factor=4.0, original_max_position_embeddings=L, chunk_size=chunk, local_size=local
    )
    wanted = by_position(one_layer, ids, chunk or L * 3 // 4, local or L // 16)
    with scaled_rope(one_layer, scaling):
        got = logits(one_layer, torch.tensor([ids]))[0]
    torch.testing.assert_close(got, wanted, rtol=0, atol=2e-4)
    assert (logits(one_layer, torch.tensor([ids]))[0] - wanted).abs().max() > 0.05  # plain attention is another


def test_a_text_of_one_chunk_is_read_as_without_it(family_model: Any, logits: Any, tokens: torch.Tensor) -> None:
    model = family_model("llama2")
    short = tokens[:, :44]
    plain = logits(model, short)
    with scaled_rope(model, DCA):
        torch.testing.assert_close(logits(model, short), plain, rtol=0, atol=2e-5)
    assert "dual" not in str(model.config._attn_implementation)
    assert torch.equal(logits(model, short), plain)


def test_the_engine_reads_in_blocks_and_from_a_prefix_what_is_read_at_once(short_llama: Path, logits: Any) -> None:
    loaded = load_model(short_llama, scaling="dca")
    assert isinstance(loaded, LoadedModel)
    assert loaded.window == 32 * L
    ids = tokens_of(160)
    scaling = RopeScaling.for_window("dca", 256, L)
    with scaled_rope(loaded.model, scaling):
        wanted = logits(loaded.model, torch.tensor([ids[:-1]]))[0, -100:].log_softmax(-1)
    every = [-row[token].item() for row, token in zip(wanted, ids[-100:], strict=True)]
    losses = every[-8:]
    engine = Engine(loaded, block=13)
    assert engine.token_losses(ids, 8) == pytest.approx(losses, abs=1e-4)
    assert engine.attention_path(256).name == "longctx"
    engine.prefix(ids[:150], room=10)
    assert engine.token_losses(ids, 8) == pytest.approx(losses, abs=1e-4)
    assert Engine(loaded, block=1).token_losses(ids, 8) == pytest.approx(losses, abs=1e-4)  # as an answer is written
    assert engine.token_losses(ids, 100) == pytest.approx(every, abs=1e-4)  # three chunks at once
    assert Engine(loaded, block=13, cache_dtype="int8").token_losses(ids, 8) == pytest.approx(losses, abs=0.1)


def test_what_it_cannot_do_is_refused(family_model: Any, short_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="load the model with it"):
        export_checkpoint(short_llama, DCA, tmp_path / "out")
    with pytest.raises(InvalidScaling, match="local_size above 0 and below half"):
        RopeScaling(method="dca", factor=2.0, original_max_position_embeddings=64, chunk_size=32, local_size=20)
    model = family_model("llama2")
    padded = torch.tensor([[0, 0, 5, 6], [3, 4, 5, 6]])
    with scaled_rope(model, DCA), pytest.raises(UnsupportedModel, match="without padding"):
        model(padded, attention_mask=(padded != 0).long())
    sliding = family_model("mistral", sliding_window=16)
    with pytest.raises(UnsupportedModel, match="sliding windows"), scaled_rope(sliding, DCA):
        pass
    assert "dual" not in str(sliding.config._attn_implementation)
