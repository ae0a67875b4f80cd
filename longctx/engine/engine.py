"""`Engine`: text generation over long prompts, from token ids. Documents and indexes are for the packages above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from longctx.engine.generation import Generation, generate
from longctx.engine.kv_cache import check_layers
from longctx.engine.prefill import AttentionPath, Prefill
from longctx.engine.prefix_cache import CachedPrefix, PrefixCache
from longctx.engine.prefix_file import Fingerprint, PrefixRefused, read_prefix, write_prefix
from longctx.engine.prefix_store import PrefixStore
from longctx.engine.reading_rate import reading_speed
from longctx.engine.request import PrefillCallback, Request, make_request
from longctx.engine.sampling import GenerationOptions
from longctx.errors import BadRequest
from longctx.models import CacheDtype, LoadedModel, hash_tokens, memory, return_freed_memory
from longctx.planning import ReadingSpeed
from longctx.types import is_count
from rope_scaling import RopeScaling, scaled_rope

_GREEDY = GenerationOptions()


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prompt prefix whose keys and values are in the prefix cache.

    Attributes:
        tokens: Its length.
        computed: How many of its tokens the model had to read for it; the others were cached or in a file.
        nbytes: Bytes of its keys and values, with the spare capacity of their buffers.
        refused: Why a file could not be used, where one was asked for.
    """

    tokens: int
    computed: int
    nbytes: int
    refused: str | None = None


class Engine:
    """Generates text with one model, and caches the keys and values of prompt prefixes.

    Threads may share an engine: they take turns at each token, and each sequence has a KV cache of its own.

    Args:
        loaded: The model.
        cache_dtype: How keys and values are kept: in the model's dtype, or in int8.
        block: Tokens of a prompt that are read at a time; None lets free memory decide.
        prefix_bytes: Size of the prefix cache in memory; None is a quarter of what is free now.
        store: Where keys and values of documents are kept on disk; None for nowhere.

    Raises:
        BadRequest: For an argument out of its range.
        ModelUnavailable: For a model whose layers keep more than keys and values.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        cache_dtype: CacheDtype = "model",
        block: int | None = None,
        prefix_bytes: int | None = None,
        store: PrefixStore | None = None,
    ) -> None:
        _check_arguments(cache_dtype, block, prefix_bytes)
        check_layers(loaded.model, loaded.name)
        if prefix_bytes is None:
            prefix_bytes = memory.available_bytes(loaded.model.device) // 4
        self.loaded = loaded
        self.pool = PrefixCache(prefix_bytes)
        self._prefill = Prefill(loaded, cache_dtype, block, self.pool, store)
        self._speed: ReadingSpeed | None = None

    def attention_path(self, tokens: int) -> AttentionPath:
        """Which attention a sequence runs with, and why.

        Args:
            tokens: Its length, prompt and answer together.

        Returns:
            longctx's own attention, or the model's with a reason.
        """
        return self._prefill.path(tokens)

    def tokens_in_memory(self) -> int:
        """The longest sequence, in tokens, that fits into memory: what is free, and what the prefix cache has."""
        return self._prefill.fitting(memory.available_bytes(self.loaded.model.device) + self.pool.nbytes)

    def cached_tokens(self, ids: Sequence[int], scaling: RopeScaling | None = None, *, room: int = 0) -> int:
        """How many first tokens of a prompt are at hand, in the prefix cache or on disk.

        Args:
            ids: Token ids of the prompt.
            scaling: As for `stream`.
            room: How many tokens may follow the prompt.

        Returns:
            The number of tokens; 0 for a prompt that is longer than the native window.
        """
        left = self.loaded.native_window - len(ids)
        if left < 0:
            return 0
        return self._prefill.cached_tokens(make_request(self.loaded, ids, (), scaling, min(room, left)))

    def reading_speed(self, *, measure: bool = True) -> ReadingSpeed | None:
        """How fast the model reads a prompt; measured once per model and machine, and kept in the user's cache folder.

        Args:
            measure: Whether to measure what is not known, by reading 128 tokens.

        Returns:
            The speed; None if it is not known.
        """
        self._speed = self._speed or reading_speed(self.loaded, self._prefill, measure=measure)
        return self._speed

    @property
    def weights_hash(self) -> str:
        """The hash of the weights."""
        return self._prefill.model_hashes()[0]

    def check_scaling(self, scaling: RopeScaling, length: int) -> None:
        """Check that the model can be scaled so.

        Args:
            scaling: The scaling.
            length: The length of the sequences, in tokens.

        Raises:
            RopeScalingError: If it cannot.
        """
        with scaled_rope(self.loaded.model, scaling, length):
            pass

    def forget(self) -> None:
        """Empty the prefix cache."""
        self.pool.shrink(0)
        return_freed_memory()

    def identity(self) -> str:
        """What tells this model from others: hashes of its weights and its tokenizer, and its dtypes."""
        return " ".join((*self._prefill.model_hashes(), f"{self.loaded.model.dtype}", self._prefill.dtype))

    def stream(
        self,
        prefix_ids: Sequence[int],
        suffix_ids: Sequence[int],
        scaling: RopeScaling | None = None,
        options: GenerationOptions = _GREEDY,
        progress: PrefillCallback | None = None,
        *,
        stored: int = 0,
    ) -> Generation:
        """Generate the text that follows a prompt.

        Args:
            prefix_ids: Its first tokens, whose keys and values are cached for later prompts that begin with them.
            suffix_ids: Its other tokens.
            scaling: The RoPE scaling for this prompt; None is the one that the model was loaded with.
            options: Sampling, the longest answer, and stop strings.
            progress: Called with how much of the prompt has been read.
            stored: How many of the first tokens, documents mostly, to keep on disk as well.

        Returns:
            The pieces of text as they are generated. The model starts when the first is taken.

        Raises:
            BadRequest: For an empty prompt, and for a token that is not in the model's vocabulary.
            ContextTooLong: If prompt and answer are longer than the window.
            NotEnoughMemory: If they do not fit into memory.
            RopeScalingError: If the model cannot be scaled so.
        """
        request = self._request(prefix_ids, suffix_ids, scaling, options.new_tokens)
        request = replace(request, stored=stored)
        return Generation(len(request.ids), partial(generate, self._prefill, request, options, progress))

    def prefix(
        self,
        prefix_ids: Sequence[int],
        scaling: RopeScaling | None = None,
        *,
        room: int = 0,
        progress: PrefillCallback | None = None,
    ) -> Prefix:
        """Read a prefix into the prefix cache now.

        Args:
            prefix_ids: Its tokens.
            scaling: As for `stream`.
            room: How many tokens of suffix and answer will follow. Where the frequencies depend on the length of a
                sequence, the prefix is read with those of the whole.
            progress: Called with how much of the prefix has been read.

        Returns:
            Its figures. Raises as `stream` does.
        """
        return self._read(self._request(prefix_ids, (), scaling, room), progress)

    def token_losses(self, ids: Sequence[int], last: int, scaling: RopeScaling | None = None) -> list[float]:
        """Cross-entropy of the last tokens of a text, each given all tokens before it. Nothing is cached.

        Args:
            ids: Token ids of the text.
            last: How many of its last tokens to score.
            scaling: As for `stream`.

        Returns:
            Negative log-likelihoods in nats; the exponential of their mean is the perplexity. Raises as `stream` does.

        Raises:
            BadRequest: Unless `last` leaves at least one token before those that are scored.
        """
        if not (is_count(last, 1) and last < len(ids)):
            raise BadRequest(f"last is {last}: of {len(ids)} tokens, 1 to {len(ids) - 1} can be scored")
        with self._prefill.open(self._request((), ids[:-1], scaling, 1), answering=True) as sequence:
            logits = sequence.read_scored(last)
        targets = torch.tensor(list(ids[-last:]), device=logits.device)
        losses: list[float] = cross_entropy(logits.float(), targets, reduction="none").tolist()
        return losses

    def save_prefix(
        self, path: str | Path, prefix_ids: Sequence[int], scaling: RopeScaling | None = None, *, room: int = 0
    ) -> Prefix:
        """Write the keys and values of a prefix to a file; the prefix is read first if it is not cached.

        Args:
            path: The file, which `load_prefix` takes.
            prefix_ids: As for `prefix`.
            scaling: As for `stream`.
            room: As for `prefix`.

        Returns:
            The figures of the prefix. Raises as `stream` does.
        """
        return self._read(self._request(prefix_ids, (), scaling, room), save_to=Path(path))

    def load_prefix(
        self, path: str | Path, prefix_ids: Sequence[int], scaling: RopeScaling | None = None, *, room: int = 0
    ) -> Prefix:
        """Read the keys and values of a prefix from a file that `save_prefix` wrote.

        A file that is missing or damaged, or was made from other tokens, weights, tokenizer, frequencies or dtype, is
        refused, and the model reads the prefix.

        Args:
            path: The file.
            prefix_ids: As for `prefix`.
            scaling: As for `stream`.
            room: As for `prefix`.

        Returns:
            The figures of the prefix; `refused` is why the file could not be used. Raises as `stream` does.
        """
        request = self._request(prefix_ids, (), scaling, room)
        tokens, prefill = len(request.ids), self._prefill
        try:
            fingerprint = self._fingerprint(request)
            cache = read_prefix(Path(path), fingerprint, prefill.layout(tokens))
        except PrefixRefused as refusal:
            return replace(self._read(request), refused=str(refusal))
        loaded = Prefix(tokens, 0, cache.nbytes)  # before another thread can take the cache
        self.pool.put(CachedPrefix(fingerprint.rotation, request.ids, cache))
        return loaded

    def _request(
        self, prefix_ids: Sequence[int], suffix_ids: Sequence[int], scaling: RopeScaling | None, new_tokens: int
    ) -> Request:
        """A request that fits the window and the memory; raises what `stream` does."""
        request = make_request(self.loaded, prefix_ids, suffix_ids, scaling, new_tokens)
        self._prefill.check_memory(request)
        return request

    def _read(self, request: Request, progress: PrefillCallback | None = None, save_to: Path | None = None) -> Prefix:
        with self._prefill.open(request, answering=False) as sequence:
            sequence.read_prompt(progress)
            if save_to is not None:
                write_prefix(save_to, sequence.cache, self._fingerprint(request))
            return Prefix(sequence.done, sequence.done - sequence.reused, sequence.cache.nbytes)

    def _fingerprint(self, request: Request) -> Fingerprint:
        """What the keys and values of a prompt depend on."""
        with self._prefill.lock.streaming():
            rotation = self._prefill.rotation(request)
        return self._prefill.fingerprint(rotation, hash_tokens(request.ids))


def _check_arguments(cache_dtype: object, block: object, prefix_bytes: object) -> None:
    memory.check_cache_dtype(cache_dtype)
    if block is not None and not is_count(block, 1):
        raise BadRequest(f"block is {block!r}: give a whole number of tokens above 0, or None")
    if prefix_bytes is not None and not is_count(prefix_bytes):
        raise BadRequest(f"prefix_bytes is {prefix_bytes!r}: give a whole number of bytes, or None")
