"""Detection of a file's encoding, and decoding.

Detected: UTF-8, UTF-16 with and without a byte order mark, UTF-32 with one, ISO-2022-JP, Shift_JIS (as cp932, the
Windows variant), EUC-JP and EUC-KR (as cp949); ISO-2022-KR and HZ by their escapes.

UTF-8 and ISO-2022-JP are recognised by their own rules. Other bytes can often be decoded in more than one way, so each
decoding is scored by the negative log-likelihood of its characters in Japanese text, in nats, and the lowest wins. If
even that is no likelier than noise, the file is refused: a wrong guess would be indexed, a refusal can be answered with
`--encoding`.
"""

from __future__ import annotations

import codecs
import re
from contextlib import suppress

from indexes.errors import UnreadableFile
from indexes.readers.charset.japanese import (
    CERTAIN,
    IMPOSSIBLE,
    JAPANESE,
    PLAUSIBLE,
    SAMPLE,
    decoded_sample,
    weigh,
    wide_weight,
)
from indexes.readers.charset.korean import decode_korean, korean_weight
from indexes.readers.charset.utf16 import decode_wide
from indexes.readers.charset.vendor_characters import JAPANESE_SETS, VENDOR_CHARACTERS

_BOMS = (  # UTF-32 first: its little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NONE_OF_THESE = (
    "not UTF-8, UTF-16, Shift_JIS, EUC-JP or ISO-2022-JP, nor Korean in EUC-KR; convert it to UTF-8, or name its "
    "encoding with --encoding"
)
_UTF16 = ("utf-16-le", "utf-16-be")
_TINY, _SHORT = 6, 512  # bytes
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1b\x1e")) + b"\x7f"
_ESCAPES = re.compile(rb"\x1b(?:\$[@B]|\$\([DOQ]|\([IJ])")
_RARE_LATIN = re.compile(r"[\x00-\x7fƀ-ʯ]*")  # '1986年' in EUC-JP is valid UTF-8 with one of these
_HEX = re.compile(rb"[0-9A-Fa-f]+")  # would be hiragana in UTF-16
_KOREAN_ESCAPE = b"\x1b$)C"
_HZ = re.compile(rb"~\{(?:[!-w][!-~])+~\}")


def decode(data: bytes, encoding: str | None = None) -> str:
    """Decode a file's bytes.

    Args:
        data: The bytes.
        encoding: The encoding that the user states; only a byte order mark overrides it. None to detect it.

    Returns:
        The text without its byte order mark, otherwise unchanged.

    Raises:
        UnreadableFile: For a binary file, text that is not in the encoding stated, and text whose encoding cannot be
            detected.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return _without_nul(_strict(data[len(mark) :], name, skipped=len(mark)))
    if encoding is not None:
        return _without_nul(_strict(data, encoding))
    if data.isascii() and (found := _by_escapes(data)) is not None:
        return found
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _guess(data, error)
    if not _looks_like_text(data):
        return _guess(data, None)
    if len(data) <= _SHORT and not data.isascii() and _RARE_LATIN.fullmatch(text):
        return _guess(data, None) if weigh(data, "euc_jp").mean < CERTAIN else text
    return text


def _by_escapes(data: bytes) -> str | None:
    """Decode bytes of ASCII that switch to another set of characters by escapes; None for what has none."""
    if _ESCAPES.search(data):
        return _strict(data, "iso2022_jp_ext")
    if _KOREAN_ESCAPE in data:
        return _strict(data, "iso2022_kr") or None
    if pieces := _HZ.findall(data):
        with suppress(UnicodeDecodeError):  # Chinese, of which most characters are in the first level; or it is no HZ
            found = b"".join(pieces).decode("hz")
            levels = [character.encode("gb2312")[0] for character in found]
            if sum(0xB0 <= level <= 0xD7 or level == 0xA3 for level in levels) >= 0.8 * len(levels):
                return _strict(data, "hz")
    return None


def _strict(data: bytes, encoding: str, skipped: int = 0) -> str:
    """Decode or refuse, naming the byte (counted from the file's start) that does not fit."""
    try:
        return data.decode(encoding, VENDOR_CHARACTERS if encoding in (*JAPANESE_SETS, "big5hkscs") else "strict")
    except UnicodeDecodeError as error:
        at = error.start + skipped
        raise UnreadableFile(f"not valid {encoding}: byte 0x{data[error.start]:02x} at offset {at}") from error
    except (LookupError, UnicodeError) as error:
        raise UnreadableFile(f"no text encoding is called {encoding!r}; give --encoding one that Python has") from error


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise UnreadableFile("binary, not text")
    return text


def _looks_like_text(data: bytes) -> bool:
    """Whether valid UTF-8 is text in UTF-8: a binary, and UTF-16 without a mark, can be valid by chance."""
    # Multi-byte characters hardly ever are valid by chance, so control characters beside them change nothing.
    if b"\0" in data or (data.isascii() and _share_of_controls(data) > 0.05):
        return False
    is_short = _TINY <= len(data) <= _SHORT and not _HEX.fullmatch(data)
    if not is_short or len(data) % 2 or b"\n" in data:  # a line end in UTF-16 has a zero byte
        return True
    return all(weigh(data, name).mean > CERTAIN for name in _UTF16)


def _share_of_controls(data: bytes) -> float:
    sample = data[:SAMPLE]
    return 1 - len(sample.translate(None, _CONTROLS)) / max(len(sample), 1)


def _guess(data: bytes, utf8_error: UnicodeDecodeError | None) -> str:
    """Decode as the likeliest encoding. Raises UnreadableFile if none is likely."""
    if utf8_error is not None and _is_damaged_utf8(data):
        at = utf8_error.start
        raise UnreadableFile(
            f"UTF-8, but damaged: byte 0x{data[at]:02x} at offset {at}; mend it, or name its encoding with --encoding"
        )
    if b"\0" not in data and (korean := decode_korean(data)) is not None:
        return korean
    may_be_wide = not len(data) % 2 and (len(data) >= _TINY or b"\0" in data)  # two characters prove nothing
    names = (*(() if b"\0" in data else JAPANESE), *(_UTF16 if may_be_wide else ()))
    readings = [weigh(data, name) for name in names]
    best = min(readings, key=lambda reading: reading.weight, default=IMPOSSIBLE)
    if best.encoding == "euc_jp" and len(data) <= _SHORT and korean_weight(data) <= wide_weight(data):
        raise UnreadableFile(_NONE_OF_THESE)  # too short to tell kanji from hangul
    if not best.plausible and may_be_wide and (wide := decode_wide(data)) is not None:
        return wide
    is_utf8 = utf8_error is None and not data.isascii()  # so that a zero byte alone does not make it UTF-16
    if best.plausible and not (is_utf8 and best.mean > PLAUSIBLE):
        return _without_nul(_strict(data, best.encoding))
    binary = b"\0" in data or _share_of_controls(data) > 0.05
    raise UnreadableFile("binary, not text" if binary else _NONE_OF_THESE)


def _is_damaged_utf8(data: bytes) -> bool:
    """Whether nearly all bytes outside ASCII are valid UTF-8, which hardly occurs by chance in another encoding."""
    read = decoded_sample(data, "utf-8", errors="surrogateescape")
    damaged = sum("\ud800" <= c <= "\udfff" for c in read)
    wide = sum(c > "\u07ff" for c in read) - damaged  # three bytes that fit each other
    sound = sum(c > "\x7f" for c in read) - damaged
    return wide > damaged or sound > 4 * damaged
