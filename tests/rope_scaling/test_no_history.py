"""Results depend on the sequence alone: not on what ran before, not on the batch, not on how it was fed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from rope_scaling import METHODS, RopeScaling, scaled_rope

Make = Callable[..., Any]
Run = Callable[..., torch.Tensor]
L = {"original_max_position_embeddings": 64}


def scaling_of(method: str, pairs: int = 8) -> RopeScaling:
    more: dict[str, Any] = {"factor": 4.0} if "factor" in METHODS[method].required else {}
    if method == "longrope":
        more["short_factor"] = [1.0 + pair / 9 for pair in range(pairs)]
        more["long_factor"] = [2.0 + pair for pair in range(pairs)]
    return RopeScaling(method=method, **L, **more)


@torch.no_grad()
def fed_piece_by_piece(model: Any, tokens: torch.Tensor, first: int) -> torch.Tensor:
    """Logits with a cache: `first` tokens at once, and the rest one by one."""
    out = model(tokens[:, :first], use_cache=True)
    pieces = [out.logits]
    for position in range(first, tokens.shape[1]):
        out = model(tokens[:, position : position + 1], past_key_values=out.past_key_values, use_cache=True)
        pieces.append(out.logits)
    return torch.cat(pieces, dim=1)


@pytest.mark.parametrize(("family", "pairs"), [("llama2", 8), ("gpt_neox", 4)])
@pytest.mark.parametrize("method", METHODS)
def test_a_cache_gives_what_one_pass_gives(
    method: str, family: str, pairs: int, family_model: Make, tokens: torch.Tensor, logits: Run
) -> None:
    """The sequence ends past the original window, where a dynamic method's frequencies move."""
    model, tokens = family_model(family), tokens[:, :100]
    with scaled_rope(model, scaling_of(method, pairs), seq_len=100):
        want = logits(model, tokens)
        got = fed_piece_by_piece(model, tokens, first=50)
    torch.testing.assert_close(got, want, rtol=0, atol=2e-5)


def test_transformers_own_dynamic_rope_fails_this(family_model: Make, tokens: torch.Tensor, logits: Run) -> None:
    """Seen in transformers 5.23: why this package exists. Skipped with a release that has mended it."""

    def stock() -> Any:
        return family_model(rope_scaling={"type": "dynamic", "factor": 4.0})

    used = stock()
    whole = logits(used, tokens)
    piece_by_piece = (fed_piece_by_piece(stock(), tokens, first=50) - whole).abs().max()
    short = tokens[:, :100]
    after_a_longer_call = (logits(used, short) - logits(stock(), short)).abs().max()
    if max(piece_by_piece, after_a_longer_call) < 1e-4:
        pytest.skip("this transformers has mended it")
    assert piece_by_piece > 0.1
    assert after_a_longer_call > 0.1


@pytest.mark.parametrize("method", ["dynamic_ntk", "dynamic_yarn", "longrope"])
def test_what_ran_before_does_not_matter(method: str, family_model: Make, tokens: torch.Tensor, logits: Run) -> None:
    model, scaling = family_model(), scaling_of(method)

    def run(n: int) -> torch.Tensor:
        with scaled_rope(model, scaling, seq_len=n):
            return logits(model, tokens[:, :n])

    fresh = run(100)
    for n in (160, 30, 64, 65):
        run(n)
    assert torch.equal(run(100), fresh)
    if method != "longrope":  # whose short factors are not the identity
        torch.testing.assert_close(run(60), logits(model, tokens[:, :60]), rtol=0, atol=2e-5)


def test_a_dynamic_checkpoint_loses_its_history(family_model: Make, tokens: torch.Tensor, logits: Run) -> None:
    """The stock module's state does not reach ours, whatever it ran before, and ours leaves it alone."""
    model = family_model(rope_scaling={"type": "dynamic", "factor": 4.0})
    scaling = RopeScaling.from_config(model.config)
    with scaled_rope(model, scaling, seq_len=100):
        fresh = logits(model, tokens[:, :100])
    long = logits(model, tokens)
    grown = model.model.rotary_emb.inv_freq.clone()
    with scaled_rope(model, scaling, seq_len=100):
        assert torch.equal(logits(model, tokens[:, :100]), fresh)
        torch.testing.assert_close(fed_piece_by_piece(model, tokens[:, :100], 50), fresh, rtol=0, atol=2e-5)
    assert torch.equal(model.model.rotary_emb.inv_freq, grown)
    assert torch.equal(logits(model, tokens), long)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "dca"])  # which refuses padding
def test_the_rows_of_a_batch_do_not_matter_to_each_other(
    method: str, family_model: Make, tokens: torch.Tensor, logits: Run
) -> None:
    """A short row beside a long one, padded on the left, gives what it gives alone."""
    model, long, short = family_model(), tokens, tokens[:, 30:80]
    padding = long.shape[1] - short.shape[1]
    batch = torch.cat((long, torch.nn.functional.pad(short, (padding, 0))))
    mask = torch.ones_like(batch)
    mask[1, :padding] = 0
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    with scaled_rope(model, scaling_of(method), seq_len=long.shape[1]):
        together = logits(model, batch, attention_mask=mask, position_ids=positions)
        torch.testing.assert_close(together[:1], logits(model, long), rtol=0, atol=2e-5)
        torch.testing.assert_close(together[1:, padding:], logits(model, short), rtol=0, atol=2e-5)


@pytest.mark.parametrize("method", ["yarn", "dynamic_ntk"])
def test_generate_with_a_cache_equals_generate_without(method: str, family_model: Make, tokens: torch.Tensor) -> None:
    model, prompt = family_model(), tokens[:, :55]
    settings = {"do_sample": False, "max_new_tokens": 30, "min_new_tokens": 30}
    with scaled_rope(model, scaling_of(method), seq_len=85):
        cached = model.generate(prompt, **settings)
        uncached = model.generate(prompt, use_cache=False, **settings)
    assert torch.equal(cached, uncached)
