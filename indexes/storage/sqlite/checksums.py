"""Checksums of what is stored, and what is raised when something is not what it was. Knows no tables."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

from indexes.errors import IndexDamaged

_BLOCK = 1 << 20  # characters


def checksum(row: Sequence[object], data: bytes = b"") -> int:
    """CRC-32 of a row of text, whole numbers and NULLs, and of `data` after it. Raises TypeError for anything else."""
    return zlib.crc32(data, zlib.crc32(json.dumps(row).encode()))


def vector_checksum(chunk_id: int, vector: bytes) -> int:
    """CRC-32 of a vector that stands at its chunk's id."""
    return zlib.crc32(vector, chunk_id & 0xFFFFFFFF)


def text_checksum(text: str) -> int:
    """CRC-32 of a text in UTF-8."""
    total = 0
    for start in range(0, len(text), _BLOCK):
        total = zlib.crc32(text[start : start + _BLOCK].encode(), total)
    return total


def found(row: Any, what: str) -> Sequence[Any]:
    """A row that must be there. Raises IndexDamaged for None."""
    if row is None:
        raise IndexDamaged(f"{what} is missing")
    return row  # type: ignore[no-any-return]


def of_types(rows: list[Any], types: Sequence[type], what: str) -> list[Any]:
    """Rows without a checksum, if they can be what they were."""
    if any(not isinstance(value, kind) for row in rows for value, kind in zip(row, types, strict=True)):
        raise IndexDamaged(f"{what} is not what it was")
    return rows


def check_vector(chunk_id: int, vector: object, expected: object) -> None:
    """Raises IndexDamaged for a vector that is not what it was."""
    if not isinstance(vector, bytes) or vector_checksum(chunk_id, vector) != expected:
        raise IndexDamaged(f"the vector of chunk {chunk_id} is not what it was")


def check_row(row: Sequence[object], expected: object, what: str, data: bytes = b"") -> None:
    """Raises IndexDamaged for a row, and the data after it, that are not what they were."""
    try:
        whole = checksum(row, data) == expected
    except TypeError:  # bytes where text or a number was
        whole = False
    if not whole:
        raise IndexDamaged(f"{what} is not what it was")
