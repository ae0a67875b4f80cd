"""One model under several streams: one step at a time, each under its own scaling. Knows no tokens and no cache."""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from rope_scaling import RopeScaling, scaled_rope

_SHARED: weakref.WeakKeyDictionary[Any, ModelLock] = weakref.WeakKeyDictionary()
_SHARING = threading.Lock()


class ModelLock:
    """The lock on a model, and the scaling that is in it.

    A scaling stays in while streams are open, so that a token does not pay for a swap, and goes out with the last of
    them. A stream that finds another's scaling puts in its own.
    """

    def __init__(self) -> None:
        # reentrant, because a stream that is dropped is closed wherever Python happens to be: also within a step
        self._lock = threading.RLock()
        self._streams = 0
        self._scaling: RopeScaling | None = None
        self._within = ExitStack()

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Hold the model for a stream; when the last one lets go, the model is as it was."""
        with self._lock:
            self._streams += 1
        try:
            yield
        finally:
            with self._lock:
                self._streams -= 1
                if not self._streams:
                    self._leave()

    @contextmanager
    def step(self, model: Any, scaling: RopeScaling | None) -> Iterator[None]:
        """Have the model to oneself, under a fixed scaling (None: its own). Raises as `scaled_rope` does."""
        with self._lock:
            if scaling != self._scaling:
                self._leave()
                if scaling is not None:
                    self._within.enter_context(scaled_rope(model, scaling))
                self._scaling = scaling
            yield

    def _leave(self) -> None:
        self._scaling = None
        self._within.close()


def lock_of(model: Any) -> ModelLock:
    """The one `ModelLock` of a model: two engines on one model have the same."""
    with _SHARING:
        return _SHARED.setdefault(model, ModelLock())


def rotary_fingerprint(model: Any) -> str:
    """A hash of the frequencies and the magnitude in a model's rotary embeddings as they are now."""
    digest = hashlib.sha256()
    for module in model.modules():
        if hasattr(module, "inv_freq") and hasattr(module, "attention_scaling"):
            digest.update(module.inv_freq.detach().float().cpu().contiguous().numpy().tobytes())
            digest.update(repr(float(module.attention_scaling)).encode())
    return digest.hexdigest()
