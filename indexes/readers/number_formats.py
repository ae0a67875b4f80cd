"""The numbers of lists, as the kinds of them that Word knows show them."""

from __future__ import annotations

import re
from collections.abc import Callable

from indexes.text import KANJI_DIGITS, in_kanji, with_units

_MOST = 1_000_000  # no list is longer: a larger number is hostile
_ROMAN = (
    *((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL")),
    *((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")),
)
_LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_AIUEO = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲン"
_IROHA = "イロハニホヘトチリヌルヲワカヨタレソツネナラムウヰノオクヤマケフコエテアサキユメミシヱヒモセスン"
_LEGAL = "零壱弐参四五六七八九"
_STEMS, _BRANCHES = "甲乙丙丁戊己庚辛壬癸", "子丑寅卯辰巳午未申酉戌亥"
_GANADA, _CHOSUNG = "가나다라마바사아자차카타파하", "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ"
_KOREAN_DIGITS = "영일이삼사오육칠팔구"
_RUSSIAN = "абвгдежзиклмнопрстуфхцчшщыэюя"
_MARKS = "*†‡§"
_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
_ORDINALS["twelve"] = "twelfth"
_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


def formatted_number(number: int, kind: str) -> str:
    """Write a number in one of Word's formats.

    Args:
        number: The number.
        kind: What Word calls the format (`numFmt`).

    Returns:
        The number; in digits for rare formats.
    """
    format_ = _FORMATS.get(kind.removesuffix("FullWidth") if kind not in _FORMATS else kind, str)
    return format_(number) if 0 < number <= _MOST else str(number)


def _roman(number: int) -> str:
    text = ""
    for worth, letters in _ROMAN:
        count, number = divmod(number, worth)
        text += letters * min(count, 100)
    return text


def _letters(number: int) -> str:
    """A to Z, then AA, BB to ZZ, as in Word."""
    return _LATIN[(number - 1) % 26] * min((number - 1) // 26 + 1, 100)


def _korean(number: int) -> str:
    return re.sub("일(?=[천백십])", "", with_units(number, _KOREAN_DIGITS, "천백십"))


def _hebrew(number: int) -> str:
    """A number by the values of its letters, of which 15 and 16 avoid the name of God."""
    if number >= 500:
        return str(number)
    hundreds, rest = divmod(number, 100)
    text = " קרשת"[hundreds]
    if rest in (15, 16):
        return (text + ("טו", "טז")[rest - 15]).strip()
    return (text + " יכלמנסעפצ"[rest // 10] + " אבגדהוזחט"[rest % 10]).replace(" ", "")


def _legal(number: int) -> str:
    return with_units(number, _LEGAL, "阡百拾")


def _cardinal(number: int) -> str:
    """A number in English words, as far as headings go; in digits from a thousand on."""
    if number >= 1_000:
        return str(number)
    hundreds, rest = divmod(number, 100)
    words = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        words.append(_TENS[rest // 10] + (f"-{_ONES[rest % 10]}" if rest % 10 else ""))
    elif rest or not hundreds:
        words.append(_ONES[rest])
    return " ".join(words).capitalize()


def _ordinal_text(number: int) -> str:
    if number >= 1_000:
        return _ordinal(number)
    start, space, last = re.fullmatch(r"(.*?)([ -]?)([A-Za-z]+)", _cardinal(number)).groups()  # type: ignore[union-attr]
    lower = last.lower()
    ordinal = _ORDINALS.get(lower) or (f"{lower[:-1]}ieth" if lower.endswith("y") else f"{lower}th")
    return start + space + (ordinal if start else ordinal.capitalize())


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _enclosed(first: int, most: int) -> Callable[[int], str]:
    """Characters that hold a number each, from the code `first` on; plain digits beyond the last of them."""
    return lambda number: chr(first + number - 1) if number <= most else str(number)


def _cycle(number: int) -> str:
    """A year of the sexagenary cycle: 甲子, 乙丑 and so on."""
    return _STEMS[(number - 1) % 10] + _BRANCHES[(number - 1) % 12]


def _repeated(letters: str) -> Callable[[int], str]:
    """The letters one after another, then each of them twice, and so on."""
    return lambda number: letters[(number - 1) % len(letters)] * min((number - 1) // len(letters) + 1, 100)


def _digits_of(letters: str) -> Callable[[int], str]:
    return lambda number: "".join(letters[int(digit)] for digit in str(number))


def _from(letters: str) -> Callable[[int], str]:
    return lambda number: letters[(number - 1) % len(letters)]


_FORMATS: dict[str, Callable[[int], str]] = {
    "none": lambda number: "",
    "decimalZero": lambda number: f"{number:02}",
    "decimalFullWidth": lambda number: str(number).translate(_FULL_WIDTH),
    "decimalFullWidth2": lambda number: str(number).translate(_FULL_WIDTH),
    "decimalEnclosedCircle": _enclosed(0x2460, 20),
    "decimalEnclosedCircleChinese": _enclosed(0x2460, 20),
    "upperRoman": _roman,
    "lowerRoman": lambda number: _roman(number).lower(),
    "upperLetter": _letters,
    "lowerLetter": lambda number: _letters(number).lower(),
    "decimalHalfWidth": str,
    "decimalEnclosedParen": _enclosed(0x2474, 20),
    "decimalEnclosedFullstop": _enclosed(0x2488, 20),
    "ideographEnclosedCircle": _enclosed(0x3280, 10),
    "numberInDash": lambda number: f"- {number} -",
    "hex": lambda number: f"{number:X}",
    "chicago": _repeated(_MARKS),
    "ordinal": _ordinal,
    "cardinalText": _cardinal,
    "ordinalText": _ordinal_text,
    "ideographDigital": _digits_of(KANJI_DIGITS),
    "japaneseCounting": in_kanji,
    "japaneseDigitalTenThousand": _digits_of(KANJI_DIGITS),
    "japaneseLegal": _legal,
    "chineseCounting": in_kanji,
    "chineseCountingThousand": in_kanji,
    "taiwaneseCounting": in_kanji,
    "taiwaneseCountingThousand": in_kanji,
    "taiwaneseDigital": _digits_of(KANJI_DIGITS),
    "ideographTraditional": _from(_STEMS),
    "ideographZodiac": _from(_BRANCHES),
    "ideographZodiacTraditional": _cycle,
    "chineseLegalSimplified": lambda number: with_units(number, "零壹贰叁肆伍陆柒捌玖", "仟佰拾"),
    "ideographLegalTraditional": lambda number: with_units(number, "零壹貳參肆伍陸柒捌玖", "仟佰拾"),
    "koreanCounting": _korean,
    "koreanDigital2": _digits_of(KANJI_DIGITS),
    "hebrew1": _hebrew,
    "hebrew2": _from("אבגדהוזחטיכלמנסעפצקרשת"),
    "arabicAlpha": _from("أبتثجحخدذرزسشصضطظعغفقكلمنهوي"),
    "arabicAbjad": _from("أبجدهوزحطيكلمنسعفصقرشتثخذضظغ"),
    "thaiNumbers": _digits_of("๐๑๒๓๔๕๖๗๘๙"),
    "thaiLetters": _from("กขคงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮ"),
    "hindiNumbers": _digits_of("०१२३४५६७८९"),
    "ganada": _from(_GANADA),
    "chosung": _from(_CHOSUNG),
    "koreanDigital": _digits_of(_KOREAN_DIGITS),
    "russianLower": _repeated(_RUSSIAN),
    "russianUpper": lambda number: _repeated(_RUSSIAN)(number).upper(),
    "aiueo": _from(_AIUEO),
    "iroha": _from(_IROHA),
}
