"""Decoding HTML and XML by the encoding that they declare."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress

from indexes.errors import UnreadableFile
from indexes.readers.charset import decode

_DECLARED = re.compile(
    rb"""<meta[^>]{0,400}?charset\s*=\s*["']?\s*([\w:.-]+)|<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w:.-]+)""",
    re.IGNORECASE,
)
_NOT_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})
_OF_TWO_BYTES = frozenset({"cp932", "shift_jis", "euc_jp", "cp949", "gb18030", "big5", "big5hkscs", "hz"})
_BY_CHANCE = 2  # characters that single bytes make
_SEARCHED = 4_096  # bytes at the beginning in which a charset may be declared
_MEANT = {  # what a browser takes these names to mean
    **dict.fromkeys(("shift_jis", "shift-jis", "x-sjis", "sjis", "windows-31j", "ms_kanji"), "cp932"),
    "x-euc-jp": "euc_jp",
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "ksc5601", "korean"), "cp949"),
    **dict.fromkeys(("iso-8859-1", "latin1", "us-ascii"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    "utf-16": "utf-8",  # whoever could read the declaration was not reading UTF-16
}


def decode_declared(data: bytes, encoding: str | None) -> str:
    """Decode HTML or XML.

    Args:
        data: The bytes.
        encoding: The encoding that the user states; None for the one that the text declares, if it fits, else the one
            that is detected.

    Returns:
        The text.

    Raises:
        UnreadableFile: As by `decode`.
    """
    declared = None if encoding else _declared(data[:_SEARCHED])
    if declared is not None and not is_utf8_all_the_same(data, declared):
        with suppress(UnreadableFile):
            return decode(data, declared)
    return decode(data, encoding)


def is_utf8_all_the_same(data: bytes, declared: str) -> bool:
    """Tell whether a text is in UTF-8 although it declares another encoding, as after a careless conversion.

    Args:
        data: The bytes.
        declared: The encoding that it declares, as Python calls it.

    Returns:
        True for valid UTF-8 that hardly is so by chance: É» in windows-1252 and 族 in EUC-JP are, too.
    """
    if data.isascii() or declared.startswith("utf"):
        return False
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    wide = [character for character in text if character > "\x7f"]
    if max(wide) >= "\u0800":
        return True
    return declared not in _OF_TWO_BYTES and (len(wide) > _BY_CHANCE or max(wide) <= "\u017f")


def python_encoding(name: str) -> str | None:
    """Return Python's name of an encoding as a file declares it; None for what is no encoding of text."""
    name = name.strip().lower()
    try:
        name = codecs.lookup(_MEANT.get(name, name)).name
    except (LookupError, ValueError):
        return None
    return None if name in _NOT_CHARSETS else name


def _declared(head: bytes) -> str | None:
    match = _DECLARED.search(head)
    return None if match is None else python_encoding((match[1] or match[2]).decode("ascii", "replace"))
