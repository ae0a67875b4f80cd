"""XML: the file's own text, in the encoding that it declares."""

from __future__ import annotations

import re

from indexes.readers.base import ReadLimits, ReadText, without_embedded_files
from indexes.readers.declared_encoding import decode_declared

_REFERENCE = re.compile(r"&#(?:([0-9]{1,7})|x([0-9a-fA-F]{1,6}));")


def read_xml(data: bytes, limits: ReadLimits) -> ReadText:
    """Read XML as it is, with references such as `&#26085;` replaced by their characters."""
    text = without_embedded_files(decode_declared(data, limits.encoding))
    return ReadText(_REFERENCE.sub(_character, text) if "&#" in text else text)


def _character(reference: re.Match[str]) -> str:
    """The character; the reference itself for ASCII, which can be markup, and for what is no character."""
    number = int(reference[1]) if reference[1] else int(reference[2], 16)
    is_character = 0xA0 <= number < 0xD800 or 0xE000 <= number <= 0x10FFFF
    return chr(number) if is_character else reference[0]
