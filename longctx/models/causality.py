"""Whether a model can generate: encoders load as causal models, too, but their output depends on the block size."""

from __future__ import annotations

from typing import Any

from longctx.errors import ModelUnavailable
from longctx.models.cache_shape import reads_without_weights


def check_generates(model: Any, name: object) -> None:
    """Check that a model reads, and from left to right.

    A configuration may ask for what a family cannot compute, such as a rotation of half of each head, which shows when
    a copy without weights reads a token. A model whose attention layers do not say that they are causal reads three
    tokens twice, with another last one: what it says after the first two must be the same.

    Args:
        model: The transformers model.
        name: What to call it in the error.

    Raises:
        ModelUnavailable: For an encoder, and for a model that cannot read a text by itself.
    """
    stated = [causal for module in model.modules() if isinstance(causal := getattr(module, "is_causal", None), bool)]
    is_causal = bool(stated) and all(stated)
    if is_causal and reads_without_weights(model):
        return
    try:
        one = _logits(model, (0, 1, 2))
        other = one if is_causal else _logits(model, (0, 1, 3))
    except Exception as error:  # every family raises its own errors
        reason = str(error).strip().split("\n")[0]
        remedy = "give the model's own config.json" if is_causal else "use a decoder such as Llama"
        raise ModelUnavailable(
            f"{name} ({type(model).__name__}) cannot read plain text by itself: {reason}; {remedy}"
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
