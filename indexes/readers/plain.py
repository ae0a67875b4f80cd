"""Text that has no structure that longctx knows of."""

from __future__ import annotations

from indexes.encoding import decode
from indexes.readers.limits import ReadLimits
from indexes.readers.reading import Reading


def read_plain(data: bytes, limits: ReadLimits) -> Reading:
    """The text as it is."""
    return Reading(decode(data, limits.encoding))
