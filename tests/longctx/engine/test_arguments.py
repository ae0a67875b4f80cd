"""Arguments out of range are refused before any work, with the value and what to give instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from longctx import BadRequest, Engine, GenerationOptions, load_model


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda model: Engine(model, cache_dtype="fp8"), "'fp8'"),  # type: ignore[arg-type]
        (lambda model: Engine(model, block=-1), "-1"),
        (lambda model: Engine(model, prefix_bytes=-1), "-1"),
        (lambda model: GenerationOptions(max_new_tokens=2.5), "2.5"),  # type: ignore[arg-type]
        (lambda model: GenerationOptions(temperature=1.0, seed=2**70), str(2**70)),
        (lambda model: Engine(model).prefix([1, 2], room=1.5), "1.5"),  # type: ignore[arg-type]
        (lambda model: Engine(model).token_losses([1, 2, 3], last=0.5), "0.5"),  # type: ignore[arg-type]
    ],
)
def test_a_value_out_of_range_is_named(loaded, make: Callable[[Any], Any], named: str) -> None:
    with pytest.raises(BadRequest) as error:
        make(loaded)
    assert named in str(error.value)


def test_the_coldest_temperature_is_greedy(loaded) -> None:
    engine = Engine(loaded)
    texts = {
        "".join(engine.stream((), [5, 6, 7], options=GenerationOptions(6, temperature=t, seed=1))) for t in (0, 1e-40)
    }
    assert len(texts) == 1


def test_half_precision_is_run_in_float32_where_the_processor_has_no_arithmetic_for_it(
    loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.model.to(torch.bfloat16).save_pretrained(tmp_path)
    loaded.tokenizer.save_pretrained(tmp_path)
    loaded.model.to(torch.float32)
    monkeypatch.setattr("longctx.models.device._has_arithmetic", lambda dtype: False)
    model = load_model(tmp_path)
    assert model.model.dtype == torch.float32
    assert "bfloat16 arithmetic" in (model.note or "")
    assert load_model(tmp_path, dtype="bfloat16").model.dtype == torch.bfloat16
    monkeypatch.setattr("longctx.models.device._has_arithmetic", lambda dtype: True)
    model = load_model(tmp_path)
    assert model.model.dtype == torch.bfloat16
    assert model.note is None
