"""The files of the dense index: what they are called, and bringing them to a generation of the store.

A file holds either the vectors of one segment of chunk ids as they are, or, for a *shard* of four segments, 8-bit codes
under a model (`dense.ivf`). Its name says which, and as of which generation. A file that has its name is never
changed: a reader may be using it. Knows no search.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from indexes.storage.dense import ivf
from indexes.storage.dense.ivf import ChunkIds
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
    """The files and the models that have those names."""
    files, models = set(), set()
    for name in names:
        first, second, *third = name.removesuffix(".faiss").split("-", 2)
        if first == "model":
            models.add("-".join((second, *third)))
        else:
            files.add(DenseFile(int(first), int(second), *third))
    return files, models


def shards(segments: Mapping[int, int]) -> Iterator[tuple[int, dict[int, int]]]:
    """Each shard, with the generations of its segments."""
    grouped: dict[int, dict[int, int]] = defaultdict(dict)
    for segment, generation in segments.items():
        grouped[segment // SEGMENTS_OF_SHARD][segment] = generation
    yield from grouped.items()


class _Unit(NamedTuple):
    """Segments of a shard that are made anew together, with the generations in which they last were."""

    shard: int
    segments: dict[int, int]

    def files(self, model: str) -> list[DenseFile]:
        """What they are kept in."""
        if model:
            return [DenseFile(self.shard, max(self.segments.values()), model)]
        return [DenseFile(segment, generation) for segment, generation in self.segments.items()]

    def changes(self, of_segments: Mapping[int, int]) -> int:
        """How many of their chunks are unfiled."""
        return sum(of_segments.get(segment, 0) for segment in self.segments)


class FileWriter:
    """Brings files up to date, all of them to one model ('' for none); `present` are those that can be kept."""

    def __init__(self, folder: Path, store: Store, present: set[DenseFile], model: str) -> None:
        self._folder, self._store, self._present, self._name = folder, store, present, model
        self._model = read(folder / model_file(model)) if model else None

    def follow(self) -> list[DenseFile]:
        """The files of all segments, some of them made now."""
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

    def _units(self, segments: Mapping[int, int]) -> Iterator[_Unit]:
        """What is made anew together: the segments of a shard, or each segment where they have files of their own."""
        for shard, its in shards(segments):
            whole = _Unit(shard, its)
            if self._name or any(self._present.issuperset(whole.files(model)) for model in self._models()):
                yield whole
            else:
                yield from (_Unit(shard, {segment: generation}) for segment, generation in its.items())

    def _held(self, unit: _Unit) -> list[DenseFile]:
        """The files that hold the unit but for what is unfiled, if there are; rather those that it should have."""
        for model in (self._name, "", *self._models()):
            if self._present.issuperset(files := unit.files(model)):
                return files
        return []

    def _models(self) -> set[str]:
        return {file.model for file in self._present} - {""}

    def _made(self, unit: _Unit) -> list[DenseFile]:
        generation = self._store.generation()
        self._store.vectors.set_filed(unit.segments, generation)
        files = _Unit(unit.shard, dict.fromkeys(unit.segments, generation)).files(self._name)
        for file in files:
            self._make(file)
        return files

    def _make(self, file: DenseFile) -> None:
        if self._model is None:
            write(flat_index(*self._store.vectors.of_segment(file.number)), self._folder / file.name)
            return
        old = [each for each in self._present if (each.number, each.model) == (file.number, file.model)]
        shard = ivf.read_shard(self._model, self._folder / old[0].name) if old else ivf.new_shard(self._model)
        self._change(shard, file.number)
        with ivf.without_centroids(shard) as written:
            write(written, self._folder / file.name)

    def _change(self, shard: Any, number: int) -> None:
        """Take out what the store no longer has, and add what it has now: ids rise and never come back."""
        import faiss

        ids = self._store.vectors.chunk_ids(range(number * SEGMENTS_OF_SHARD, (number + 1) * SEGMENTS_OF_SHARD))
        kept = faiss.IDSelectorBatch(ids)
        shard.remove_ids(faiss.IDSelectorNot(kept))
        new = ids[shard.ntotal :]
        for start in range(0, len(new), _ADDED_AT_ONCE):
            some = new[start : start + _ADDED_AT_ONCE]
            shard.add_with_ids(self._store.vectors.of(some.tolist()), some)


def read(path: Path) -> Any:
    """The FAISS index in a file. Raises RuntimeError for one that is missing or is none."""
    import faiss

    return faiss.read_index(str(path))


def write(index: Any, path: Path) -> None:
    """Write the file out to the disk before it gets its name: after a power cut a name never stands for half a file."""
    import faiss

    partial = path.with_suffix(".partial")
    faiss.write_index(index, str(partial))
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(path)


def flat_index(ids: ChunkIds, vectors: Vectors) -> Any:
    """(n,) ids with their (n, dimension) vectors, all of which a search compares."""
    import faiss

    index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
    if len(ids):
        index.add_with_ids(vectors, ids)
    return index
