"""KV caches of prompt prefixes, kept in memory for later prompts that begin with the same tokens.

A cache has one owner: either it is in here, or the sequence that took it is writing to it. Nothing is ever shared, so
sequences need no locks. It is put back when the sequence ends.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from longctx.engine.kv_cache import KVCache

_WORTH_A_COPY = 4  # a cache is copied where what would be lost is longer than its useful part divided by this


@dataclass(frozen=True, slots=True)
class CachedPrefix:
    """The KV cache of a prefix.

    Attributes:
        rotation: Hash of the RoPE frequencies that the keys were rotated with; keys of others are of no use.
        ids: The tokens that the cache holds.
        cache: Their keys and values.
    """

    rotation: str
    ids: tuple[int, ...]
    cache: KVCache


class PrefixCache:
    """An LRU cache of KV caches, of at most `limit` bytes. Threads may share it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.RLock()
        self._held: list[CachedPrefix] = []  # the most recently used last

    @property
    def nbytes(self) -> int:
        """Bytes of all caches."""
        with self._lock:
            return sum(held.cache.nbytes for held in self._held)

    def take(self, rotation: str, ids: Sequence[int]) -> CachedPrefix | None:
        """Find the cache that shares the most tokens with the start of a prompt.

        A cache that is useful but for a short end is cropped and handed over: that end is sooner computed again than
        the rest copied. Of one that goes on differently for long, the start is copied, so that the long one stays.

        Args:
            rotation: Hash of the prompt's RoPE frequencies.
            ids: Token ids of the prompt.

        Returns:
            A prefix of the prompt, which now belongs to the caller; None if not a token is shared.
        """
        with self._lock:
            lengths = self._shared(rotation, ids)
            longest = max(lengths, default=0)
            if not longest:
                return None
            best = min((i for i, n in enumerate(lengths) if n == longest), key=lambda i: len(self._held[i].ids))
            held = self._held.pop(best)
            if _is_handed_over(held, longest):
                held.cache.crop(longest)
                return CachedPrefix(rotation, held.ids[:longest], held.cache)
            self._held.append(held)  # the most recently used now
            return CachedPrefix(rotation, held.ids[:longest], held.cache.head(longest))

    def shared(self, rotation: str, ids: Sequence[int]) -> int:
        """How many first tokens of a prompt `take` would find."""
        with self._lock:
            return max(self._shared(rotation, ids), default=0)

    def _shared(self, rotation: str, ids: Sequence[int]) -> list[int]:
        return [shared_length(held.ids, ids) if held.rotation == rotation else 0 for held in self._held]

    def held_tokens(self, ids: Sequence[int]) -> int:
        """How many first tokens of a prompt `take` would hand over without a copy, and so without new memory."""
        with self._lock:  # under whatever frequencies: those of the prompt are not known before the model has them
            lengths = ((held, shared_length(held.ids, ids)) for held in self._held)
            return max((length for held, length in lengths if _is_handed_over(held, length)), default=0)

    def put(self, held: CachedPrefix) -> None:
        """Keep a cache, in place of those that hold nothing more than its own first tokens."""
        with self._lock:
            self._held = [old for old in self._held if not _covers(held, old)]
            if not any(_covers(old, held) for old in self._held):
                self._held.append(held)
            self.shrink(self.limit)

    def shrink(self, limit: int) -> None:
        """Drop the least recently used caches until at most `limit` bytes are held."""
        with self._lock:
            while self._held and self.nbytes > limit:
                del self._held[0]


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the tokens with which two sequences begin alike.

    Args:
        one: Token ids.
        other: Token ids.

    Returns:
        The length of the longest common prefix.
    """
    length = min(len(one), len(other))
    if tuple(one[:length]) == tuple(other[:length]):  # far quicker than the loop, and the usual case
        return length
    return next(i for i in range(length) if one[i] != other[i])


def _is_handed_over(held: CachedPrefix, length: int) -> bool:
    return (len(held.ids) - length) * _WORTH_A_COPY <= length


def _covers(one: CachedPrefix, other: CachedPrefix) -> bool:
    return one.rotation == other.rotation and one.ids[: len(other.ids)] == other.ids
