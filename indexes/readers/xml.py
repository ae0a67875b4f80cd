"""XML: the file's own text, in the encoding that it declares."""

from __future__ import annotations

from indexes.readers.base import ReadLimits, ReadText, without_embedded_files
from indexes.readers.declared_encoding import decode_declared
from indexes.readers.references import with_references


def read_xml(data: bytes, limits: ReadLimits) -> ReadText:
    """Read XML as it is, with references such as `&#26085;` and `&uuml;` replaced by their characters."""
    text = without_embedded_files(decode_declared(data, limits.encoding))
    return ReadText(with_references(text))
