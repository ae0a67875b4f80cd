"""Making damaged settings of an index again: each from what proves it, and nothing without a proof of the encoder.

What proves them all is their checksum. Where that is damaged, too, the recorded fingerprint proves the encoder, or
vectors that it makes again do; the stamps of files, or the files themselves, say how documents were split.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice, product
from string import digits

from indexes.chunking import DEFAULT_CHUNKING, Chunking, embedded_text
from indexes.errors import CorpusError, IndexDamaged, UnreadableFile
from indexes.ingest import read_unchanged, version_of
from indexes.manifest import settings_are_damaged
from indexes.readers import DEFAULT_LIMITS
from indexes.sources import NAMESPACE
from indexes.storage import Store, settings_checksum
from indexes.types import Chunk, Encoder

_NAMES = ("encoder", "encoder_fingerprint", "chunking")
_LOOKED_AT = 8  # documents: of each a vector, and its file
_SAME = 0.999  # cosine of a vector that was made again: processors and batches differ in the fifth decimal


def restore_settings(store: Store, encoder: Encoder) -> tuple[str, ...]:
    """Make damaged settings again, if it can be proved what they were.

    Args:
        store: The store, in a writer's transaction.
        encoder: What the index may have been made with.

    Returns:
        What was restored and what was derived, in a line; nothing if no setting is damaged.

    Raises:
        IndexDamaged: If nothing proves that the encoder is the one that the index was made with.
    """
    if not settings_are_damaged(store):
        return ()
    left = {name: value for name, value in store.settings().items() if name in (*_NAMES, "settings")}
    stamped = Counter(version_of(stamp).lstrip(digits) for stamp in store.stamps())
    if (found := _by_checksum(left, encoder, stamped)) is not None:
        changed = [name for name in _NAMES if left.get(name) != found.get(name)]
        how = f"restored {_listed(changed)}, as their checksum proves"
    else:
        found, how = _derived(store, left, encoder, stamped)
    store.restore_settings(found)
    return (f"the settings of the index were made again, with the encoder {encoder.name}: {how}",)


def _by_checksum(left: Mapping[str, str], encoder: Encoder, stamped: Mapping[str, int]) -> dict[str, str] | None:
    """The settings that match the checksum that is left."""
    splits = {DEFAULT_CHUNKING.dump(), left.get("chunking"), None, *stamped}
    for split, fingerprint in product(splits, _fingerprints(encoder)):
        found = {"encoder": encoder.name, "encoder_fingerprint": fingerprint}
        found |= {} if split is None else {"chunking": split}
        if settings_checksum(found) == left.get("settings"):
            return found
    return None


def _derived(
    store: Store, left: Mapping[str, str], encoder: Encoder, stamped: Counter[str]
) -> tuple[dict[str, str], str]:
    """The settings without their checksum, and what shows each."""
    fingerprint, shown = left.get("encoder_fingerprint"), ["their checksum"]
    split, of_split = _split(store, left.get("chunking"), stamped)
    if fingerprint in _fingerprints(encoder):
        by = "by the encoder's fingerprint"
    elif _makes_the_vectors(store, encoder, Chunking.load(split or "")):
        fingerprint, by = encoder.fingerprint, "by vectors that it makes again"
        shown.append(f"encoder_fingerprint {by}")
    else:
        raise IndexDamaged(
            "the settings that its documents were made with are not what they were, and nothing shows that the encoder "
            f"was {encoder.name!r}: if it was another, name that with `longctx index repair --encoder NAME`"
        )
    if left.get("encoder") != encoder.name:
        shown.append(f"encoder {by}")
    if split != left.get("chunking"):
        shown.append(f"chunking {of_split}")
    found = {"encoder": encoder.name, "encoder_fingerprint": str(fingerprint)}
    found |= {} if split is None else {"chunking": split}
    kept = [name for name in found if left.get(name) == found[name]]
    return found, f"{f'kept {_listed(kept)}; ' if kept else ''}derived {_listed(shown)}"


def _split(store: Store, recorded: str | None, stamped: Counter[str]) -> tuple[str | None, str]:
    """How documents are split, as `Chunking.dump` writes it, and what shows that."""
    if recorded in stamped or not (recorded or stamped):
        return recorded, ""
    if stamped:
        newest = stamped.most_common(1)[0][0]
        return (newest, "by the stamps of files") if _is_chunking(newest) else (DEFAULT_CHUNKING.dump(), "by default")
    default = DEFAULT_CHUNKING.dump()
    if recorded == default or (recorded is not None and _is_chunking(recorded) and not _reads(store, default)):
        return recorded, ""
    return default, "by files" if _reads(store, default) else "by default, since nothing shows it"


def _reads(store: Store, split: str) -> bool:
    """Whether files are still what documents were made from, if these were split so."""
    for source, _ in _documents(store):
        with suppress(UnreadableFile, IndexDamaged):
            if (known := store.stamp(source)) is not None:
                read_unchanged(source, known.content_hash, None, Chunking.load(split), DEFAULT_LIMITS)
                return True
    return False


def _is_chunking(text: str) -> bool:
    try:
        return Chunking.load(text).dump() == text
    except (ValueError, TypeError, CorpusError):
        return False


def _makes_the_vectors(store: Store, encoder: Encoder, split: Chunking) -> bool:
    """Whether an encoder makes vectors of the index again; those that came from llama-index show nothing."""
    chunks = [chunk for _, chunk in _documents(store) if store.vectors.is_whole(chunk.id)]
    if not chunks:
        return False
    wanted = store.vectors.of([chunk.id for chunk in chunks])
    try:
        made = encoder.encode_passages([embedded_text(chunk, encoder, split) for chunk in chunks])
    except CorpusError:  # it does not read chunks of that length
        return False
    return made.shape == wanted.shape and bool(((made * wanted).sum(axis=1) >= _SAME).all())


def _documents(store: Store) -> Iterator[tuple[str, Chunk]]:
    """Some documents that are whole, with the first chunk of each."""
    found = 0
    for (document_id,) in store.rows("SELECT id FROM documents ORDER BY id"):
        with suppress(IndexDamaged, sqlite3.Error, UnicodeDecodeError):
            for chunk in islice(store.chunks_of(document_id), 1):
                if not chunk.source.startswith(NAMESPACE):
                    found += 1
                    yield chunk.source, chunk
        if found == _LOOKED_AT:
            return


def _fingerprints(encoder: Encoder) -> set[str]:
    return {encoder.fingerprint, getattr(encoder, "weights_fingerprint", encoder.fingerprint)}


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
