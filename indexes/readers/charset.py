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
import math
import re
import unicodedata
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from indexes.errors import UnreadableFile
from indexes.readers.korean import decode_korean, korean_weight
from indexes.readers.vendor_characters import JAPANESE_SETS, VENDOR_CHARACTERS

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
_JAPANESE = ("cp932", "euc_jp")
_UTF16 = ("utf-16-le", "utf-16-be")
_TINY, _SHORT = 6, 512  # bytes
_SAMPLE = 1 << 16  # bytes that are weighed
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1b\x1e")) + b"\x7f"
_ESCAPES = re.compile(rb"\x1b(?:\$[@B]|\$\([DOQ]|\([IJ])")
_KOREAN_ESCAPE = b"\x1b$)C"
_HZ = re.compile(rb"~\{(?:[!-w][!-~])+~\}")

_COMMON_KANJI = (
    "年国日本会的大地人一中合主行生共員部民月産建者定力学上発用業法成化動自政事体物同立方時分家出関後代第多間入表実以議機場対制前"
    "世選語現在設連基和要活数社名長権最戦区当期理水全気度持内結公高性下作応義目務北明道位記文通東都所平域組外見団回言教県海市"
    "治条原保認子点開島特有経量進来論能新加受反変次資料説書近金土食手小安山川田今何思店話電車町村春夏秋冬男女百千万円"
)
# Japanese text: each class of characters, its share of the text and how many characters share that.
_CLASSES = tuple(
    (re.compile(f"[{characters}]"), -math.log(share / size))
    for characters, share, size in (
        (r"\t\n\r -~", 0.15, 98),
        ("ぁ-ゖゝゞ", 0.40, 85),
        ("ァ-ヶー", 0.12, 90),
        ("　、。・「」『』（）！？…～〜", 0.08, 18),
        ("０-９Ａ-Ｚａ-ｚ", 0.01, 62),
        ("ｱｲｸｼｽﾄﾗﾘﾙﾝｰﾞﾟﾌ", 0.62, 14),  # half-width, within a run of them; that a run begins is weighed apart
        ("ｳｵｶｷｺｻﾀﾃﾊﾎﾏﾑﾛﾚｯｨ", 0.26, 16),
        ("｡-ﾟ", 0.08, 33),
        (_COMMON_KANJI, 0.20, len(_COMMON_KANJI)),
        (
            "①-⑳Ⅰ-Ⅹⅰ-ⅹ㈱㈲㈹№℡㊤-㊨㍉㌔㌢㍍㌘㌧㌃㌶㍑㍗㌍㌦㌣㌫㍊㌻㎜-㎞㎎㎏㏄㎡㍻-㍾㏍",
            0.01,
            80,
        ),  # NEC's, in cp932 only
        ("髙﨑德瀨神祥福靖精羽凞閒", 0.003, 12),  # IBM's, which many names of people have
    )
)
_LEVEL_1 = -math.log(0.11 / 2800)  # the other kanji of everyday use
_LEVEL_2 = -math.log(0.003 / 3390)
_SYMBOL = -math.log(0.004 / 500)
_OTHER = -math.log(0.0005 / 50000)
_NEVER = -math.log(1e-6 / 6400)  # private use, control characters
_HALF_WIDTH_RUN = re.compile("[｡-ﾟ]+")
_RUN_BEGINS = -math.log(0.004)
_MISPLACED_MARK = re.compile("(?<![ｳｶ-ﾄﾊ-ﾎ])ﾞ|(?<![ﾊ-ﾎ])ﾟ|[､｡･][､｡･]")
_RARE_LATIN = re.compile(r"[\x00-\x7fƀ-ʯ]*")  # '1986年' in EUC-JP is valid UTF-8 with one of these
_LONE = re.compile(  # as a curly quote of cp1252 looks in Shift_JIS
    r"(?<=[A-Za-z])[^\x00-\x7f](?![^\x00-\x7f])|(?<![^\x00-\x7f])[^\x00-\x7f](?=[A-Za-z])"
)
_MISPLACED = 5.0
_NEVER_IN_TEXT = frozenset({"Cc", "Co", "Cn", "Cs"})
_KANA = re.compile("[ぁ-ヿ、。]")
_KANA_IN_WORDS = re.compile("(?<=[ぁ-ヿ一-鿿])[ぁ-ヿ、。]|[ぁ-ヿ](?=[ぁ-ヿ一-鿿])")
_REPEATED_KANA = re.compile(r"([ぁ-ん])\1+")  # ㅋㅋㅋ, as EUC-JP
_KANJI = re.compile("[一-鿿]")
_NO_SUCH_BYTE = re.compile("[\x80-\xa0\uf8f0-\uf8ff]")  # from bytes without meaning in Shift_JIS
_HEX = re.compile(rb"[0-9A-Fa-f]+")  # would be hiragana in UTF-16
_NOT_ASCII = re.compile(rb"[^\t-\x7f]")
# Nats a character (outside ASCII) above which a reading is noise:
_PLAUSIBLE = 10.2
_PLAUSIBLE_HALF = 4.6  # for half-width kana, which take one byte and not two
_PLAUSIBLE_WITHOUT_KANA = 9.2
# Kanji alone, or nearly so, are Japanese if some are common: Korean and Chinese, read as EUC-JP, are rare kanji and
# here and there a letter of row 4, where Japanese has its kana.
_FEW_KANA = 0.08  # of the characters outside ASCII
_PLAUSIBLE_WITH_NUL = 12.0  # only UTF-16 has zero bytes, and what is not UTF-16 is noise over all of Unicode
_MANY = 4  # kanji that do not often go by without kana
_KANJI_ALONE = 1.2  # nats by which a kanji is likelier in text without kana
_CERTAIN = 7.5  # below it a reading is Japanese prose


@dataclass(frozen=True, slots=True)
class _Reading:
    """A decoding: its negative log-likelihood in nats, in all and the mean over the characters outside ASCII."""

    encoding: str
    weight: float
    mean: float
    plausible: bool


_IMPOSSIBLE = _Reading("", math.inf, math.inf, False)


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
        return _guess(data, None) if _weigh(data, "euc_jp").mean < _CERTAIN else text
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
        return data.decode(encoding, VENDOR_CHARACTERS if encoding in JAPANESE_SETS else "strict")
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
    return all(_weigh(data, name).mean > _CERTAIN for name in _UTF16)


def _share_of_controls(data: bytes) -> float:
    sample = data[:_SAMPLE]
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
    names = (*(() if b"\0" in data else _JAPANESE), *(() if len(data) % 2 else _UTF16))
    readings = [_weigh(data, name) for name in names]
    best = min(readings, key=lambda reading: reading.weight, default=_IMPOSSIBLE)
    if best.encoding == "euc_jp" and len(data) <= _SHORT and korean_weight(data) <= _wide_weight(data):
        raise UnreadableFile(_NONE_OF_THESE)  # too short to tell kanji from hangul
    is_utf8 = utf8_error is None and not data.isascii()  # so that a zero byte alone does not make it UTF-16
    if best.plausible and not (is_utf8 and best.mean > _PLAUSIBLE):
        return _without_nul(_strict(data, best.encoding))
    binary = b"\0" in data or _share_of_controls(data) > 0.05
    raise UnreadableFile("binary, not text" if binary else _NONE_OF_THESE)


def _is_damaged_utf8(data: bytes) -> bool:
    """Whether nearly all bytes outside ASCII are valid UTF-8, which hardly occurs by chance in another encoding."""
    read = _sample(data, "utf-8", errors="surrogateescape")
    damaged = sum("\ud800" <= c <= "\udfff" for c in read)
    wide = sum(c > "\u07ff" for c in read) - damaged  # three bytes that fit each other
    sound = sum(c > "\x7f" for c in read) - damaged
    return wide > damaged or sound > 4 * damaged


def _sample(data: bytes, encoding: str, errors: str = "strict") -> str:
    """Decode a sample from about the first byte outside ASCII on: up to there all encodings agree."""
    first = _NOT_ASCII.search(data)
    start = max((first.start() & ~1) - 2, 0) if first else 0  # even, for UTF-16; the characters before it count
    piece = data[start : start + _SAMPLE]
    return codecs.getincrementaldecoder(encoding)(errors).decode(piece, final=start + _SAMPLE >= len(data))


def _weigh(data: bytes, encoding: str) -> _Reading:
    try:
        errors = VENDOR_CHARACTERS if encoding in JAPANESE_SETS else "strict"
        whole = data.decode(encoding, errors)
        text = _sample(data, encoding, errors)
    except UnicodeDecodeError:
        return _IMPOSSIBLE
    if encoding in _JAPANESE and _NO_SUCH_BYTE.search(whole):
        return _IMPOSSIBLE
    counts = Counter(text)
    ascii_weight = sum(_character_weight(c) * n for c, n in counts.items() if " " <= c <= "~")
    weight = sum(_character_weight(c) * n for c, n in counts.items()) - ascii_weight
    runs = _HALF_WIDTH_RUN.findall(text)
    half = sum(map(len, runs))
    full = sum(n for c, n in counts.items() if not " " <= c <= "~") - half
    weight += _RUN_BEGINS * len(runs) + _MISPLACED * (len(_MISPLACED_MARK.findall(text)) + len(_LONE.findall(text)))
    most = _PLAUSIBLE * full + _PLAUSIBLE_HALF * half + 4 * len(runs)
    if b"\0" in data:
        most = _PLAUSIBLE_WITH_NUL * (full + half)
    elif encoding == "cp932" and not half and _are_everyday(counts) and not _LONE.search(text):
        most = _PLAUSIBLE * full  # of other encodings' bytes, read as this one, much is half-width or rare
    elif full >= _MANY and half < full and len(_KANA_IN_WORDS.findall(_REPEATED_KANA.sub("", text))) < _FEW_KANA * full:
        if _KANA.search(text):  # which is then no kana, but a letter of Korean: the kanji have to speak for themselves
            kanji = _KANJI.findall(text)
            weight_of_kanji = sum(map(_character_weight, kanji))
            return _Reading(
                encoding,
                ascii_weight + weight,
                weight / max(full + half, 1),
                weight_of_kanji <= _PLAUSIBLE_WITHOUT_KANA * len(kanji),
            )
        most = _PLAUSIBLE_WITHOUT_KANA * full + _PLAUSIBLE_HALF * half
    return _Reading(encoding, ascii_weight + weight, weight / max(full + half, 1), weight <= most)


def _wide_weight(data: bytes) -> float:
    """The weight of a text in EUC-JP, as if kanji were all of it where it has no word with kana."""
    text = data.decode("euc_jp", VENDOR_CHARACTERS)
    wide = [character for character in text if character > "\x7f"]
    is_prose = _KANA_IN_WORDS.search(_REPEATED_KANA.sub("", text)) is not None
    bonus = 0.0 if is_prose else _KANJI_ALONE * sum(_KANJI.match(each) is not None for each in wide)
    return sum(map(_character_weight, wide)) - bonus


def _are_everyday(counts: Counter[str]) -> bool:
    """Whether nearly no character is rarer in Japanese than the kanji of everyday use."""
    wide = {character: count for character, count in counts.items() if character > "\x7f"}
    rare = sum(count for character, count in wide.items() if _character_weight(character) > _LEVEL_1)
    return rare <= 0.02 * sum(wide.values())


@lru_cache(maxsize=1 << 16)
def _character_weight(character: str) -> float:
    for pattern, weight in _CLASSES:
        if pattern.fullmatch(character):
            return weight
    if unicodedata.category(character) in _NEVER_IN_TEXT:
        return _NEVER
    try:
        row = character.encode("euc_jp")[0]  # JIS X 0208 has the common kanji in rows 0xB0 to 0xCF
    except UnicodeEncodeError:
        return _OTHER
    if 0xB0 <= row <= 0xCF:
        return _LEVEL_1
    return _LEVEL_2 if row >= 0xD0 else _SYMBOL
