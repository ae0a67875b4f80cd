"""Hits without those of documents whose whole text another document has, such as copies with other line ends."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from indexes.sources import is_file
from indexes.storage import StoreReader
from indexes.types import Chunk, SearchHit


def without_copies(store: StoreReader, hits: Iterable[SearchHit]) -> Iterator[SearchHit]:
    """Leave out hits whose text a better hit has, if their documents have the same text as a whole, too.

    A sentence that two documents share may mean another thing in each, and stays; so it is with documents that have
    titles of their own.

    Args:
        store: The store.
        hits: The hits, best first.

    Yields:
        The other hits.
    """
    shown: dict[tuple[str, str], list[str]] = defaultdict(list)  # the sources of the hits with a title and a text
    digests: dict[str, bytes] = {}

    def digest(source: str) -> bytes:
        if source not in digests:
            digests[source] = _digest(store.text_of(source) or "")
        return digests[source]

    for hit in hits:
        source = hit.chunk.source
        if not is_file(source):
            yield hit
            continue
        others = shown[_own_title(hit.chunk), " ".join(hit.chunk.text.split())]
        if source in others or all(digest(other) != digest(source) for other in others):
            others.append(source)
            yield hit


def _own_title(chunk: Chunk) -> str:
    """The title that a document gives itself; empty if it is called by its file's name."""
    return "" if chunk.title == PurePath(chunk.source).stem else chunk.title


def _digest(text: str) -> bytes:
    """A hash of a text apart from its white space and from a byte order mark."""
    return hashlib.sha256(" ".join(text.replace("\ufeff", "").split()).encode()).digest()
