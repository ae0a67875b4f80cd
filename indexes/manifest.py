"""What an index is bound to from its first document on: an encoder, its weights, and a way to cut chunks.

An index without documents is bound to nothing. Knows the store; searches and ingests nothing.
"""

from __future__ import annotations

from pathlib import Path

from indexes.chunking import Chunking
from indexes.encoders import DEFAULT_ENCODER, load_encoder
from indexes.errors import IndexMismatch
from indexes.storage import Store
from indexes.types import Encoder


def encoder_name(store: Store) -> str | None:
    """The name of the encoder that the index was made with; None while it holds no document."""
    return _remembered(store, "encoder")


def choose_encoder(store: Store, given: str | Encoder | None, folder: Path) -> Encoder:
    """The encoder to open the index with: the one given, or else the one that it was made with.

    Raises IndexMismatch if the two are not the same.
    """
    made_with = encoder_name(store)
    chosen = load_encoder(given if given is not None else made_with or DEFAULT_ENCODER)
    if made_with is not None and made_with != chosen.name:
        raise IndexMismatch(
            f"{folder} was made with the encoder {made_with!r}, not {chosen.name!r}: open it with {made_with!r} "
            "(--encoder), or ingest into a new index"
        )
    return chosen


def check_weights(store: Store, encoder: Encoder, folder: Path) -> None:
    """Raise IndexMismatch unless the encoder's weights are those that made the index."""
    if _remembered(store, "encoder_fingerprint") not in (None, encoder.fingerprint):
        raise IndexMismatch(
            f"{folder} was made with other weights of the encoder {encoder.name}: put those back, "
            "or ingest into a new index"
        )


def bind(store: Store, encoder: Encoder, folder: Path) -> Encoder:
    """The encoder, checked, and noted in an index that has no document yet."""
    check_weights(store, encoder, folder)
    store.set_meta("encoder", encoder.name)
    store.set_meta("encoder_fingerprint", encoder.fingerprint)
    return encoder


def chunking(store: Store, tokens: int | None, overlap: int | None) -> Chunking:
    """What was asked for, and for the rest what was remembered. Raises CorpusError."""
    remembered = Chunking.load(_remembered(store, "chunking") or "")
    return Chunking(remembered.tokens if tokens is None else tokens, remembered.overlap if overlap is None else overlap)


def _remembered(store: Store, fact: str) -> str | None:
    """A fact about how the index was made."""
    return None if store.is_empty() else store.meta(fact)
