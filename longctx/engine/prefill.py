"""Letting a model read tokens into a cache, block by block. Knows token ids and logits; knows no text."""

from __future__ import annotations

import inspect
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch

from longctx.engine.attention import AttentionRefused, attention, unsupported_reason
from longctx.engine.kv_cache import KVCache
from longctx.engine.model_lock import lock_of, rotary_fingerprint
from longctx.engine.prefix_cache import CachedPrefix, PrefixCache
from longctx.engine.prefix_file import Layout
from longctx.engine.request import PrefillCallback, ProgressClock, Request, end_tokens
from longctx.errors import ModelUnavailable
from longctx.models import CacheDtype, LoadedModel, memory

_LONGEST = 1 << 30  # tokens: no sequence is longer


@dataclass(frozen=True, slots=True)
class AttentionPath:
    """Which attention a model runs with: 'longctx', or 'stock' and why."""

    name: Literal["longctx", "stock"]
    reason: str | None = None


class Prefill:
    """One model, and the prefixes that it has read. `block` is tokens read at a time; None lets the memory decide."""

    def __init__(self, loaded: LoadedModel, dtype: CacheDtype, block: int | None, pool: PrefixCache) -> None:
        self.model = loaded.model
        self.dtype: CacheDtype = dtype
        self.block = block
        self.pool = pool
        self.tokenizer = loaded.tokenizer
        self.end_tokens = end_tokens(loaded)
        self.shape = memory.CacheShape.of(loaded.model)
        self.weights = memory.weight_bytes(loaded.model)
        self.lock = lock_of(loaded.model)
        parameters = inspect.signature(loaded.model.forward).parameters
        self._keeps_last = "logits_to_keep" in parameters
        self._refused: str | None = None  # why this model cannot have our attention, once it has been tried

    @contextmanager
    def open(self, request: Request, *, answering: bool) -> Iterator[SequenceState]:
        """A cache for a request, with what is known of its prompt; afterwards its prefix is kept.

        For an answer, at least one token is left to read, since it begins with what the model says after it.
        """
        with self.lock.streaming():
            rotation = self.rotation(request)
            held = self.pool.take(rotation, request.ids)
            cache = KVCache(self.dtype) if held is None else held.cache
            cache.crop(len(request.ids) - answering)
            reading = SequenceState(self, request, cache)
            try:
                yield reading
            finally:
                kept = request.ids[: min(reading.done, request.prefix)]
                cache.crop(len(kept))
                if kept:
                    self.pool.put(CachedPrefix(rotation, kept, cache))

    def rotation(self, request: Request) -> str:
        """The frequencies that a request is read under, as a hash."""
        with self.lock.step(self.model, request.scaling):
            return rotary_fingerprint(self.model)

    def layout(self, tokens: int) -> Layout:
        """What a file with a prefix of `tokens` tokens must hold."""
        return Layout(tokens, self.shape, self.model.dtype, self.dtype)

    def path(self, tokens: int) -> AttentionPath:
        """The attention that a sequence of `tokens` tokens is read with."""
        reason = self._refused or unsupported_reason(self.model, tokens)
        return AttentionPath("longctx") if reason is None else AttentionPath("stock", reason)

    def need(self, tokens: int, reused: int) -> memory.Need:
        """The memory for a sequence of `tokens` tokens of which `reused` are there already."""
        masked = self.path(tokens).name == "stock"
        each = self.shape.token_bytes(self.dtype)
        return memory.Need(
            tokens - reused, (tokens - reused) * each, memory.block_bytes(self.model, tokens, masked=masked)
        )

    def fitting(self, free: int) -> int:
        """How many tokens a sequence can have in so many free bytes."""
        return max(0, bisect_right(range(_LONGEST), free, key=lambda tokens: self.need(tokens, 0).least) - 1)

    def check_memory(self, request: Request) -> None:
        """Raise NotEnoughMemory if a request cannot be served even when the prefixes kept are let go."""
        free = memory.available_bytes(self.model.device)
        need = self.need(request.length, self.pool.held_tokens(request.ids))
        if need.least > free:
            self.pool.shrink(0)
            free, need = memory.available_bytes(self.model.device), self.need(request.length, 0)
        memory.check(need, free, self.weights)

    @torch.inference_mode()
    def forward(self, sequence: SequenceState, ids: Sequence[int], last: int = 1) -> torch.Tensor:
        """Run the model over more tokens of a sequence.

        Args:
            sequence: The sequence, whose KV cache grows.
            ids: Its next token ids.
            last: How many of these positions need logits.

        Returns:
            Logits of shape (last, vocabulary).

        Raises:
            ModelUnavailable: For a model whose past is not the keys and values of each layer.
        """
        tokens = torch.tensor([list(ids)], device=self.model.device)
        keeps = {"logits_to_keep": last} if self._keeps_last else {}
        while True:
            ours = sequence.path.name == "longctx"
            sequence.cache.packed = ours
            with self.lock.step(self.model, sequence.request.scaling), attention(self.model) if ours else nullcontext():
                try:
                    output: Any = self.model(
                        input_ids=tokens, past_key_values=sequence.cache, use_cache=True, return_dict=True, **keeps
                    )
                    break
                except AttentionRefused as refusal:  # once for a model: from now on it keeps to its own attention
                    self._refused = str(refusal)
            sequence.path = self.path(sequence.request.length)
            sequence.cache.crop(sequence.done)
        if sequence.cache.length != sequence.done + len(ids):
            raise ModelUnavailable(
                f"{type(self.model).__name__} does not keep its past as keys and values of each layer"
            )
        logits: torch.Tensor = output.logits[0, -last:]
        return logits


class SequenceState:
    """A sequence as far as the model has read it: the first `done` tokens, of which `reused` were there before."""

    def __init__(self, reader: Prefill, request: Request, cache: KVCache) -> None:
        self.request = request
        self.cache = cache
        self.reused = self.done = cache.length
        self.path = reader.path(request.length)
        self._reader = reader
        cache.reserve(request.length)

    def read(self, ids: Sequence[int]) -> torch.Tensor:
        """Read more tokens; returns the logits (vocabulary,) after the last."""
        logits = self._reader.forward(self, ids)
        self.done += len(ids)
        return logits[0]

    def read_ending(self, last: int) -> torch.Tensor:
        """Read the whole prompt; returns the logits (last, vocabulary) after each of its last tokens."""
        ids = self.request.ids[-last:]
        self.cache.crop(len(self.request.ids) - last)  # what is known of those gives no logits
        self.done = self.cache.length
        self.read_prompt(None, but=last)
        logits = self._reader.forward(self, ids, last)
        self.done += last
        return logits

    def read_prompt(self, progress: PrefillCallback | None, but: int = 0) -> torch.Tensor | None:
        """Read the rest of the prompt, `but` for its last tokens, in blocks.

        Returns the logits (vocabulary,) after it, None if nothing was left to read.
        """
        end, logits = len(self.request.ids) - but, None
        clock = ProgressClock(progress, self.done, end)
        block = self._reader.block or self._block()
        while self.done < end:
            logits = self.read(self.request.ids[self.done : min(self.done + block, end)])
            clock.tell(self.done)
        return logits

    def _block(self) -> int:
        need = self._reader.need(self.request.length, self.done)
        return memory.block_tokens(need, memory.available_bytes(self._reader.model.device))
