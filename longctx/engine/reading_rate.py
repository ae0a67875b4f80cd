"""The reading rate of a model: how many tokens of a prompt it reads in a second, measured once per machine and kept."""

from __future__ import annotations

import time
from functools import partial

from longctx.engine.prefill import Prefill
from longctx.engine.request import make_request
from longctx.models import LoadedModel, attention_work, rate_key, speed_of
from longctx.planning import MEASURED_TOKENS, ReadingSpeed

_WARM_UP_TOKENS = 8
_RUNS = 2  # the faster one counts: a busy moment would be kept for ever


def reading_speed(loaded: LoadedModel, prefill: Prefill, *, measure: bool) -> ReadingSpeed | None:
    """How fast a model reads on this machine.

    Args:
        loaded: The model.
        prefill: What reads with it.
        measure: Whether to measure what is not known.

    Returns:
        The speed that is kept in the user's cache folder, or was measured now; None if it is not known.
    """
    model = loaded.model
    key = rate_key(model.config, loaded.quantization, model.device, model.dtype)
    return speed_of(key, attention_work(model.config), partial(_measured, loaded, prefill) if measure else None)


def _measured(loaded: LoadedModel, prefill: Prefill) -> float:
    """Tokens per second for a prompt of 128 tokens, or of the native window where that is shorter."""
    tokens = min(MEASURED_TOKENS, loaded.native_window)
    _seconds(loaded, prefill, min(_WARM_UP_TOKENS, tokens))
    return tokens / min(_seconds(loaded, prefill, tokens) for _ in range(_RUNS))


def _seconds(loaded: LoadedModel, prefill: Prefill, tokens: int) -> float:
    """Seconds to read a prompt of so many tokens, nothing of which is in the prefix cache or put there."""
    known = loaded.model.get_input_embeddings().num_embeddings
    ids = [(7919 * place + 12_289) % known for place in range(tokens)]  # varied, for models with experts
    request = make_request(loaded, (), ids, None, 0)
    prefill.check_memory(request)
    with prefill.open(request, answering=True) as sequence:
        sequence.cache.crop(0)
        sequence.done = 0
        began = time.perf_counter()
        logits = sequence.read_prompt(None)
        assert logits is not None
        logits.sum().item()  # waits for a GPU
        return max(time.perf_counter() - began, 1e-9)
