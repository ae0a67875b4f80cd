"""Made chunks for `bench_search.py`: vectors, texts and queries, and an index filled with them without an encoder.

Vectors are a mixture of 4,000 Gaussians on the sphere of 384 dimensions, of unequal weight, whose noise has a decaying
spectrum (variance 1/i in dimension i of a random basis), as that of embeddings does; queries are drawn from the same
mixture. Texts are 160 words of a vocabulary of 100,000, by Zipf's law, of which the most frequent are English function
words, so that the language is told as of any English text; a query's words are taken from a random chunk.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

DIMENSION, CLUSTERS, VOCABULARY, WORDS = 384, 4000, 100_000, 160
FUNCTION_WORDS = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they "
    "which one you were all her she there would their we him been has when who will no more if out so up said what "
    "its about than into them can only other some could these two may then do any my now such like our over me even "
    "most also did many before must through"
)
BATCH = 20_000
Vectors = npt.NDArray[np.float32]
Batch = tuple[int, list[str], Vectors]


class Mixture:
    """Where the vectors come from; `draw` gives unit vectors."""

    def __init__(self) -> None:
        random = np.random.default_rng(123)
        self._basis = np.linalg.qr(random.standard_normal((DIMENSION, DIMENSION)))[0].astype(np.float32)
        spectrum = 1 / np.sqrt(np.arange(1, DIMENSION + 1))
        self._spectrum = (spectrum / np.linalg.norm(spectrum)).astype(np.float32)
        self._centres = unit(self._noise(random, CLUSTERS))
        weights = 1 / np.sqrt(np.arange(1, CLUSTERS + 1))
        self._weights = weights / weights.sum()

    def draw(self, count: int, seed: int) -> Vectors:
        random = np.random.default_rng(seed)
        of = random.choice(CLUSTERS, count, p=self._weights)
        return unit(self._centres[of] + np.float32(0.8) * self._noise(random, count))

    def _noise(self, random: np.random.Generator, count: int) -> Vectors:
        noise: Vectors = (random.standard_normal((count, DIMENSION), dtype=np.float32) * self._spectrum) @ self._basis
        return noise


def unit(vectors: Vectors) -> Vectors:
    scaled: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


class Words:
    """Where the texts come from."""

    def __init__(self) -> None:
        random = np.random.default_rng(5)
        syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
        picks = random.integers(len(syllables), size=(VOCABULARY, 4))
        made = ["".join(syllables[i] for i in row[: 1 + number % 4]) for number, row in enumerate(picks)]
        frequent = FUNCTION_WORDS.split()
        self._words = [*frequent, *made[len(frequent) :]]
        self._upto = np.cumsum(1 / np.arange(1, VOCABULARY + 1))

    def texts(self, count: int, seed: int) -> list[str]:
        draws = np.random.default_rng(seed).random((count, WORDS)) * self._upto[-1]
        return [" ".join(map(self._words.__getitem__, row)) for row in np.searchsorted(self._upto, draws).tolist()]


class StandIn:
    """An `indexes.Encoder` without a model: a query has the vector that was put beside it, a passage a random one."""

    name, fingerprint, max_tokens, languages = "stand-in", "0", 256, None

    def __init__(self) -> None:
        self.queries: dict[str, Vectors] = {}
        self._mixture = Mixture()

    def token_offsets(self, texts: list[str]) -> list[list[tuple[int, int]]]:
        return [[(i, min(i + 5, len(text))) for i in range(0, len(text), 5)] for text in texts]

    def encode_passages(self, texts: list[str]) -> Vectors:
        return self._mixture.draw(len(texts), len(texts[0]))

    def encode_query(self, text: str) -> Vectors:
        return self.queries[text]


def batches(chunks: int, there: int = 0) -> Iterator[Batch]:
    """Number, texts and vectors of each batch that is not there yet."""
    mixture, words = Mixture(), Words()
    for number, first in enumerate(range(0, chunks, BATCH)):
        if first < there:
            continue
        count = min(BATCH, chunks - first)
        yield number, words.texts(count, 1000 + number), mixture.draw(count, 1000 + number)


def make(folder: Path, chunks: int, of_document: int = 10, made: Iterable[Batch] | None = None) -> None:
    from indexes.storage import IndexFolder

    began = time.perf_counter()
    index = IndexFolder.open(folder, create=True)
    with index.writing() as writer:
        for number, texts, vectors in made or batches(chunks, writer.store.counts()[1]):
            with writer.batch() as generation:
                writer.store.set_meta("encoder", StandIn.name)
                writer.store.set_meta("encoder_fingerprint", StandIn.fingerprint)
                for first in range(0, len(texts), of_document):
                    rows = slice(first, first + of_document)
                    add_document(
                        writer.store, f"/made/{number:04}/{first:06}.txt", texts[rows], vectors[rows], generation
                    )
            print(f"{(number + 1) * BATCH:>9} chunks, {time.perf_counter() - began:.0f} s", flush=True)
    index.close()
    print(f"made in {time.perf_counter() - began:.0f} s")


def add_document(store: Any, source: str, texts: list[str], vectors: Vectors, generation: int) -> None:
    from indexes.metadata import Metadata
    from indexes.types import Chunk, Document

    text = "\n".join(texts)
    name = Path(source).stem
    metadata = Metadata(
        {"author": f"Author {int(name) // 20}", "year": str(1900 + int(name) % 120), "keywords": "a, b"}
    )
    modified = f"{1970 + int(name) % 50}-{1 + int(name) // 50 % 12:02}-11T00:00:00Z"
    document = Document(source, text, name, metadata=metadata, modified=modified)
    document_id = store.add_document(document, source, generation)
    chunks, start = [], 0
    for line, each in enumerate(texts, start=1):
        chunks.append(Chunk(each, source, name, "", None, start, start + len(each), line, WORDS))
        start += len(each) + 1
    store.add_chunks(document_id, chunks, vectors)


def queries(count: int, words: int, seed: int) -> tuple[list[str], Vectors]:
    random = np.random.default_rng(seed)
    texts = [" ".join(random.choice(text.split(), words, replace=False)) for text in Words().texts(count, seed)]
    return texts, Mixture().draw(count, seed)


def exact(chunks: int, asked: Vectors, k: int) -> npt.NDArray[np.int64]:
    """Ids (n, k) of the chunks with the largest products: the chunk ids count from 1."""
    scores, ids = np.full((len(asked), k), -9, np.float32), np.zeros((len(asked), k), np.int64)
    mixture = Mixture()
    for number, first in enumerate(range(0, chunks, BATCH)):
        new = asked @ mixture.draw(min(BATCH, chunks - first), 1000 + number).T
        best = np.argpartition(-new, k, axis=1)[:, :k]
        scores, ids = np.hstack([scores, np.take_along_axis(new, best, 1)]), np.hstack([ids, best + first + 1])
        order = np.argsort(-scores, axis=1)[:, :k]
        scores, ids = np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
    return ids
