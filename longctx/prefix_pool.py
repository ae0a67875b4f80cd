"""Keys and values of prefixes, kept in memory to be used again. Knows token ids and caches; knows no model."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from longctx.kv_cache import KVCache


@dataclass(frozen=True, slots=True)
class Held:
    """A cache that has read exactly the tokens `ids`, under the frequencies that `rotation` stands for."""

    rotation: str
    ids: tuple[int, ...]
    cache: KVCache


class PrefixPool:
    """Caches up to `limit` bytes; the least recently used goes first. Nobody else has a cache that is in it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._held: list[Held] = []  # the most recently used last

    @property
    def nbytes(self) -> int:
        """Bytes of all that is held."""
        with self._lock:
            return sum(held.cache.nbytes for held in self._held)

    def take(self, rotation: str, ids: Sequence[int]) -> Held | None:
        """The longest run of tokens from the start of `ids` that is held under the same frequencies.

        What is wholly of use is given away, and is the caller's until it is put back; of what goes on otherwise, the
        start is copied.
        """
        with self._lock:
            lengths = [shared_length(held.ids, ids) if held.rotation == rotation else 0 for held in self._held]
            longest = max(lengths, default=0)
            if not longest:
                return None
            best = min((i for i, n in enumerate(lengths) if n == longest), key=lambda i: len(self._held[i].ids))
            held = self._held.pop(best)
            if len(held.ids) == longest:
                return held
            self._held.append(held)  # the most recently used now
            return Held(rotation, held.ids[:longest], held.cache.head(longest))

    def held_tokens(self, ids: Sequence[int]) -> int:
        """How many tokens from the start of `ids` are held, under whatever frequencies."""
        with self._lock:
            return max((len(held.ids) for held in self._held if held.ids == tuple(ids[: len(held.ids)])), default=0)

    def put(self, held: Held) -> None:
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


def _covers(one: Held, other: Held) -> bool:
    """Whether `one` holds all that `other` does."""
    return one.rotation == other.rotation and one.ids[: len(other.ids)] == other.ids
