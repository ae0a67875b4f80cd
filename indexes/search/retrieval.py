"""What a search reads from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field

from indexes.storage import DenseSearch, LexicalSearch, Store
from indexes.types import Chunk, Encoder


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The parts of one generation of an index that one search uses.

    Attributes:
        store: The store.
        dense: Search by vectors.
        lexical: Search by terms.
        encoder: The model that embeds the query.
        check_encoder: Raises IndexMismatch if the encoder's weights are not those that made the index.
        allowed: The ids of the chunks that may be found; None for all.
        read_chunks: The chunks that were read, by their ids.
    """

    store: Store
    dense: DenseSearch
    lexical: LexicalSearch
    encoder: Encoder
    check_encoder: Callable[[], None]
    allowed: Set[int] | None = None
    read_chunks: dict[int, Chunk] = field(default_factory=dict, repr=False)

    def chunks(self, ids: Iterable[int]) -> dict[int, Chunk]:
        """Read chunks, of which evidence and hits are the same ones, mostly: what was read stays.

        Args:
            ids: Their ids.

        Returns:
            The chunks by id, in the order of `ids`.
        """
        ids = [*ids]
        if new := [chunk_id for chunk_id in ids if chunk_id not in self.read_chunks]:
            self.read_chunks.update(self.store.chunks(new))
        return {chunk_id: self.read_chunks[chunk_id] for chunk_id in ids}
