"""Several streams on one model: one forward pass at a time, each under its own scaling.

A scaling is put into the model itself, so that two streams with different ones must not run at once. Swapping it for
every token would cost more than the token, so it stays until another stream needs another.
"""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from rope_scaling import RopeScaling, scaled_rope

_LOCKS: weakref.WeakKeyDictionary[Any, ModelLock] = weakref.WeakKeyDictionary()
_LOCKS_GUARD = threading.Lock()


class ModelLock:
    """The lock of a model, and the scaling that is in force; the last stream to end takes it out."""

    def __init__(self) -> None:
        # reentrant: a stream that is dropped is closed by the garbage collector, which may run within a step
        self._lock = threading.RLock()
        self._streams = 0
        self._scaling: RopeScaling | None = None
        self._scaled = ExitStack()

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Keep the scaling in force while a stream is open; after the last one, the model is as it was."""
        with self._lock:
            self._streams += 1
        try:
            yield
        finally:
            with self._lock:
                self._streams -= 1
                if not self._streams:
                    self._restore()

    @contextmanager
    def step(self, model: Any, scaling: RopeScaling | None) -> Iterator[None]:
        """Lock the model for one forward pass.

        Args:
            model: The model that the lock is of.
            scaling: A fixed scaling; None is the model's own frequencies. Raises as `scaled_rope` does.
        """
        with self._lock:
            if scaling != self._scaling:
                self._restore()
                if scaling is not None:
                    self._scaled.enter_context(scaled_rope(model, scaling))
                self._scaling = scaling
            yield

    def _restore(self) -> None:
        self._scaling = None
        self._scaled.close()


def lock_of(model: Any) -> ModelLock:
    """The `ModelLock` of a model: two engines on one model share it."""
    with _LOCKS_GUARD:
        return _LOCKS.setdefault(model, ModelLock())


def rotary_fingerprint(model: Any) -> str:
    """Hash of the RoPE frequencies that a model has now, and of the factor on its attention (YaRN's mscale)."""
    digest = hashlib.sha256()
    for module in model.modules():
        if hasattr(module, "inv_freq") and hasattr(module, "attention_scaling"):
            digest.update(module.inv_freq.detach().float().cpu().contiguous().numpy().tobytes())
            digest.update(repr(float(module.attention_scaling)).encode())
            scaling = getattr(module, "scaling", None)
            if not isinstance(scaling, RopeScaling):
                continue
            if scaling.mscale_all_dim:  # it scales the softmax of MLA models, too
                digest.update(repr(scaling.mscale_all_dim).encode())
            if scaling.method == "dca":  # which places keys within chunks
                window = scaling.original_max_position_embeddings
                digest.update(f"dca {window} {scaling.chunk_size} {scaling.local_size}".encode())
    return digest.hexdigest()
