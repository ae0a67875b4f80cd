"""What a file may cost: bounds that every reader keeps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds on one file; a file over any of them is refused, and the rest of an ingest goes on.

    `max_bytes`: its size on disk. `max_text`: characters of its text once it is read. `max_pages`: pages of a
    PDF. `max_unpacked`: bytes that an Office file unpacks to; `max_unpack_ratio`: how many times its own size that
    may be, for one that unpacks to more than 10 MB. `max_seconds` (by the clock) and `max_memory` (bytes of address
    space; macOS does not hold it): what a format that is read in a process of its own may take. `encoding`: the
    user's word for what text files are in; None to recognise it.
    """

    max_bytes: int = 100_000_000
    max_text: int = 200_000_000
    max_pages: int = 20_000
    max_unpacked: int = 250_000_000
    max_unpack_ratio: int = 200
    max_seconds: float = 120.0
    max_memory: int = 2_000_000_000
    encoding: str | None = None


DEFAULT_LIMITS = ReadLimits()
