"""XML: the file's own text, in the encoding that it declares."""

from __future__ import annotations

from indexes.readers.base import ReadLimits, ReadText, without_embedded_files
from indexes.readers.charset import decode_declared
from indexes.readers.entities import with_entities
from indexes.readers.markup import XINCLUDE, included, with_references


def read_xml(data: bytes, limits: ReadLimits) -> ReadText:
    """Read XML as it is, with references such as `&#26085;`, `&uuml;` and `&firm;` replaced by what they stand for."""
    text = without_embedded_files(decode_declared(data, limits.encoding))
    text, warnings = with_entities(text, limits.most_text(len(data)))
    return ReadText(with_references(text), warnings=warnings, includes=included(text, XINCLUDE))
