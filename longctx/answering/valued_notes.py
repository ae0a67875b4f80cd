"""Notes of the form 'name: value': whether passages state their values, and sorting by them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import groupby

from indexes.text import content_terms, on_one_line, sentence_spans
from longctx.answering.notes import Note

_FIGURES = re.compile(r"\d[\d,]*(?:\.\d+)?")
_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh"),
    *("twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth"),
)
_ORDINAL_WORD = re.compile(rf"\b(?:{'|'.join(_ORDINALS)})\b", re.IGNORECASE)
_ORDINAL = re.compile(
    rf".*[:：]\s*(?:the |number |no\. ?|第)?(?:(\d+)(?:st|nd|rd|th|番目?|位)?|({'|'.join(_ORDINALS)}))\b[.。]?",
    re.IGNORECASE,
)
_VALUE = re.compile(r".*[:：]\s*([-+]?\d[\d,]*(?:\.\d+)?)\s*([^\d\s.。]*)[.。]?")


def by_value(notes: Sequence[Note], *, in_order: bool) -> list[Note] | None:
    """Sort notes of the form 'name: value' by their values.

    Args:
        notes: Notes.
        in_order: The values are to be numbers or years that say in what order things come: the smallest is first.

    Returns:
        The notes, otherwise with the largest value first, and at the end those without a value; None unless at least
        half of them have one, and all values are numbers in the same unit, or, for an order, ordinals or numbers
        without any.
    """
    found = [(value, note) for note in notes if (value := _value(note.text, in_order=in_order))]
    units = {unit for (_, unit), _ in found}
    if len(notes) < 2 or 2 * len(found) < len(notes) or len(units) > 1 or (in_order and units != {""}):
        return None
    ranked = [note for _, note in sorted(found, key=lambda pair: pair[0][0], reverse=not in_order)]
    return ranked + [note for note in notes if note not in ranked]


def extremes(ranked: Sequence[Note], *, smallest: bool) -> list[Note]:
    """The notes with the largest value, or with the smallest.

    Args:
        ranked: Notes as `by_value` sorts them, the largest value first.
        smallest: Whether the smallest is meant.

    Returns:
        All that share it.
    """
    valued = [(value[0], note) for note in ranked if (value := _value(note.text, in_order=False))]
    sought = valued[-1 if smallest else 0][0]
    return [note for value, note in valued if value == sought]


def _value(text: str, *, in_order: bool) -> tuple[float, str] | None:
    """The value of a note with its unit."""
    plain = unicodedata.normalize("NFKC", text)
    if in_order and (ordinal := _ORDINAL.fullmatch(plain)):
        return float(ordinal[1] or _ORDINALS.index(ordinal[2].casefold()) + 1), ""
    value = _VALUE.fullmatch(plain)
    return None if value is None else (float(value[1].replace(",", "")), value[2].casefold())


def sentences_stating(text: str, note: str) -> list[str]:
    """The sentences of a passage that state the value of a note.

    Args:
        text: The passage.
        note: The note, of the form 'name: value'.

    Returns:
        Those that hold the numbers and ordinals of the value, and among them, if there are any, those that hold words
        of the name.
    """
    name, _, value = unicodedata.normalize("NFKC", note).rpartition(":")
    numbers, words = _numbers_of(value), content_terms(name)
    sentences = [on_one_line(text[start:end]) for start, end in sentence_spans(text)]
    stating = [sentence for sentence in sentences if numbers <= _numbers_of(sentence)]
    return [sentence for sentence in stating if words & content_terms(sentence)] or stating


def _numbers_of(text: str) -> set[str]:
    plain = unicodedata.normalize("NFKC", text)
    ordinals = {str(_ORDINALS.index(word.casefold()) + 1) for word in _ORDINAL_WORD.findall(plain)}
    return {found.replace(",", "") for found in _FIGURES.findall(plain)} | ordinals


def one_in_each_place(notes: Sequence[Note], texts: Mapping[int, str], question: str) -> list[Note]:
    """Leave out the notes of another order than a question asks for, as far as that can be told.

    Where two things have the same place, the one whose sentence shares more words with the question has it.

    Args:
        notes: Notes of the form 'name: place'.
        texts: The passages, by chunk id.
        question: The question.

    Returns:
        The notes whose values are places, or all if fewer than half of them are; of those with the same place, the
        ones that share most.
    """
    found = [(value[0], note) for note in notes if (value := _value(note.text, in_order=True)) and not value[1]]
    if 2 * len(found) < len(notes):
        return list(notes)
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
