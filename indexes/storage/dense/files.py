"""The files of the dense index: their names, and updating them to a generation of the store.

A file holds either the vectors of one segment of chunk ids as they are, or, for a *shard* of four segments, 8-bit codes
under a model (`dense.ivf`). Its name says which, and as of which generation. A file that has got its name is never
changed: a reader may be using it.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from indexes.storage.dense import ivf
from indexes.storage.dense.ivf import ChunkIds
from indexes.storage.file_access import file_mode
from indexes.storage.held_folder import HeldFolder, reachable
from indexes.storage.sqlite import Store
from indexes.types import Vectors

# A search scans a part of every list that it visits in every shard, and many short parts take longer than a few long
# ones: at a million vectors 4.4 ms with a shard for each segment.
SEGMENTS_OF_SHARD = 4
_ADDED_AT_ONCE = 16_384  # vectors, read into memory
_CONVERTED_AT_ONCE = 1  # shards that have not changed, in one publication: each takes a second or two
# Chunks that came or went and are in no file: reading so many when a generation is opened takes 4 ms, and making a file
# anew a tenth of a second and more.
UNFILED = 512
_NEVER = -1  # the generation of a segment that has no file


class DenseFile(NamedTuple):
    """A segment's vectors, or a shard's codes under `model`, as of the generation in which they last changed."""

    number: int
    generation: int
    model: str = ""

    @property
    def name(self) -> str:
        """What the file is called."""
        return f"{self.number:06d}-{self.generation:012d}{self.model and '-'}{self.model}.faiss"


def model_file(model: str) -> str:
    """The name of a model's file; a model is called by the generation that it was trained in and its lists."""
    return f"model-{model}.faiss"


def parsed(names: Iterable[str]) -> tuple[set[DenseFile], set[str]]:
    """Parse file names into files and models."""
    files, models = set(), set()
    for name in names:
        first, second, *third = name.removesuffix(".faiss").split("-", 2)
        if first == "model":
            models.add("-".join((second, *third)))
        else:
            files.add(DenseFile(int(first), int(second), *third))
    return files, models


class _SegmentGroup(NamedTuple):
    """Segments of a shard whose files are made anew together, with the generations in which they last were."""

    shard: int
    segments: dict[int, int]

    def files(self, model: str) -> list[DenseFile]:
        """The files for these segments under a model ('' for none)."""
        if model:
            return [DenseFile(self.shard, max(self.segments.values()), model)]
        return [DenseFile(segment, generation) for segment, generation in self.segments.items()]

    def changes(self, of_segments: Mapping[int, int]) -> int:
        """How many of their chunks are unfiled."""
        return sum(of_segments.get(segment, 0) for segment in self.segments)


class FileWriter:
    """Updates the files of all segments.

    Args:
        folder: The folder of the files.
        store: The store of a writer.
        present: The files that can be kept.
        model: The model that new files are coded under; '' for none.
    """

    def __init__(self, folder: HeldFolder, store: Store, present: set[DenseFile], model: str) -> None:
        self._folder, self._store, self._present, self._name = folder, store, present, model
        self._model = read(folder, model_file(model)) if model else None
        self._models = {file.model for file in present} - {""}

    def follow(self) -> list[DenseFile]:
        """Make the files that are due, and return the files of all segments."""
        changes, before = self._store.vectors.unfiled_by_segment(), self._store.vectors.segments()
        units = [*self._units(dict.fromkeys(changes, _NEVER) | before)]
        is_empty = not self._store.chunk_count()  # the next vectors may be of another encoder and dimension
        due = [unit for unit in units if is_empty or not self._held(unit)]
        others = [unit for unit in units if unit not in due]
        due += [unit for unit in others if not self._present.issuperset(unit.files(self._name))][:_CONVERTED_AT_ONCE]
        few = sorted((unit for unit in units if unit not in due), key=lambda unit: unit.changes(changes))
        while sum(unit.changes(changes) for unit in few) > UNFILED:
            due.append(few.pop())
        kept = [file for unit in few for file in self._held(unit)]
        return kept + [file for unit in due for file in self._made(unit)]

    def _units(self, segments: Mapping[int, int]) -> Iterator[_SegmentGroup]:
        """The units: the segments of a shard, or each segment where they have files of their own."""
        shards: dict[int, dict[int, int]] = defaultdict(dict)
        for segment, generation in segments.items():
            shards[segment // SEGMENTS_OF_SHARD][segment] = generation
        for shard, its in shards.items():
            whole = _SegmentGroup(shard, its)
            if self._name or any(self._present.issuperset(whole.files(model)) for model in self._models):
                yield whole
            else:
                yield from (_SegmentGroup(shard, {segment: generation}) for segment, generation in its.items())

    def _held(self, unit: _SegmentGroup) -> list[DenseFile]:
        """The present files of a unit, preferably under the model that it should have; empty if there are none."""
        for model in (self._name, "", *self._models):
            if self._present.issuperset(files := unit.files(model)):
                return files
        return []

    def _made(self, unit: _SegmentGroup) -> list[DenseFile]:
        generation = self._store.generation()
        self._store.vectors.set_filed(unit.segments, generation)
        files = _SegmentGroup(unit.shard, dict.fromkeys(unit.segments, generation)).files(self._name)
        for file in files:
            self._make(file)
        return files

    def _make(self, file: DenseFile) -> None:
        if self._model is None:
            write(flat_index(*self._store.vectors.of_segment(file.number)), self._folder, file.name)
            return
        old = [each for each in self._present if (each.number, each.model) == (file.number, file.model)]
        shard = ivf.new_shard(self._model)
        if old:
            ivf.fill_shard(shard, read(self._folder, old[0].name))
        self._change(shard, file.number)
        with ivf.without_centroids(shard) as written:
            write(written, self._folder, file.name)

    def _change(self, shard: Any, number: int) -> None:
        """Remove the vectors that the store no longer has, and add the new ones: ids only ever rise."""
        import faiss

        ids = self._store.vectors.chunk_ids(range(number * SEGMENTS_OF_SHARD, (number + 1) * SEGMENTS_OF_SHARD))
        kept = faiss.IDSelectorBatch(ids)
        shard.remove_ids(faiss.IDSelectorNot(kept))
        new = ids[shard.ntotal :]
        for start in range(0, len(new), _ADDED_AT_ONCE):
            some = new[start : start + _ADDED_AT_ONCE]
            shard.add_with_ids(self._store.vectors.of(some.tolist()), some)


def read(folder: HeldFolder, name: str) -> Any:
    """Read the FAISS index in a file. Raises RuntimeError or OSError for one that is missing or damaged."""
    import faiss

    with folder.open(name) as file, reachable(file, folder.shown / name) as path:
        return faiss.read_index(path)


def write(index: Any, folder: HeldFolder, name: str) -> None:
    """Write a FAISS index to the disk before it gets its name: so after a power cut no file is half written."""
    import faiss

    partial = f"{name.removesuffix('.faiss')}.partial"
    with folder.create(partial) as file:
        with reachable(file, folder.shown / partial) as path:
            faiss.write_index(index, path)
        os.fchmod(file.fileno(), file_mode(folder.path))
        os.fsync(file.fileno())
    folder.rename(partial, name)


def flat_index(ids: ChunkIds, vectors: Vectors) -> Any:
    """A FAISS index that compares all vectors: (n,) ids and (n, dimension) float32."""
    import faiss

    index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
    if len(ids):
        index.add_with_ids(vectors, ids)
    return index
