"""Dense search among many vectors: FAISS's inverted lists of 8-bit codes, in parts that each stand alone.

A *model* is what training gives: the centroids of the lists, and the range of every dimension. A *shard* holds the
codes of some vectors under a model. One search goes through all shards of a model at once: their lists are stacked, and
those of the centroids next to the query are scanned in every shard. What it finds are candidates, to be compared
exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.types import Vectors

ChunkIds = npt.NDArray[np.int64]

_SAMPLE_PER_LIST = 32  # vectors to train on
_ROUNDS = 4  # of k-means; more find no more
# Codes for each query, about 12 ms. A passage that answers a question is often in a list whose centre is far from it:
# of 148,171 passages, vectors alone find the right one among ten for .69 of the questions with 25,000, .79 with these.
_SCANNED = 100_000
_FEWEST_LISTS = 16


def lists_for(vectors: int) -> int:
    """How many lists suit that many vectors: about 2·√n, a power of two, so that it seldom changes."""
    return int(2 ** round(math.log2(2 * math.sqrt(max(vectors, 1)))))


def sample_size(lists: int) -> int:
    """How many vectors to train a model of so many lists on."""
    return lists * _SAMPLE_PER_LIST


def train(sample: Vectors, lists: int) -> Any:
    """A model of so many lists, or fewer if the (n, dimension) sample is small."""
    import faiss

    dimension = sample.shape[1]
    model = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dimension),
        dimension,
        min(lists, len(sample)),
        faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
    )
    model.cp.niter, model.cp.spherical = _ROUNDS, True
    model.cp.min_points_per_centroid, model.cp.max_points_per_centroid = 1, _SAMPLE_PER_LIST
    model.train(sample)
    return model


def new_shard(model: Any) -> Any:
    """A shard of the model without vectors."""
    return _index(model, model.quantizer, model.nlist)


def fill_shard(shard: Any, file: Any) -> None:
    """Give a new shard, in memory, what another one holds as it was read from its file."""
    file.own_invlists = False
    shard.replace_invlists(file.invlists, True)
    shard.ntotal = file.ntotal


@contextmanager
def without_centroids(shard: Any) -> Iterator[Any]:
    """The shard as it is written: its centroids are in the model's file."""
    import faiss

    centroids, none = shard.quantizer, faiss.IndexFlatIP(shard.d)
    shard.quantizer = none
    try:
        yield shard
    finally:
        shard.quantizer = centroids


def _index(model: Any, centroids: Any, lists: int) -> Any:
    """An index that codes as the model does."""
    import faiss

    index = faiss.IndexIVFScalarQuantizer(centroids, model.d, lists, model.sq.qtype, faiss.METRIC_INNER_PRODUCT)
    index.sq, index.is_trained = model.sq, True
    return index


class Shards:
    """Shards of one model, mapped into memory."""

    def __init__(self, model: Any, paths: Iterable[str | Path]) -> None:
        import faiss

        self._model = model
        # FAISS copies none of these: they must live as long as the stack.
        self._shards = [faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY) for path in paths]
        self._parts = faiss.InvertedListsPtrVector()
        for shard in self._shards:
            self._parts.push_back(shard.invlists)
        self._stack = faiss.VStackInvertedLists(self._parts.size(), self._parts.data())
        self._index = _index(model, faiss.IndexFlatIP(model.d), self._stack.nlist)
        self._index.replace_invlists(self._stack, False)
        self.count: int = sum(shard.ntotal for shard in self._shards)
        self._index.ntotal = self.count

    def candidates(
        self, query: Vectors, k: int, selector: Any = None, *, everywhere: bool = False
    ) -> tuple[ChunkIds, Vectors]:
        """Find vectors near a query by their codes.

        Args:
            query: (dimension,) float32.
            k: How many candidates to find.
            selector: A FAISS IDSelector of the vectors that may be found; None for all.
            everywhere: Whether to scan all lists.

        Returns:
            The ids of the candidates, at least `k` if there are that many, and the inner products of their codes, best
            first.
        """
        lists = self._model.nlist
        probed = lists if everywhere else min(lists, max(_FEWEST_LISTS, lists * _SCANNED // max(self.count, 1)))
        while True:
            ids, products = self._scan(query, k, probed, selector)
            if len(ids) >= min(k, self.count) or probed == lists:
                return ids, products
            probed = min(lists, 4 * probed)

    def _scan(self, query: Vectors, k: int, probed: int, selector: Any) -> tuple[ChunkIds, Vectors]:
        import faiss

        x = np.ascontiguousarray(query[np.newaxis], dtype=np.float32)
        products, centroids = self._model.quantizer.search(x, probed)
        first_lists = np.arange(len(self._shards)) * self._model.nlist
        lists = np.ascontiguousarray((centroids.T + first_lists).reshape(1, -1), dtype=np.int64)
        offsets = np.repeat(products, len(self._shards), axis=1)
        scores, ids = np.empty((1, k), np.float32), np.empty((1, k), np.int64)
        pointers = [faiss.swig_ptr(array) for array in (lists, offsets, scores, ids)]
        options = faiss.SearchParametersIVF(nprobe=lists.shape[1], sel=selector)
        self._index.search_preassigned_c(1, faiss.swig_ptr(x), k, *pointers, False, options)
        found = ids[0] >= 0
        return ids[0][found], scores[0][found]
