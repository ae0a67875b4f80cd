"""The settings that an index records with its first document: the encoder, its weights, and the chunking.

An index without documents takes any encoder.
"""

from __future__ import annotations

from indexes.chunking import Chunking
from indexes.encoders import DEFAULT_ENCODER, load_encoder
from indexes.errors import EncoderUnavailable, IndexDamaged, IndexMismatch
from indexes.storage import Store
from indexes.types import Encoder


def encoder_name(store: Store) -> str | None:
    """The name of the encoder that the index was made with; None while it holds no document."""
    return _remembered(store, "encoder")


def choose_encoder(store: Store, given: str | Encoder | None, index: str, *, to_repair: bool = False) -> Encoder:
    """Load the encoder to open an index with.

    Args:
        store: The store of the index.
        given: The encoder, or its name; None for the one that the index was made with.
        index: What the index is called, for the message of an error.
        to_repair: Whether damaged settings do not matter, since `restore_settings` will check the encoder.

    Returns:
        The encoder.

    Raises:
        IndexMismatch: If it is not the one that the index was made with.
    """
    if to_repair and settings_are_damaged(store):
        return _named(store) if given is None else load_encoder(given)
    made_with = encoder_name(store)
    if given is None and made_with is not None:  # an index may be somebody else's: what it names is not fetched
        return load_encoder(made_with, download=False)
    chosen = load_encoder(DEFAULT_ENCODER if given is None else given)
    _check_name(store, chosen, index)
    return chosen


def _named(store: Store) -> Encoder:
    """The encoder that damaged settings name, or the default one."""
    named = load_encoder(store.settings().get("encoder", DEFAULT_ENCODER), download=False)
    try:
        _ = named.fingerprint
    except EncoderUnavailable:
        return load_encoder(DEFAULT_ENCODER)
    return named


def _check_name(store: Store, encoder: Encoder, index: str) -> None:
    made_with = encoder_name(store)
    if made_with is not None and made_with != encoder.name:
        raise IndexMismatch(
            f"{index} was made with the encoder {made_with!r}, not {encoder.name!r}: open it with {made_with!r} "
            "(--encoder), or ingest into a new index"
        )


def check_weights(store: Store, encoder: Encoder, index: str) -> None:
    """Raise IndexMismatch unless the encoder's weights are those that made the index."""
    recorded = _remembered(store, "encoder_fingerprint")
    # longctx 0.1 recorded the weights alone.
    if recorded not in (None, encoder.fingerprint) and recorded != getattr(encoder, "weights_fingerprint", None):
        raise IndexMismatch(
            f"{index} was made with other weights or settings of the encoder {encoder.name}: put those back, "
            "or ingest into a new index"
        )


def bind(store: Store, encoder: Encoder, index: str) -> Encoder:
    """Check the encoder's weights, and record the encoder in the index."""
    store.hold_settings()
    _check_name(store, encoder, index)  # another writer may have been first
    check_weights(store, encoder, index)
    store.set_meta("encoder", encoder.name)
    store.set_meta("encoder_fingerprint", encoder.fingerprint)
    return encoder


def chunking(store: Store, tokens: int | None, overlap: int | None) -> Chunking:
    """The chunking with the given settings, and the recorded ones where None. Raises CorpusError if they conflict."""
    try:
        remembered = Chunking.load(_remembered(store, "chunking") or "")
    except (ValueError, TypeError) as error:
        raise IndexDamaged(
            "the settings that documents of the index are split by are damaged: put a copy of it back, or delete its "
            "folder and ingest again"
        ) from error
    return Chunking(remembered.tokens if tokens is None else tokens, remembered.overlap if overlap is None else overlap)


def settings_are_damaged(store: Store) -> bool:
    """Whether the settings are not what their checksum says."""
    try:
        store.meta("encoder")
    except IndexDamaged:
        return True
    return False


def _remembered(store: Store, fact: str) -> str | None:
    """A recorded setting; None while the index has no document."""
    return None if store.is_empty() else store.meta(fact)
