"""Every causal family of transformers is read right, or refused with a reason: there is no third outcome.

A few families of each kind are tried always, all of them by `make test-families`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from torch.nn.functional import cross_entropy
from toy_families import VOCABULARY, WINDOW, natively_scaled, save, toy_model
from transformers import AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from longctx import Engine, load_model
from longctx.errors import LongctxError
from rope_scaling import AlreadyScaled, RopeScaling, RopeScalingError, export_checkpoint, read_base

# plain, multi-query, latent attention, keys changed after the cache, experts; an encoder, and what keeps more than keys
FEW = ["llama", "falcon", "deepseek_v3", "diffllama", "bert", "xlm", "rwkv", "deepseek_v32", "granite_swa"]
FAMILIES = sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) if os.environ.get("LONGCTX_ALL_FAMILIES") else FEW
SHORT, LONG, LAST = 48, 160, 8  # tokens
DEEPSEEK = {"mscale": 1.0, "mscale_all_dim": 0.7}
REFUSED = (LongctxError, RopeScalingError)

pytestmark = pytest.mark.filterwarnings("ignore")  # of what transformers makes of toy configurations


def ids(count: int) -> list[int]:
    return torch.randint(3, VOCABULARY, (count,), generator=torch.Generator().manual_seed(count)).tolist()


@torch.no_grad()
def plain_losses(model: Any, tokens: list[int]) -> torch.Tensor:
    logits = model(torch.tensor([tokens[:-1]]), use_cache=False).logits[0, -LAST:]
    return cross_entropy(logits.float(), torch.tensor(tokens[-LAST:]), reduction="none")


def assert_close(engine: Engine, tokens: list[int], wanted: torch.Tensor, tolerance: float = 1e-3) -> None:
    torch.testing.assert_close(torch.tensor(engine.token_losses(tokens, LAST)), wanted, rtol=0, atol=tolerance)


def right_or_refused(check: Callable[[], None]) -> bool:
    """Whether the check passed; an error of longctx is a refusal, and any other is a failure."""
    with suppress(*REFUSED):
        check()
        return True
    return False


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_family_is_right_or_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = toy_model(kind)
    if model is None:
        pytest.skip(f"{kind} cannot be built at toy size")
    folder, wanted = save(model, tmp_path / "model"), plain_losses(model, ids(SHORT))

    def tokens() -> None:
        assert_close(Engine(load_model(folder), block=7), ids(SHORT), wanted)

    def prefix() -> None:
        first, second = Engine(load_model(folder), block=7), Engine(load_model(folder), block=7)
        first.save_prefix(tmp_path / "prefix", ids(SHORT)[:40])
        loaded = second.load_prefix(tmp_path / "prefix", ids(SHORT)[:40])
        assert (loaded.refused, loaded.computed) == (None, 0)
        assert_close(second, ids(SHORT), wanted)

    def int8() -> None:
        assert_close(Engine(load_model(folder), cache_dtype="int8", block=7), ids(SHORT), wanted, tolerance=1.0)

    def weights_in_int8() -> None:
        monkeypatch.setenv("LONGCTX_CACHE_DIR", str(tmp_path / "cache"))
        first, kept = (Engine(load_model(folder, quantization="int8", device="cpu"), block=7) for _ in range(2))
        assert_close(first, ids(SHORT), wanted, tolerance=2.0)
        assert_close(kept, ids(SHORT), torch.tensor(first.token_losses(ids(SHORT), LAST)), tolerance=1e-4)

    if right_or_refused(tokens):
        assert right_or_refused(prefix)
        right_or_refused(int8)
        right_or_refused(weights_in_int8)
        _scaled(model, folder, {})
        _scaled(model, folder, DEEPSEEK)


def _scaled(model: Any, folder: Path, more: dict[str, float]) -> None:
    """YaRN at load, exported, and carried by the configuration: each equals the natively configured model."""
    scaling = RopeScaling(method="yarn", factor=4.0, original_max_position_embeddings=WINDOW, **more)
    exported, carried = folder.with_name(f"exported{len(more)}"), folder.with_name(f"carried{len(more)}")

    try:
        native = natively_scaled(model, **more)
    except (
        AttributeError,
        KeyError,
        StrictDataclassError,
        TypeError,
        ValueError,
    ):  # transformers itself has no such model
        return

    def wanted() -> torch.Tensor:
        return plain_losses(native, ids(LONG))

    def at_load() -> None:
        engine = Engine(load_model(folder, scaling=scaling), block=31)
        assert_close(engine, ids(LONG), wanted())

    def as_exported() -> None:
        export_checkpoint(folder, scaling, exported)
        plain = AutoModelForCausalLM.from_pretrained(exported, dtype=torch.float32).eval()
        torch.testing.assert_close(plain_losses(plain, ids(LONG)), wanted(), rtol=0, atol=1e-3)
        loaded = load_model(exported)
        assert loaded.window == 4 * WINDOW
        assert_close(Engine(loaded, block=31), ids(LONG), wanted())

    def as_carried() -> None:
        loaded = load_model(save(native, carried))
        assert loaded.window == 4 * WINDOW
        assert_close(Engine(loaded, block=31), ids(LONG), wanted())

    if right_or_refused(at_load):
        right_or_refused(as_exported)
        right_or_refused(as_carried)


def test_a_second_scaling_is_refused_where_a_configuration_carries_one(tmp_path: Path) -> None:
    model = toy_model("deepseek_v3")
    folder = save(natively_scaled(model, **DEEPSEEK), tmp_path / "carried")
    with pytest.raises(AlreadyScaled):
        load_model(folder, scaling="linear")
    own = RopeScaling.from_config(load_model(folder).model.config)
    assert own.mscale_all_dim == DEEPSEEK["mscale_all_dim"]
    assert read_base(model.config).window == WINDOW
