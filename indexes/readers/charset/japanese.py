"""How likely a decoding is to be Japanese text: the negative log-likelihood of its characters, in nats."""

from __future__ import annotations

import codecs
import math
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from indexes.readers.charset.vendor_characters import JAPANESE_SETS, VENDOR_CHARACTERS

JAPANESE = ("cp932", "euc_jp")
SAMPLE = 1 << 16  # bytes that are weighed
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
_LONE = re.compile(  # as a curly quote of cp1252 looks in Shift_JIS
    r"(?<=[A-Za-z])[^\x00-\x7f](?![^\x00-\x7f])|(?<![^\x00-\x7f])[^\x00-\x7f](?=[A-Za-z])"
)
_MISPLACED = 5.0
NEVER_IN_TEXT = frozenset({"Cc", "Co", "Cn", "Cs"})
_KANA = re.compile("[ぁ-ヿ、。]")
_KANA_IN_WORDS = re.compile("(?<=[ぁ-ヿ一-鿿])[ぁ-ヿ、。]|[ぁ-ヿ](?=[ぁ-ヿ一-鿿])")
_REPEATED_KANA = re.compile(r"([ぁ-ん])\1+")  # ㅋㅋㅋ, as EUC-JP
_KANJI = re.compile("[一-鿿]")
_NO_SUCH_BYTE = re.compile("[\x80-\xa0\uf8f0-\uf8ff]")  # from bytes without meaning in Shift_JIS
_NOT_ASCII = re.compile(rb"[^\t-\x7f]")
# Nats a character (outside ASCII) above which a reading is noise:
PLAUSIBLE = 10.2
_PLAUSIBLE_HALF = 4.6  # for half-width kana, which take one byte and not two
_PLAUSIBLE_WITHOUT_KANA = 9.2
# Kanji alone, or nearly so, are Japanese if some are common: Korean and Chinese, read as EUC-JP, are rare kanji and
# here and there a letter of row 4, where Japanese has its kana.
_FEW_KANA = 0.08  # of the characters outside ASCII
_PLAUSIBLE_WITH_NUL = 12.0  # only UTF-16 has zero bytes, and what is not UTF-16 is noise over all of Unicode
_FEWEST_JAPANESE = 3  # one in so many, or there is nothing to speak for itself
_MANY = 4  # kanji that do not often go by without kana
_KANJI_ALONE = 1.2  # nats by which a kanji is likelier in text without kana
CERTAIN = 7.5  # below it a reading is Japanese prose


@dataclass(frozen=True, slots=True)
class Reading:
    """A decoding: its negative log-likelihood in nats, in all and the mean over the characters outside ASCII."""

    encoding: str
    weight: float
    mean: float
    plausible: bool


IMPOSSIBLE = Reading("", math.inf, math.inf, False)


def weigh(data: bytes, encoding: str) -> Reading:
    """Decode bytes, and weigh how Japanese the text is.

    Args:
        data: The bytes of a text file.
        encoding: The encoding to try.

    Returns:
        The decoding; `IMPOSSIBLE` if the bytes are not in that encoding.
    """
    try:
        errors = VENDOR_CHARACTERS if encoding in JAPANESE_SETS else "strict"
        whole = data.decode(encoding, errors)
        text = decoded_sample(data, encoding, errors)
    except UnicodeDecodeError:
        return IMPOSSIBLE
    if encoding in JAPANESE and _NO_SUCH_BYTE.search(whole):
        return IMPOSSIBLE
    counts = Counter(text)
    ascii_weight = sum(_character_weight(c) * n for c, n in counts.items() if " " <= c <= "~")
    weight = sum(_character_weight(c) * n for c, n in counts.items()) - ascii_weight
    runs = _HALF_WIDTH_RUN.findall(text)
    half = sum(map(len, runs))
    full = sum(n for c, n in counts.items() if not " " <= c <= "~") - half
    weight += _RUN_BEGINS * len(runs) + _MISPLACED * (len(_MISPLACED_MARK.findall(text)) + len(_LONE.findall(text)))
    mean = weight / max(full + half, 1)
    lacks_kana = full >= _MANY and half < full and _kana_in_words(text) < _FEW_KANA * full
    if b"\0" in data:
        plausible = weight <= _PLAUSIBLE_WITH_NUL * (full + half)
    elif encoding == "cp932" and not half and _are_everyday(counts) and not _LONE.search(text):
        plausible = weight <= PLAUSIBLE * full  # of other encodings' bytes, much is half-width or rare in this one
    elif lacks_kana and _KANA.search(text):  # which is no kana, but a letter of Korean: the kanji speak for themselves
        kanji = _KANJI.findall(text)
        wide = sum(n for c, n in counts.items() if c > "\x7f")
        is_japanese = _FEWEST_JAPANESE * (len(kanji) + _kana_in_words(text)) >= wide
        plausible = is_japanese and sum(map(_character_weight, kanji)) <= _PLAUSIBLE_WITHOUT_KANA * len(kanji)
    elif lacks_kana:
        plausible = weight <= _PLAUSIBLE_WITHOUT_KANA * full + _PLAUSIBLE_HALF * half
    else:
        plausible = weight <= PLAUSIBLE * full + _PLAUSIBLE_HALF * half + 4 * len(runs)
    return Reading(encoding, ascii_weight + weight, mean, plausible)


def wide_weight(data: bytes) -> float:
    """Weigh a text in EUC-JP, as if kanji were all of it where it has no word with kana.

    Args:
        data: The bytes, valid in EUC-JP.

    Returns:
        The negative log-likelihood of its characters outside ASCII, in nats.
    """
    text = data.decode("euc_jp", VENDOR_CHARACTERS)
    wide = [character for character in text if character > "\x7f"]
    bonus = 0.0 if _kana_in_words(text) else _KANJI_ALONE * sum(_KANJI.match(each) is not None for each in wide)
    return sum(map(_character_weight, wide)) - bonus


def _kana_in_words(text: str) -> int:
    return len(_KANA_IN_WORDS.findall(_REPEATED_KANA.sub("", text)))


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
    if unicodedata.category(character) in NEVER_IN_TEXT:
        return _NEVER
    try:
        row = character.encode("euc_jp")[0]  # JIS X 0208 has the common kanji in rows 0xB0 to 0xCF
    except UnicodeEncodeError:
        return _OTHER
    if 0xB0 <= row <= 0xCF:
        return _LEVEL_1
    return _LEVEL_2 if row >= 0xD0 else _SYMBOL


def decoded_sample(data: bytes, encoding: str, errors: str = "strict") -> str:
    """Decode a sample from about the first byte outside ASCII on: up to there all encodings agree.

    Args:
        data: The bytes of a text file.
        encoding: Their encoding.
        errors: How bytes are decoded that do not fit, as in `bytes.decode`.

    Returns:
        The sample's text.

    Raises:
        UnicodeDecodeError: For bytes that do not fit, if `errors` is strict.
    """
    first = _NOT_ASCII.search(data)
    start = max((first.start() & ~1) - 2, 0) if first else 0  # even, for UTF-16; the characters before it count
    piece = data[start : start + SAMPLE]
    return codecs.getincrementaldecoder(encoding)(errors).decode(piece, final=start + SAMPLE >= len(data))
