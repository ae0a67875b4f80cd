"""Notes that state values, as 'name: value' or in a sentence: where passages state them, and sorting by them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from indexes.text import ERAS, content_terms, on_one_line, sentence_spans
from longctx.answering.map_reduce.dates import MONTH, in_years
from longctx.answering.map_reduce.notes import Note
from longctx.quantities import parse_count

_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh"),
    *("twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth"),
)
_NAME_AND_VALUE = re.compile(r"(.*?)\s*[:：](?!//|(?<=\d[:：])\d)\s*(.*)", re.DOTALL)  # not in 22:00
_NUMBER = re.compile(
    rf"(?<![A-Za-z0-9_.])(?P<sign>[-+−]?)(?P<digits>\d[\d,]*(?:\.\d+)?)(?:st|nd|rd|th|番目?|位)?\s*(?P<unit>%|°[CF]?|[^\W\d_]+)?"
    rf"|\b(?P<ordinal>{'|'.join(_ORDINALS)})\b",
    re.IGNORECASE,
)
_KANJI_ORDINAL = re.compile(  # 三番目, and 三 or 第三 alone beside a colon
    r"[一二三四五六七八九十百]+(?=番目|つ目|位)|(?:(?<![^:])|(?<=:\s))第?[一二三四五六七八九十百]+(?=\s*(?::|$))"
)
_PLACEHOLDERS = ("name", "名前")  # of the prompt's rules
_DIGITS = re.compile(r"\d+")
_MEASURES = frozenset(re.findall(r"\S+", "% ° °c °f mm cm m km in ft mi mg g kg t ml l s min h w kw mw v hz"))
_BESIDE_NUMBERS = re.compile(  # in a place, a date or an amount
    rf"(?<![^\W\d_])(?:the|in|on|no|number|place|rank|about|{'|'.join(_ORDINALS)}|st|nd|rd|th|{'|'.join(sorted(_MEASURES))}|"
    rf"thousand|million|billion|{MONTH})(?![^\W\d_])|"
    f"順位|順番|番目?|つ目|[第位約年月日円千万億兆]|西暦|{'|'.join(name for _, name in ERAS)}",
    re.IGNORECASE,
)
_PLACE = re.compile(
    rf"\A\W*\d{{1,3}}\W*\Z|\b(?:no|number|place|rank)\b|[第順]|\d\s*(?:st|nd|rd|th|番|つ目|位)|{'|'.join(_ORDINALS)}",
    re.IGNORECASE,
)
_LETTER = re.compile(r"[^\W\d_]")
_PLACED, _SURE = 3, 2  # of a value
_YEARS = 1000  # and more: no place in an order
_MULTIPLIERS = frozenset(["thousand", "million", "billion", "trillion", "千", "万", "億", "兆"])


def by_value(notes: Sequence[Note], *, in_order: bool) -> list[Note] | None:
    """Sort notes by their values.

    Args:
        notes: Notes of the form 'name: value', or sentences that state one value.
        in_order: The values are to be numbers, dates or times that say in what order things come: the smallest first.

    Returns:
        The notes, otherwise with the largest value first, and at the end those without a value; None unless at least
        half of them have one, and all are in one unit, or, for an order, without any.
    """
    found = [(value, note) for note in notes if (value := _value(note.text))]
    units = {unit for (_, unit), _ in found}
    if units - _MULTIPLIERS == units:
        units = units - {""} or units  # some models leave a unit out, and none a million
    if len(notes) < 2 or 2 * len(found) < len(notes) or len(units) > 1 or (in_order and units != {""}):
        return None
    ranked = [note for _, note in sorted(found, key=lambda pair: pair[0][0], reverse=not in_order)]
    return ranked + [note for note in notes if note not in ranked]


def extremes(ranked: Sequence[Note], count: int = 1, *, smallest: bool) -> list[Note]:
    """The notes with the largest values, or with the smallest.

    Args:
        ranked: Notes as `by_value` sorts them, the largest value first.
        count: How many are meant.
        smallest: Whether the smallest are meant.

    Returns:
        So many, and all that share the value of the last one; the smallest first if they are meant.
    """
    valued = [(value[0], note) for note in ranked if (value := _value(note.text))]
    if smallest:
        valued.sort(key=lambda pair: pair[0])
    last, _ = valued[min(count, len(valued)) - 1]
    return [note for value, note in valued if (value <= last if smallest else value >= last)]


def state_dates(notes: Sequence[Note]) -> bool:
    """Whether the values of notes are years or dates with a year, as far as they have values."""
    return all(value[0] >= _YEARS and not value[1] for note in notes if (value := _value(note.text)))


def sentences_in(text: str) -> list[str]:
    """The sentences of a text, each on one line."""
    return [on_one_line(text[start:end]) for start, end in sentence_spans(text)]


def states_value(text: str) -> bool:
    """Whether a note or a sentence states one value."""
    return _value(text) is not None


def _value(text: str) -> tuple[float, str] | None:
    """The value of a note with its unit, if it states one."""
    numbers = [*_NUMBER.finditer(in_years(_stated(text)))]
    if len(numbers) != 1:
        return None
    [number] = numbers
    if number["ordinal"]:
        return float(_ORDINALS.index(number["ordinal"].casefold()) + 1), ""
    size = float(number["digits"].replace(",", ""))
    unit = (number["unit"] or "").casefold()
    multiplier = unit if unit in _MULTIPLIERS else unit[:1] if unit[:1] in _MULTIPLIERS else ""
    return -size if number["sign"] in ("-", "−") else size, multiplier or (unit if unit in _MEASURES else "")


def _stated(text: str) -> str:
    """What states the value of a note: what follows its name, otherwise its first sentence with a number."""
    plain = _plain(_turned(text))
    parts = _NAME_AND_VALUE.fullmatch(plain)
    if parts and _NUMBER.search(parts[2]):
        return parts[2]
    sentences = (plain[start:end] for start, end in sentence_spans(plain))
    return next((sentence for sentence in sentences if _NUMBER.search(sentence)), "")


def _plain(text: str) -> str:
    """A text for comparison: with digits for 三番目."""
    return _KANJI_ORDINAL.sub(_in_digits, unicodedata.normalize("NFKC", text))


def _in_digits(found: re.Match[str]) -> str:
    return str(parse_count(found[0].lstrip("第")) or found[0])


def _turned(note: str) -> str:
    """A note as 'name: value' if it is 'value: name', as small models write some."""
    parts = _NAME_AND_VALUE.fullmatch(note)
    if parts is None:
        return note
    key, rest = parts.groups()
    numbers, sureness = [*_NUMBER.finditer(_plain(rest))], _sureness(key)
    least = 1 if not numbers else _PLACED if any(each["unit"] for each in numbers) else _SURE  # 2019: sales of 3 tons
    if sureness < least or _sureness(rest) >= min(sureness, _SURE):
        return note
    return f"{rest}{'：' if '：' in note else ': '}{key}"


def _sureness(text: str) -> int:
    """How sure it is that a part of a note is a value: surest for a place, then for a date or a known unit."""
    plain = _plain(text)
    if not _NUMBER.search(plain):
        return 0
    if not _LETTER.search(_BESIDE_NUMBERS.sub(" ", plain)):
        return _PLACED if _PLACE.search(plain) else _SURE
    return int(not _LETTER.search(_BESIDE_NUMBERS.sub(" ", _NUMBER.sub(" ", plain))))


def with_value(note: str, text: str, question: str) -> str:
    """Complete a note that names no value, or not what has it, as small models write some of them.

    Args:
        note: The note.
        text: The passage that it comes from.
        question: The question.

    Returns:
        The note; in place of one without a value, or without a name but the question's words, the sentence of the
        passage that states it and shares most words with the question, if one shares any.
    """
    plain = _plain(_turned(note))
    name, asked = _NAME_AND_VALUE.fullmatch(plain), content_terms(question)
    is_named = not content_terms(_NUMBER.sub(" ", plain)) <= asked
    has_value = _value(note) is not None or (name is not None and _sureness(name[2]) >= _SURE)  # a date
    if has_value and is_named and not (name and name[1].strip().casefold() in _PLACEHOLDERS):
        return note
    numbers = _numbers_of(_stated(note)) if has_value else set[str]()
    stating = (each for each in sentences_in(text) if states_value(each) and numbers <= _numbers_of(each))
    return _sharing_most(stating, asked) or note


def with_own_name(note: str, text: str, title: str, question: str) -> str:
    """Put a note right that is 'value: name', or whose value another thing has: small models take any name they see.

    Args:
        note: The note.
        text: The passage that it comes from.
        title: The title of its document.
        question: The question.

    Returns:
        The note as 'name: value', if its name stands in the sentence that states the value, in the one before it, or in
        the title; else the sentence that states it and shares most words with the question, if one shares any.
    """
    turned = _turned(note)
    parts = _NAME_AND_VALUE.fullmatch(_plain(turned))
    if parts is None or not (named := content_terms(parts[1])):
        return note
    numbers, sentences = _numbers_of(_stated(note)), sentences_in(text)
    stating = [place for place, each in enumerate(sentences) if numbers <= _numbers_of(each)]
    near = [title, *(" ".join(sentences[max(0, place - 1) : place + 1]) for place in stating)]
    if any(2 * len(named & content_terms(each)) >= len(named) for each in near):
        return turned
    return _sharing_most((sentences[place] for place in stating), content_terms(question)) or note


def _sharing_most(sentences: Iterable[str], asked: set[str]) -> str:
    """The first of the sentences that share most terms with a question; empty if none shares any."""
    shared = [(len(asked & content_terms(sentence)), sentence) for sentence in sentences]
    most, best = max(shared, key=lambda pair: pair[0], default=(0, ""))
    return best if most else ""


def sentences_stating(text: str, note: str) -> list[str]:
    """The sentences of a passage that state the value of a note.

    Args:
        text: The passage.
        note: The note.

    Returns:
        Those that hold the numbers and ordinals of the value, and among them, if there are any, those that hold words
        of the note.
    """
    numbers, words = _numbers_of(_stated(note)), content_terms(_DIGITS.sub(" ", note))
    stating = [sentence for sentence in sentences_in(text) if numbers <= _numbers_of(sentence)]
    return [sentence for sentence in stating if words & content_terms(sentence)] or stating


def _numbers_of(text: str) -> set[str]:
    found = _NUMBER.finditer(_plain(text))
    ordinals = {word.casefold(): str(place) for place, word in enumerate(_ORDINALS, start=1)}
    return {
        each["digits"].replace(",", "") if each["digits"] else ordinals[each["ordinal"].casefold()] for each in found
    }


def one_in_each_place(notes: Sequence[Note], texts: Mapping[int, str], question: str) -> list[Note]:
    """Leave out the notes of another order than a question asks for, as far as that can be told.

    Where two things have the same place, the one whose sentence shares more words with the question has it.

    Args:
        notes: Notes of the form 'name: place'.
        texts: The passages, by chunk id.
        question: The question.

    Returns:
        The notes whose values are places, or years if most are, or all if fewer than half of them are either; of those
        with the same place, the ones that share most.
    """
    found = [(value[0], note) for note in notes if (value := _value(note.text)) and not value[1]]
    if 2 * len(found) < len(notes):
        return list(notes)
    years = sum(place >= _YEARS for place, _ in found)
    found = [(place, note) for place, note in found if (place >= _YEARS) == (2 * years > len(found))]
    asked = content_terms(question)
    kept = list[Note]()
    for _, group in groupby(sorted(found, key=lambda pair: pair[0]), key=lambda pair: pair[0]):
        rivals = [note for _, note in group]
        shared = [max(_shared(texts[chunk_id], note.text, asked) for chunk_id in note.chunk_ids) for note in rivals]
        kept += [note for note, share in zip(rivals, shared, strict=True) if share == max(shared)]
    return [note for note in notes if note in kept]


def _shared(text: str, note: str, asked: set[str]) -> int:
    """How many of a question's terms are in the sentence that a note comes from."""
    return max((len(asked & content_terms(each)) for each in sentences_stating(text, note)), default=0)


def best_supported(ranked: Sequence[Note], count: int, support: Callable[[Note], Any]) -> list[Note]:
    """Leave out of an order what is more than there can be.

    Args:
        ranked: Notes as `by_value` sorts them for an order.
        count: How many there are.
        support: How well a note is supported.

    Returns:
        So many notes, as they are sorted. What has no place among the first `count`, or one that something with more
        support has, goes first, and then what has least support; of two with as much, the later.
    """
    places, spare = set[float](), dict[Note, bool]()
    best_first = sorted(ranked, key=support, reverse=True)
    for note in best_first:
        place, _ = _value(note.text) or (math.inf, "")
        spare[note] = place in places or count < place < _YEARS or place == math.inf
        places |= {place} if place < _YEARS else set()
    kept = sorted(best_first, key=spare.__getitem__)[:count]
    return [note for note in ranked if note in kept]
