"""Chunked prefill: the model reads a prompt into a KV cache, block by block.

A block is as long as free memory allows. Activations, and attention scores where the model builds a mask, grow with
the block, so that a long prompt read at once would need far more memory than its keys and values.
"""

from __future__ import annotations

import inspect
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch

from longctx.engine.attention import AttentionRefused, attention, unsupported_reason
from longctx.engine.kv_cache import KVCache, QuantizedStates
from longctx.engine.model_lock import lock_of, rotary_fingerprint
from longctx.engine.prefix_cache import CachedPrefix, PrefixCache
from longctx.engine.prefix_file import Fingerprint, Layout
from longctx.engine.prefix_store import PrefixStore
from longctx.engine.prompt_lookup import LONGEST_DRAFT
from longctx.engine.request import PrefillCallback, PrefillProgress, Request
from longctx.errors import ModelUnavailable
from longctx.models import (
    CacheDtype,
    CacheShape,
    LoadedModel,
    cache_argument,
    hash_tokenizer,
    is_packed,
    keep_freed_memory,
    loaded_hash,
    memory,
    return_freed_memory,
)

_LONGEST = 1 << 30  # tokens: no sequence is longer


@dataclass(frozen=True, slots=True)
class AttentionPath:
    """Which attention a model runs with.

    Attributes:
        name: 'longctx', or 'stock' for the model's own.
        reason: Why it is 'stock'; None for 'longctx'.
    """

    name: Literal["longctx", "stock"]
    reason: str | None = None


class Prefill:
    """A model, its prefix cache, and how prompts are read.

    Args:
        loaded: The model.
        dtype: How keys and values are kept.
        block: Tokens of a prompt that are read at a time; None lets free memory decide.
        pool: The prefix cache.
        store: Keeps keys and values of documents on disk; None for nowhere.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        dtype: CacheDtype,
        block: int | None,
        pool: PrefixCache,
        store: PrefixStore | None = None,
    ) -> None:
        self.loaded = loaded
        self.model = loaded.model
        self.dtype: CacheDtype = dtype
        self.block = block
        self.pool = pool
        self.store = store
        self._hashes: tuple[str, str] | None = None
        self.tokenizer = loaded.tokenizer
        self.end_tokens = _end_tokens(loaded)
        self.shape = CacheShape.of(loaded.model)
        self.weights = memory.weight_bytes(loaded.model)
        self.lock = lock_of(loaded.model)
        self._takes_last = "logits_to_keep" in inspect.signature(loaded.model.forward).parameters
        self._cache_name = cache_argument(loaded.model)
        self._refused: str | None = None  # why this model cannot have our attention, once it has been tried
        self._packs = dtype == "int8"  # until a layer turns out to work on its past before attention does
        if self.model.device.type == "cpu":
            keep_freed_memory()

    @contextmanager
    def open(self, request: Request, *, answering: bool) -> Iterator[SequenceState]:
        """Begin a sequence with what the prefix cache has of its prompt; afterwards its prefix is cached.

        Args:
            request: The prompt.
            answering: Leave the last token to read at least: its logits give the first token of the answer.

        Yields:
            The sequence.
        """
        with self.lock.streaming():
            rotation = self.rotation(request)
            held = self._stored(rotation, request, self.pool.take(rotation, request.ids))
            cache = KVCache(self.dtype) if held is None else held.cache
            cache.crop(len(request.ids) - answering)
            sequence = SequenceState(self, request, cache)
            try:
                yield sequence
            finally:  # also after an error or a cancelled answer: the blocks read so far are right
                self._store(rotation, request, sequence)
                kept = request.ids[: min(sequence.done, request.prefix)]
                cache.crop(len(kept))
                if kept:
                    self.pool.put(CachedPrefix(rotation, kept, cache))

    def model_hashes(self) -> tuple[str, str]:
        """Hashes of the weights and of the tokenizer."""
        if self._hashes is None:
            self._hashes = loaded_hash(self.loaded), hash_tokenizer(self.loaded.tokenizer)
        return self._hashes

    def fingerprint(self, rotation: str, tokens: str = "") -> Fingerprint:
        """What the keys and values of tokens depend on, by the hashes of the frequencies and of the tokens."""
        return Fingerprint(*self.model_hashes(), tokens, rotation, f"{self.model.dtype} {self.dtype}")

    def layout(self, tokens: int = 0) -> Layout:
        """The tensors of a cache of so many tokens."""
        return Layout(tokens, self.shape, self.model.dtype, self.dtype)

    def cached_tokens(self, request: Request) -> int:
        """How many first tokens of a prompt need not be read."""
        with self.lock.streaming():
            rotation = self.rotation(request)
        held = self.pool.shared(rotation, request.ids)
        if self.store is None or not self.store.entries():
            return held
        return max(held, self.store.longest(self.fingerprint(rotation), request.ids, self.layout(), held)[0])

    def _stored(self, rotation: str, request: Request, held: CachedPrefix | None) -> CachedPrefix | None:
        """What the disk has of a prompt, if that is more than what the prefix cache had."""
        if self.store is None or not request.stored or not self.store.entries():
            return held
        reused = 0 if held is None else len(held.ids)
        found = self.store.take(self.fingerprint(rotation), request.ids[: request.stored], self.layout(), reused)
        if found is None:
            return held
        if held is not None:
            self.pool.put(held)
        return CachedPrefix(rotation, request.ids[: found[0]], found[1])

    def _store(self, rotation: str, request: Request, sequence: SequenceState) -> None:
        """Keep on disk what is worth it: all that is to be kept, or what an interrupted read has come to."""
        kept = min(request.stored, sequence.done)
        if self.store is not None and self.store.gains(kept, sequence.reused, request.stored):
            self.store.put(self.fingerprint(rotation), request.ids[:kept], sequence.cache, self.layout())

    def rotation(self, request: Request) -> str:
        """Hash of the RoPE frequencies that a request is read with."""
        with self.lock.step(self.model, request.scaling):
            return rotary_fingerprint(self.model)

    def path(self, tokens: int) -> AttentionPath:
        """The attention that reads a sequence of `tokens` tokens."""
        reason = self._refused or unsupported_reason(self.model, tokens)
        return AttentionPath("longctx") if reason is None else AttentionPath("stock", reason)

    def longest_draft(self, wanted: bool | None) -> int:
        """The longest draft of prompt lookup decoding, in tokens; 0 for none.

        Args:
            wanted: Whether drafts are to be made; None leaves it to whether several tokens at once are cheap here.

        Returns:
            The number of tokens.
        """
        return LONGEST_DRAFT if (is_packed(self.model) if wanted is None else wanted) else 0

    def need(self, tokens: int, reused: int) -> memory.Need:
        """The memory for a sequence of `tokens` tokens, `reused` of which are in its cache already."""
        new, masked = tokens - reused, self.path(tokens).name == "stock"
        cache_bytes = new * self.shape.token_bytes(self.dtype)
        return memory.Need(new, cache_bytes, memory.block_bytes(self.model, tokens, masked=masked))

    def fitting(self, free: int) -> int:
        """The longest sequence, in tokens, for `free` bytes."""
        return max(0, bisect_right(range(_LONGEST), free, key=lambda tokens: self.need(tokens, 0).least) - 1)

    def check_memory(self, request: Request) -> None:
        """Raise NotEnoughMemory for a request that does not fit, even when the prefix cache is emptied for it."""
        free = memory.available_bytes(self.model.device)
        need = self.need(request.length, self.pool.held_tokens(request.ids))
        if need.least > free:
            self.pool.shrink(0)
            return_freed_memory()
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
        # without this, a model computes logits for every token of a block: 2,048 rows of 32,000 numbers for the last
        keeps = {"logits_to_keep": last} if self._takes_last else {}
        ours = sequence.path.name == "longctx"
        sequence.cache.packed = ours and self._packs
        try:
            with self.lock.step(self.model, sequence.request.scaling), self._attention() if ours else nullcontext():
                output = self._run(sequence, tokens, keeps)
        except AttentionRefused as refusal:  # once for a model: from now on it keeps to its own attention
            self._refused = str(refusal)
            sequence.path = self.path(sequence.request.length)
            sequence.cache.crop(sequence.done)  # the first layers have written this block
            return self.forward(sequence, ids, last)
        if sequence.cache.length != sequence.done + len(ids):
            raise ModelUnavailable(
                f"{type(self.model).__name__} does not keep its past as keys and values of each layer"
            )
        sequence.done += len(ids)
        logits: torch.Tensor = output.logits[0, -last:]
        return logits

    def _attention(self) -> AbstractContextManager[None]:
        """Our attention, whose products may be rounded where those of the model's layers are."""
        is_rounded = self.loaded.quantization is not None or self.model.dtype == torch.bfloat16
        return attention(self.model, rounded=is_rounded)

    def _run(self, sequence: SequenceState, tokens: torch.Tensor, keeps: dict[str, int]) -> Any:
        """The model's output for a block; int8 is handed out as it is where the layers take it."""
        cache = sequence.cache
        given = {self._cache_name: cache, **keeps}
        run = partial(self.model, tokens, use_cache=True, return_dict=True, **given)
        if not cache.packed:
            return run()
        try:
            return run()
        except (TypeError, AttributeError, RuntimeError) as error:
            if QuantizedStates.__name__ not in str(error):  # as it is in those of Python and torch about its operand
                raise
        # Layers that work on their past before attention does, as those of MLA models, get numbers from now on
        self._packs = cache.packed = False
        cache.crop(sequence.done)
        return run()


class SequenceState:
    """A sequence and its KV cache.

    Attributes:
        request: The prompt.
        cache: Keys and values of the first `done` tokens.
        reused: How many tokens the prefix cache had.
        done: How many tokens the model has read, with those.
        path: The attention that reads them.
    """

    def __init__(self, prefill: Prefill, request: Request, cache: KVCache) -> None:
        self.request = request
        self.cache = cache
        self.reused = self.done = cache.length
        self.path = prefill.path(request.length)
        self._prefill = prefill
        cache.reserve(request.length)

    def read(self, ids: Sequence[int]) -> torch.Tensor:
        """Read the next tokens; returns the logits (vocabulary,) after the last."""
        return self._prefill.forward(self, ids)[0]

    def read_each(self, ids: Sequence[int], draft: Sequence[int]) -> torch.Tensor:
        """Read the next tokens and a draft; returns the logits after the last of them, and after each of the draft."""
        return self._prefill.forward(self, [*ids, *draft], 1 + len(draft))

    def take_back(self, tokens: int) -> None:
        """Forget the last tokens that were read."""
        self.done -= tokens
        self.cache.crop(self.done)

    def read_prompt(self, progress: PrefillCallback | None, but: int = 0) -> torch.Tensor | None:
        """Read what is left of the prompt, in blocks.

        Args:
            progress: Called before the first block and after each.
            but: How many of its last tokens to leave out.

        Returns:
            The logits (vocabulary,) after it; None if nothing was left to read.
        """
        end, begun, began = len(self.request.ids) - but, self.done, time.monotonic()
        need = self._prefill.need(self.request.length, begun)
        device = self._prefill.model.device
        block = self._prefill.block or memory.block_tokens(need, memory.available_bytes(device), device)
        logits = None
        while True:
            if progress is not None:
                rate = (self.done - begun) / max(time.monotonic() - began, 1e-9)
                progress(PrefillProgress(self.done, end, rate))
            if self.done == end:
                return logits
            logits = self.read(self.request.ids[self.done : min(self.done + block, end)])

    def read_scored(self, last: int) -> torch.Tensor:
        """Read the whole prompt; returns the logits (last, vocabulary) after each of its last tokens."""
        self.cache.crop(len(self.request.ids) - last)  # what is cached is not run, and so gives no logits
        self.done = self.cache.length
        self.read_prompt(None, but=last)
        return self._prefill.forward(self, self.request.ids[-last:], last)


def _end_tokens(loaded: LoadedModel) -> frozenset[int]:
    """The tokens that end a turn. Chat models have several; the first configuration that states any is right."""
    for config in (loaded.model.generation_config, loaded.model.config.get_text_config(), loaded.tokenizer):
        ends = getattr(config, "eos_token_id", None)
        if ends is not None:
            return frozenset([ends] if isinstance(ends, int) else ends)
    return frozenset()
