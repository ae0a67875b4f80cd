"""Decoding HTML, XML, source code and LaTeX by the encoding that they declare."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress

from indexes.errors import UnreadableFile
from indexes.readers.charset.detection import decode

_DECLARED = re.compile(
    rb"""<meta[^>]{0,400}?charset\s*=\s*["']?\s*([\w:.-]+)|<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w:.-]+)""",
    re.IGNORECASE,
)
_IN_A_COMMENT = re.compile(  # of the first two lines: Python's, Emacs's and Vim's way, and JabRef's
    rb"""\A(?:\xef\xbb\xbf)?(?:[^\r\n]{0,500}\r?\n)?[ \t]{0,40}(?:[#%;"*]|//|--|/\*)[^\r\n]{0,200}?"""
    rb"""coding[:=][ \t]*([\w.-]+)""",
    re.IGNORECASE,
)
_IN_LATEX = re.compile(rb"^[^%\r\n]{0,200}?\\(?:usepackage|RequirePackage)\s?\[([\w-]+)\]\s?\{inputenc\}", re.MULTILINE)
_NOT_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})
_OF_TWO_BYTES = frozenset({"cp932", "shift_jis", "euc_jp", "cp949", "gb18030", "big5", "big5hkscs", "hz"})
_BY_CHANCE = 2  # characters that single bytes make
_LETTERS_TO_AN_ACCENT = 5  # of any text in a language of Western Europe
_WESTERN = frozenset({"cp1252", "iso8859-15", "mac-roman"})
_ACCENT, _WORD_OF_ACCENTS = re.compile("[\xc0-\xff]"), re.compile("[\xc0-\xff]{4,}")
_FEWEST_ACCENTS = 8
_COMMENT = re.compile(rb"<!--(?:[^-]|-(?!->))*(?:-->)?")
_SEARCHED = 1 << 16  # bytes at the beginning in which a charset may be declared
_MEANT = {  # what a browser takes these names to mean
    **dict.fromkeys(
        ("shift_jis", "shift-jis", "x-sjis", "sjis", "csshiftjis", "windows-31j", "ms_kanji", "x-ms-cp932"), "cp932"
    ),
    **dict.fromkeys(("x-euc-jp", "cseucpkdfmtjapanese", "cp51932", "eucjp-ms"), "euc_jp"),
    **dict.fromkeys(("cp50220", "cp50221", "iso-2022-jp-ms", "csiso2022jp"), "iso2022_jp_ext"),
    **dict.fromkeys(
        ("euc-kr", "ks_c_5601-1987", "ks_c_5601-1989", "ksc5601", "korean", "windows-949", "x-windows-949"), "cp949"
    ),
    **dict.fromkeys(("iso-8859-1", "latin1", "us-ascii", "ansi", "x-cp1252"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk", "x-gbk", "cp936", "windows-936", "csgb2312", "gb_2312-80", "euc-cn"), "gb18030"),
    **dict.fromkeys(("big5", "csbig5", "cn-big5", "x-x-big5", "cp950", "big5-hkscs"), "big5hkscs"),
    **dict.fromkeys(("iso-8859-8-i", "iso-8859-8-e", "logical", "visual"), "iso8859-8"),
    **dict.fromkeys(("iso-8859-9", "latin5"), "cp1254"),
    **dict.fromkeys(("iso-8859-11", "tis-620", "dos-874", "windows-874"), "cp874"),
    **dict.fromkeys(("koi", "koi8", "cskoi8r"), "koi8-r"),
    **{"koi8-ru": "koi8-u", "x-mac-roman": "mac-roman", "x-mac-cyrillic": "mac-cyrillic", "sun_eu_greek": "iso8859-7"},
    **{f"x-cp125{number}": f"cp125{number}" for number in (0, 1, 3, 4, 5, 6, 7, 8)},
    **dict.fromkeys(("unicode-1-1-utf-8", "x-unicode20utf8"), "utf-8"),
    **{"ansinew": "cp1252", "applemac": "mac-roman", "utf8x": "utf-8"},  # LaTeX's
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
    return _decoded(data, encoding, None if encoding else _declared(data[:_SEARCHED]))


def decode_source(data: bytes, encoding: str | None) -> str:
    r"""Decode source code or LaTeX, as `decode_declared` does: `# coding: latin-1`, `\usepackage[latin1]{inputenc}`.

    Args:
        data: The bytes.
        encoding: The encoding that the user states; None for the one that the text declares, if it fits, else the one
            that is detected.

    Returns:
        The text.

    Raises:
        UnreadableFile: As by `decode`.
    """
    if encoding or data.isascii():
        return decode(data, encoding)
    match = _IN_A_COMMENT.match(data) or _IN_LATEX.search(data, 0, _SEARCHED)
    return _decoded(data, None, None if match is None else python_encoding(match[1].decode("ascii", "replace")))


def _decoded(data: bytes, encoding: str | None, declared: str | None) -> str:
    if declared is not None and not is_utf8_all_the_same(data, declared):
        with suppress(UnreadableFile):
            text = decode(data, declared)
            if declared not in _WESTERN or not _is_of_another_script(text):
                return text
    try:
        return decode(data, encoding)
    except UnreadableFile:
        western = _western(data) if declared == "cp1252" else None
        if western is None:
            raise
        return western


def _is_of_another_script(text: str) -> bool:
    """Whether text in an encoding of Western Europe has words of accents alone, as Cyrillic and Greek become in it."""
    accents = len(_ACCENT.findall(text))
    in_words = sum(map(len, _WORD_OF_ACCENTS.findall(text)))
    return in_words >= _FEWEST_ACCENTS and in_words * 2 > accents


def _western(data: bytes) -> str | None:
    """Text in windows-1252 with some bytes that have no meaning there; None if it does not look like that."""
    text = data.decode("cp1252", "replace")
    letters, beyond = sum(map(str.isalpha, text)), sum(character > "\x7f" for character in text)
    is_western = beyond * _LETTERS_TO_AN_ACCENT <= letters and text.count("\ufffd") * 2 <= beyond and "\0" not in text
    return text if is_western else None


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
    """Return Python's name of an encoding as a file declares it; None for what is no encoding of text.

    Args:
        name: The name that is declared.

    Returns:
        Python's name.
    """
    name = name.strip().lower()
    try:
        name = codecs.lookup(_MEANT.get(name, name)).name
    except (LookupError, ValueError):
        return None
    return None if name in _NOT_CHARSETS else name


def _declared(head: bytes) -> str | None:
    match = _DECLARED.search(_COMMENT.sub(b"", head))
    return None if match is None else python_encoding((match[1] or match[2]).decode("ascii", "replace"))
