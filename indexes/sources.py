"""The sources of documents: a file's absolute path or s3:// address, a name, or "llama-index:" and the id there."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

NAMESPACE = "llama-index:"  # the prefix of a llama-index document's source: no absolute path begins with it

STORAGE = "s3://"
_STORED = re.compile(r"s3:/+(?=[^/])")  # a Path has lost a slash of it
_URL = re.compile(r"(https?|ftp):/+([^/].*)", re.IGNORECASE)


def is_stored(source: str) -> bool:
    """Whether the source is a file in object storage."""
    return source.startswith(STORAGE)


def is_file(source: str) -> bool:
    """Whether the source is a file's path."""
    return not source.startswith(NAMESPACE)


def url_of(given: str | Path) -> str | None:
    """The URL that a user gave, of which a Path has lost a slash; None for a path."""
    url = _URL.match(str(given))
    return None if url is None else f"{url[1]}://{url[2]}"


def full_source(given: str | Path) -> str:
    """The source that a user means: a path from the working folder made absolute, another source or a URL as it is."""
    if url := url_of(given):
        return url
    if address := _STORED.match(str(given)):
        return f"{STORAGE}{str(given)[address.end() :].rstrip('/')}"
    is_path = isinstance(given, Path) or is_file(given)
    return os.path.abspath(Path(given).expanduser()) if is_path else str(given)


def composed(source: str) -> str:
    """A source with its letters composed (NFC), for comparison: macOS writes é in a file's name as two characters."""
    return source if source.isascii() else unicodedata.normalize("NFC", source)


def lies_in(source: str, place: str) -> bool:
    """Whether a source is `place`, or a file under that folder."""
    return source == place or (is_file(source) and source.startswith(place.rstrip(os.sep) + os.sep))
