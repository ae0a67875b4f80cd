"""Whether a model can generate: encoders load as causal models, too, and answer with what depends on the block size."""

from __future__ import annotations

from typing import Any

from longctx.errors import ModelUnavailable


def check_generates(model: Any, name: object) -> None:
    """Check that a model reads from left to right.

    A model whose attention layers do not say so reads three tokens twice, with another last one: what it says after
    the first two must be the same.

    Args:
        model: The transformers model.
        name: What to call it in the error.

    Raises:
        ModelUnavailable: For an encoder, and for a model that cannot read a text by itself.
    """
    stated = [causal for module in model.modules() if isinstance(causal := getattr(module, "is_causal", None), bool)]
    if stated and all(stated):
        return
    try:
        one, other = _logits(model, (0, 1, 2)), _logits(model, (0, 1, 3))
    except Exception as error:  # every family raises its own errors
        reason = str(error).strip().split("\n")[0]
        raise ModelUnavailable(
            f"{name} ({type(model).__name__}) cannot read plain text by itself: {reason}; use a decoder such as Llama"
        ) from error
    tolerance = 1e-5 if one.dtype.itemsize == 4 else 1e-2
    if (one - other)[:-1].abs().max() > tolerance * one.abs().max():
        raise ModelUnavailable(
            f"{name} ({type(model).__name__}) is an encoder: it reads texts in both directions and cannot generate; "
            "use a decoder such as Llama"
        )


def _logits(model: Any, ids: tuple[int, ...]) -> Any:
    import torch

    with torch.inference_mode():
        output = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False, return_dict=True)
    return output.logits[0]
