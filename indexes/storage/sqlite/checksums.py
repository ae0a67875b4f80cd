"""CRC-32 checksums of rows, texts and vectors, and the errors for those that do not match."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from indexes.errors import IndexDamaged

SETTINGS = ("chunking", "encoder", "encoder_fingerprint")  # of an index, which nothing else in it can tell

_BLOCK = 1 << 20  # characters
_OLD_STAMP = re.compile(r"\d+:-?\d+:-?\d+:\d+:")


def checksum(row: Sequence[object], data: bytes = b"") -> int:
    """CRC-32 of a row, as JSON.

    Args:
        row: Its values: text, whole numbers and None; anything that is not JSON raises TypeError.
        data: Bytes to append to the row.

    Returns:
        The checksum.
    """
    return zlib.crc32(data, zlib.crc32(json.dumps(row).encode()))


def vector_checksum(chunk_id: int, vector: bytes) -> int:
    """CRC-32 of a vector, seeded with its chunk's id, so that a vector in another chunk's row does not match.

    Args:
        chunk_id: The chunk's id.
        vector: The vector, as little-endian float32.

    Returns:
        The checksum.
    """
    return zlib.crc32(vector, chunk_id & 0xFFFFFFFF)


def text_checksum(text: str) -> int:
    """CRC-32 of a text in UTF-8."""
    total = 0
    for start in range(0, len(text), _BLOCK):
        total = zlib.crc32(text[start : start + _BLOCK].encode(), total)
    return total


def seal_stamp(stamp: str | None) -> str | None:
    """A file's stamp with a CRC-32 of it before it, as it is stored."""
    return None if stamp is None else f"{zlib.crc32(stamp.encode()):08x} {stamp}"


def read_stamp(sealed: object) -> tuple[str | None, bool]:
    """Read a stored stamp.

    Args:
        sealed: What is stored, as bytes.

    Returns:
        The stamp, and whether it is what was written; no stamp unless it is certain. Those of longctx 0.1 have no
        checksum.
    """
    if sealed is None:
        return None, True
    try:
        text = bytes(sealed).decode() if isinstance(sealed, bytes) else ""
    except UnicodeDecodeError:
        return None, False
    if _OLD_STAMP.match(text):
        return None, True
    stamp = text[9:]
    return (stamp, True) if seal_stamp(stamp) == text else (None, False)


def settings_checksum(settings: Mapping[str, str]) -> str:
    """CRC-32 of those of an index's settings that SETTINGS names, as it is stored among them.

    Args:
        settings: All settings by their names.

    Returns:
        The checksum.
    """
    return f"{checksum([(name, settings.get(name)) for name in SETTINGS]):08x}"


def found(row: Any, what: str) -> Sequence[Any]:
    """Return a row that must be there; raise IndexDamaged for None."""
    if row is None:
        raise IndexDamaged(f"{what} is missing")
    return row  # type: ignore[no-any-return]


def of_types(rows: list[Any], types: Sequence[type], what: str) -> list[Any]:
    """Return rows that have no checksum, if their values have the right types; raise IndexDamaged otherwise."""
    if any(not isinstance(value, kind) for row in rows for value, kind in zip(row, types, strict=True)):
        raise IndexDamaged(f"{what} is not what it was")
    return rows


def check_vector(chunk_id: int, vector: object, expected: object) -> None:
    """Check a vector.

    Args:
        chunk_id: The id of its chunk.
        vector: What was read, as little-endian float32.
        expected: Its checksum.

    Raises:
        IndexDamaged: If it does not match.
    """
    if not isinstance(vector, bytes) or vector_checksum(chunk_id, vector) != expected:
        raise IndexDamaged(f"the vector of chunk {chunk_id} is not what it was")


def check_row(row: Sequence[object], expected: object, what: str, data: bytes = b"") -> None:
    """Check a row.

    Args:
        row: The row.
        expected: Its checksum.
        what: What it is, for the message of an error.
        data: What was appended to the row.

    Raises:
        IndexDamaged: If it does not match.
    """
    try:
        whole = checksum(row, data) == expected
    except TypeError:  # bytes where text or a number was
        whole = False
    if not whole:
        raise IndexDamaged(f"{what} is not what it was")
