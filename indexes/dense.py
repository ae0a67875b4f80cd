"""The dense index: exact inner products with FAISS, derived from the store.

One FAISS file for each segment of chunk ids, named by the segment and the generation in which it last changed. Only the
segments that changed are made anew, so that neither memory nor the cost of a change grows with the corpus; a file that
a reader may be using is never touched. Knows no text and no encoder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np

from indexes.store import Store
from indexes.types import Vectors


class DenseIndex:
    """The FAISS files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[Path, Any] = {}

    def sync(self, store: Store) -> list[Path]:
        """Make the files of the segments that changed; returns the files of all."""
        self._folder.mkdir(exist_ok=True)
        paths = [self._path(*segment) for segment in store.segments().items()]
        for path, segment in zip(paths, store.segments(), strict=True):
            if not path.is_file():
                _write(path, *store.segment_vectors(segment))
        return paths

    def search(
        self, query: Vectors, k: int, segments: Mapping[int, int], allowed: Set[int] | None = None
    ) -> list[tuple[int, float]]:
        """The k chunk ids with the largest inner product with `query` (dimension,), best first, with that product.

        Of those in `allowed`, if it is given.
        """
        selected = {} if allowed is None else {"params": _only(allowed)}
        found: list[tuple[int, float]] = []
        for index in self._indexes(segments):
            if index.ntotal:
                scores, ids = index.search(query[np.newaxis], min(k, index.ntotal), **selected)
                found.extend(hit for hit in zip(ids[0].tolist(), scores[0].tolist(), strict=True) if hit[0] >= 0)
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))[:k]

    def count(self, segments: Mapping[int, int]) -> int:
        """How many vectors the files hold."""
        return sum(index.ntotal for index in self._indexes(segments))

    def _indexes(self, segments: Mapping[int, int]) -> list[Any]:
        """The segments' indexes, each read once for as long as it is of use. Raises RuntimeError for a missing file."""
        paths = [self._path(*segment) for segment in segments.items()]
        self._open = {path: self._open.get(path) or _read(path) for path in paths}
        return list(self._open.values())

    def _path(self, segment: int, generation: int) -> Path:
        return self._folder / f"{segment:06d}-{generation:012d}.faiss"


def _only(allowed: Set[int]) -> Any:
    import faiss

    ids = np.fromiter(allowed, np.int64, len(allowed))
    return faiss.SearchParameters(sel=faiss.IDSelectorBatch(ids))  # type: ignore[call-arg]


def _read(path: Path) -> Any:
    import faiss

    return faiss.read_index(str(path))


def _write(path: Path, ids: np.ndarray[Any, np.dtype[np.int64]], vectors: Vectors) -> None:
    import faiss

    index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
    if len(ids):
        index.add_with_ids(vectors, ids)
    partial = path.with_suffix(".partial")
    faiss.write_index(index, str(partial))
    _flush(partial)
    partial.replace(path)


def _flush(path: Path) -> None:
    """Write the file out to the disk before it gets its name: after a power cut a name never stands for half a file."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
