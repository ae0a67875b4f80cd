"""`Engine`: generation over long prompts. Token ids in, text out, piece by piece.

Knows tokens, a model and a `RopeScaling`; knows no documents and no index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from longctx.engine.generation import Generation, generate
from longctx.engine.prefill import AttentionPath, Prefill, SequenceState
from longctx.engine.prefix_cache import CachedPrefix, PrefixCache
from longctx.engine.prefix_file import Fingerprint, PrefixRefused, read_prefix, write_prefix
from longctx.engine.request import PrefillCallback, Request, make_request
from longctx.engine.sampling import GenerationOptions
from longctx.errors import BadRequest, ModelUnavailable
from longctx.models import CacheDtype, LoadedModel, hash_tokenizer, hash_tokens, hash_weights, memory
from rope_scaling import RopeScaling

_GREEDY = GenerationOptions()


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix whose keys and values are at hand; `computed` of its `tokens` had to be read by the model for it.

    `refused` says why a file could not be used, where one was asked for.
    """

    tokens: int
    computed: int
    nbytes: int
    refused: str | None = None


class Engine:
    """Generates with one model, and keeps what it has read of the prefixes that it is given.

    `cache_dtype` is how keys and values are kept: in the model's dtype, or in int8. `block` is how many tokens of a
    prompt are read at a time; None lets the free memory decide. `prefix_bytes` limits the prefixes that are kept in
    memory; None is a quarter of what is free now. Threads may share an engine: they take turns at each token, and
    never share a cache. Raises ModelUnavailable for a model that keeps more than keys and values.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        cache_dtype: CacheDtype = "model",
        block: int | None = None,
        prefix_bytes: int | None = None,
    ) -> None:
        _check_layers(loaded)
        if prefix_bytes is None:
            prefix_bytes = memory.available_bytes(loaded.model.device) // 4
        self.loaded = loaded
        self.pool = PrefixCache(prefix_bytes)
        self._prefill = Prefill(loaded, cache_dtype, block, self.pool)
        self._hashes: tuple[str, str] | None = None

    def attention_path(self, tokens: int) -> AttentionPath:
        """Which attention a sequence of `tokens` tokens runs with, and why."""
        return self._prefill.path(tokens)

    def tokens_in_memory(self) -> int:
        """The longest sequence, in tokens, that free memory has room for, and what kept prefixes would give back."""
        return self._prefill.fitting(memory.available_bytes(self.loaded.model.device) + self.pool.nbytes)

    def stream(
        self,
        prefix_ids: Sequence[int],
        suffix_ids: Sequence[int],
        scaling: RopeScaling | None = None,
        options: GenerationOptions = _GREEDY,
        progress: PrefillCallback | None = None,
    ) -> Generation:
        """The text that follows the tokens of prefix and suffix, in pieces as it is generated.

        The keys and values of the prefix are kept for later calls that begin with the same tokens under the same
        frequencies. `progress` is told how much of the prompt is read. Raises BadRequest, ContextTooLong and
        NotEnoughMemory before any work, and the errors of `rope_scaling`.
        """
        request = make_request(self.loaded, prefix_ids, suffix_ids, scaling, options.max_new_tokens)
        self._prefill.check_memory(request)
        return Generation(len(request.ids), partial(generate, self._prefill, request, options, progress))

    def prefix(
        self,
        prefix_ids: Sequence[int],
        scaling: RopeScaling | None = None,
        *,
        room: int = 0,
        progress: PrefillCallback | None = None,
    ) -> Prefix:
        """Read a prefix now, so that later calls begin after it.

        `room` is how many tokens of suffix and answer will follow: where the frequencies depend on the length, they are
        those of the whole. Raises as `stream` does.
        """
        return self._read(self._prefix_request(prefix_ids, scaling, room), progress)

    def token_losses(self, ids: Sequence[int], last: int, scaling: RopeScaling | None = None) -> list[float]:
        """How badly the model foretells each of the last tokens of `ids` from those before it.

        Minus the logarithms of their probabilities, in nats; the exponential of their mean is the perplexity. Nothing
        is kept. Raises as `stream` does, and BadRequest unless `last` leaves one token before.
        """
        if not 0 < last < len(ids):
            raise BadRequest(f"last is {last}: of {len(ids)} tokens, 1 to {len(ids) - 1} can be scored")
        request = make_request(self.loaded, (), ids[:-1], scaling, 1)
        self._prefill.check_memory(request)
        with self._prefill.open(request, answering=True) as reading:
            logits = reading.read_ending(last)
        wanted = torch.tensor(list(ids[-last:]), device=logits.device)
        losses: list[float] = cross_entropy(logits.float(), wanted, reduction="none").tolist()
        return losses

    def save_prefix(
        self, path: str | Path, prefix_ids: Sequence[int], scaling: RopeScaling | None = None, *, room: int = 0
    ) -> Prefix:
        """Write the keys and values of a prefix to a file, for `load_prefix`; it is read first if it has not been."""
        request = self._prefix_request(prefix_ids, scaling, room)
        return self._read(request, save_to=Path(path))

    def load_prefix(
        self, path: str | Path, prefix_ids: Sequence[int], scaling: RopeScaling | None = None, *, room: int = 0
    ) -> Prefix:
        """Take the keys and values of a prefix from a file that `save_prefix` wrote.

        A file that is missing, damaged, or made from other tokens, weights, tokenizer, frequencies or dtype is refused,
        and the prefix read by the model; `refused` then says why.
        """
        request = self._prefix_request(prefix_ids, scaling, room)
        prefill = self._prefill
        try:
            fingerprint = self._fingerprint(request)
            cache = read_prefix(Path(path), fingerprint, prefill.layout(len(request.ids)))
        except PrefixRefused as refusal:
            return self._read(request, refused=str(refusal))
        nbytes = cache.nbytes
        self.pool.put(CachedPrefix(fingerprint.rotation, request.ids, cache))
        return Prefix(len(request.ids), 0, nbytes)

    def _prefix_request(self, prefix_ids: Sequence[int], scaling: RopeScaling | None, room: int) -> Request:
        request = make_request(self.loaded, prefix_ids, (), scaling, room)
        self._prefill.check_memory(request)
        return request

    def _read(
        self,
        request: Request,
        progress: PrefillCallback | None = None,
        *,
        save_to: Path | None = None,
        refused: str | None = None,
    ) -> Prefix:
        with self._prefill.open(request, answering=False) as reading:
            reading.read_prompt(progress)
            if save_to is not None:
                write_prefix(save_to, reading.cache, self._fingerprint(request))
            return _prefix(reading, refused)

    def _fingerprint(self, request: Request) -> Fingerprint:
        """What the keys and values of a prompt depend on; the weights are hashed once for each engine."""
        with self._prefill.lock.streaming():
            rotation = self._prefill.rotation(request)
        if self._hashes is None:
            self._hashes = hash_weights(self.loaded.model), hash_tokenizer(self.loaded.tokenizer)
        dtype = f"{self.loaded.model.dtype} {self._prefill.dtype}"
        return Fingerprint(*self._hashes, hash_tokens(request.ids), rotation, dtype)


def _prefix(reading: SequenceState, refused: str | None) -> Prefix:
    tokens = len(reading.request.ids)
    return Prefix(tokens, tokens - reading.reused, reading.cache.nbytes, refused)


def _check_layers(loaded: LoadedModel) -> None:
    types = getattr(loaded.model.config.get_text_config(), "layer_types", None) or []
    strange = sorted({name for name in types if not name.endswith("_attention") or name == "linear_attention"})
    if strange:
        raise ModelUnavailable(
            f"{loaded.name} has layers of type {', '.join(strange)}, which keep more than keys and values: "
            "use a model with attention in every layer"
        )
