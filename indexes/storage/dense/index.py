"""The dense index: search by inner product with FAISS, derived from the store.

Its files (`dense.files`) each hold a range of chunk ids. A few changes are left in the store, to be read when
the files are opened; where there are many, a file is made anew. So neither memory nor the cost of a change grows with
the corpus. While there are few vectors, the files hold them as they are, and a search compares all. When there are
many, they hold 8-bit codes under a model (`dense.ivf`), and a search scans some of them and compares the best
exactly. Files of another kind, or of a model that the corpus has outgrown, are searched as they are, and follow one by
one when something is published. A search makes none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from indexes.storage.dense import ivf
from indexes.storage.dense.files import DenseFile, FileWriter, flat_index, model_file, parsed, read, write
from indexes.storage.dense.ivf import ChunkIds
from indexes.storage.held_folder import HeldFolder, reachable
from indexes.storage.sqlite import Store
from indexes.types import Vectors

FOLDER = "dense"
FLAT_BELOW = 65_536  # vectors, up to which a search compares all: so many take about 4 ms

_MORE_CANDIDATES = 50  # than asked for, because 8-bit codes err in the third decimal
_COMPARED = 150  # candidates, exactly: those behind them count in a fusion only, where a third decimal says nothing
_FEW = 1024  # allowed chunks up to which their vectors are read and compared, and no index is asked
_SEED = 0

Scored = list[tuple[int, float]]


class _Opened(NamedTuple):
    """The open files of one generation: indexes of whole vectors, and the shards of each model.

    `loose` is an index of the chunks that were added since these were made; `but_gone` selects all chunks but those
    that were removed since.
    """

    generation: int
    names: frozenset[str]
    flat: dict[DenseFile, Any]
    shards: list[ivf.Shards]
    loose: Any
    gone: int
    but_gone: tuple[Any, Any]


_NOTHING = _Opened(-1, frozenset(), {}, [], None, 0, (None, None))


class DenseIndex:
    """The FAISS files in the folder `dense` of an index, of which the store names those of its generation."""

    def __init__(self, index: HeldFolder) -> None:
        self._index = index
        self._opened = _NOTHING

    def sync(self, store: Store) -> list[str]:
        """Make the files of what has changed.

        Args:
            store: The store of a writer.

        Returns:
            All files of the store's generation, by their names in the index's folder.
        """
        folder = self._index.make(FOLDER)
        files, models = parsed(name for name in self._names(store) if folder.status(name) is not None)
        present = {file for file in files if file.model in models | {""}}
        kept = FileWriter(folder, store, present, self._model_for(folder, store, max(models, default=""))).follow()
        used = sorted({file.model for file in kept} - {""})
        return [f"{FOLDER}/{name}" for name in (*(file.name for file in kept), *map(model_file, used))]

    def _names(self, store: Store) -> frozenset[str]:
        """Of the files that belong to the store's generation."""
        paths = (file.name.split("/") for file in store.derived_files())
        return frozenset(path[1] for path in paths if len(path) == 2 and path[0] == FOLDER)

    def open(self, store: Store) -> _Opened:
        """Open the files of the store's generation; those that were opened last stay open.

        Args:
            store: The store.

        Returns:
            The open files. A file that is missing raises RuntimeError or OSError.
        """
        opened, generation = self._opened, store.generation()
        if opened.generation != generation:
            names = self._names(store)
            files, models = parsed(names)
            flat = {file: opened.flat.get(file) or self._read(file.name) for file in files if not file.model}
            coded = opened.shards if opened.names == names else [self._shards(each, files) for each in sorted(models)]
            self._opened = opened = _Opened(generation, names, flat, coded, *_unfiled(store))
        return opened

    def _read(self, name: str) -> Any:
        return read(self._index.existing(FOLDER), name)

    def _shards(self, model: str, files: Set[DenseFile]) -> ivf.Shards:
        names = [file.name for file in sorted(files) if file.model == model]
        return ivf.Shards(self._read(model_file(model)), _each_reachable(self._index.existing(FOLDER), names))

    def _model_for(self, folder: HeldFolder, store: Store, newest: str) -> str:
        """The model that suits the number of vectors: the newest that there is, a new one, or '' for none."""
        vectors = store.chunk_count()
        if vectors < (FLAT_BELOW / 2 if newest else FLAT_BELOW):
            return ""
        lists = ivf.lists_for(vectors)
        if newest and lists <= int(newest.split("-")[1]) <= 2 * lists:  # one that is too fine does no harm yet
            return newest
        model = f"{store.generation():012d}-{lists:06d}"
        ids = np.random.default_rng(_SEED).permutation(store.vectors.chunk_ids())[: ivf.sample_size(lists)]
        write(ivf.train(store.vectors.of(np.sort(ids).tolist()), lists), folder, model_file(model))
        return model


def _each_reachable(folder: HeldFolder, names: Iterable[str]) -> Iterator[str]:
    """A path to each file, as long as the next one is not asked for."""
    for name in names:
        with folder.open(name) as file, reachable(file, folder.shown / name) as path:
            yield path


class DenseSearcher:
    """Search by inner product in the dense index of the store's generation."""

    def __init__(self, index: DenseIndex, store: Store) -> None:
        self._index, self._store = index, store

    @cached_property
    def opened(self) -> _Opened:
        """The files, opened when they are first used; from then on they may be deleted."""
        return self._index.open(self._store)

    def search(self, query: Vectors, k: int, allowed: Set[int] | None = None) -> Scored:
        """Find the chunks whose vectors have the largest inner product with a query's.

        Args:
            query: (dimension,) float32, of length 1.
            k: The maximum number of chunks.
            allowed: The ids of the chunks that may be found, for which all inverted lists are searched; None for all.

        Returns:
            (chunk id, inner product) of each, best first. Behind the first hundred it may be that of their 8-bit codes.
        """
        if allowed is not None and len(allowed) <= _FEW:
            return _exact(query, _array(allowed), self._store)[:k]
        opened = self.opened
        selector, bits = _selector(_array(allowed)) if allowed is not None else opened.but_gone
        found: Scored = []
        for index in (*opened.flat.values(), opened.loose):
            found += _search_flat(index, query, k, selector)
        for stack in opened.shards:
            ids, products = stack.candidates(query, k + _MORE_CANDIDATES, selector, everywhere=allowed is not None)
            found += _exact(query, ids[:_COMPARED], self._store)
            found += zip(ids[_COMPARED:].tolist(), products[_COMPARED:].tolist(), strict=True)
        del bits  # FAISS reads them until here
        return _best(found)[:k]

    def count(self) -> int:
        """The number of vectors in the files."""
        opened = self.opened
        flat: int = sum(index.ntotal for index in opened.flat.values())
        coded = sum(stack.count for stack in opened.shards)
        return flat + coded + int(opened.loose.ntotal) - opened.gone


def _array(ids: Set[int]) -> ChunkIds:
    return np.sort(np.fromiter(ids, np.int64, len(ids)))


def _unfiled(store: Store) -> tuple[Any, int, tuple[Any, Any]]:
    """An index of the chunks that came since their files were made, how many went, and a selector of all but those."""
    import faiss

    unfiled = store.vectors.unfiled()
    came = [chunk_id for chunk_id, there in unfiled if there]
    gone = np.array([chunk_id for chunk_id, there in unfiled if not there], dtype=np.int64)
    loose = flat_index(np.array(came, dtype=np.int64), store.vectors.of(came))
    if not len(gone):
        return loose, 0, (None, None)
    selected = faiss.IDSelectorBatch(gone)
    return loose, len(gone), (faiss.IDSelectorNot(selected), selected)


def _selector(allowed: ChunkIds) -> tuple[Any, Any]:
    """FAISS's selector of these ids, and the memory that it reads."""
    import faiss

    flags = np.zeros(int(allowed.max()) + 1, dtype=bool)
    flags[allowed] = True
    bits = np.packbits(flags, bitorder="little")
    return faiss.IDSelectorBitmap(bits), bits


def _search_flat(index: Any, query: Vectors, k: int, selector: Any) -> Scored:
    import faiss

    if not index.ntotal:
        return []
    options = faiss.SearchParameters(sel=selector) if selector else None
    scores, ids = index.search(query[np.newaxis], min(k, index.ntotal), params=options)
    found = ids[0] >= 0
    return list(zip(ids[0][found].tolist(), scores[0][found].tolist(), strict=True))


def _exact(query: Vectors, ids: ChunkIds, store: Store) -> Scored:
    """The chunks with their inner products, best first."""
    if not len(ids):
        return []
    products = store.vectors.of(ids.tolist()) @ query
    return _best(list(zip(ids.tolist(), products.tolist(), strict=True)))


def _best(found: Scored) -> Scored:
    return sorted(found, key=lambda hit: (-hit[1], hit[0]))
