"""Keys and values of prefixes, kept in memory to be used again. Knows token ids and caches; knows no model."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from longctx.engine.kv_cache import KVCache

_LITTLE = 4  # an end that is as many times shorter than what it follows


@dataclass(frozen=True, slots=True)
class CachedPrefix:
    """A cache that has read exactly the tokens `ids`, under the frequencies that `rotation` stands for."""

    rotation: str
    ids: tuple[int, ...]
    cache: KVCache


class PrefixCache:
    """Caches up to `limit` bytes; the least recently used goes first. Nobody else has a cache that is in it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._held: list[CachedPrefix] = []  # the most recently used last

    @property
    def nbytes(self) -> int:
        """Bytes of all that is held."""
        with self._lock:
            return sum(held.cache.nbytes for held in self._held)

    def take(self, rotation: str, ids: Sequence[int]) -> CachedPrefix | None:
        """The longest run of tokens from the start of `ids` that is held under the same frequencies.

        A cache that is of use, but for a little at its end, is given away without that, and is the caller's until it is
        put back; of one that goes on otherwise for long, the start is copied.
        """
        with self._lock:
            lengths = [shared_length(held.ids, ids) if held.rotation == rotation else 0 for held in self._held]
            longest = max(lengths, default=0)
            if not longest:
                return None
            best = min((i for i, n in enumerate(lengths) if n == longest), key=lambda i: len(self._held[i].ids))
            held = self._held.pop(best)
            if _is_given(held, longest):
                held.cache.crop(longest)
                return CachedPrefix(rotation, held.ids[:longest], held.cache)
            self._held.append(held)  # the most recently used now
            return CachedPrefix(rotation, held.ids[:longest], held.cache.head(longest))

    def held_tokens(self, ids: Sequence[int]) -> int:
        """How many tokens from the start of `ids` are held, under whatever frequencies, and need not be copied."""
        with self._lock:
            lengths = ((held, shared_length(held.ids, ids)) for held in self._held)
            return max((length for held, length in lengths if _is_given(held, length)), default=0)

    def put(self, held: CachedPrefix) -> None:
        """Keep a cache. It takes the place of those that have read no more than its own first tokens."""
        with self._lock:
            self._held = [old for old in self._held if not _covers(held, old)]
            if not any(_covers(old, held) for old in self._held):
                self._held.append(held)
            self._shrink(self.limit)

    def shrink(self, limit: int) -> None:
        """Let go of what was used least recently, until at most `limit` bytes are held."""
        with self._lock:
            self._shrink(limit)

    def _shrink(self, limit: int) -> None:
        total = sum(held.cache.nbytes for held in self._held)
        while self._held and total > limit:
            total -= self._held.pop(0).cache.nbytes


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences share from their start."""
    length = min(len(one), len(other))
    if tuple(one[:length]) == tuple(other[:length]):
        return length
    return next(i for i in range(length) if one[i] != other[i])


def _is_given(held: CachedPrefix, length: int) -> bool:
    """Whether so little follows the first `length` tokens that it is sooner read again than these are copied."""
    return (len(held.ids) - length) * _LITTLE <= length


def _covers(one: CachedPrefix, other: CachedPrefix) -> bool:
    """Whether `one` holds all that `other` does."""
    return one.rotation == other.rotation and one.ids[: len(other.ids)] == other.ids
