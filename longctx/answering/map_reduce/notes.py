"""Notes that a model takes on passages: its lines, each with the passages that its marks name.

Models forget marks and mistake them. So a line is compared with the passages that it may come from: one without a mark
gets that of the passage that holds its words, and a mark is put right where another passage holds them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from indexes.text import content_terms
from longctx.answering.citations import CLEARLY
from longctx.answering.evidence import SUPPORTED, UNSUPPORTED_BELOW, Evidence
from longctx.prompts import says_nothing
from longctx.types import Citation

_MARK = re.compile(r"\s*[\[［【]\s*\d[\d\s,、?]*[\]］】]")
_BULLET = re.compile(r"^\s*(?:[-*•・]|\(?\d{1,3}[.)](?=\s)|[①-⑳])\s*")
_HAS_VALUE = re.compile(r"[:：]|[はがを]、?")  # a name with its value, or a sentence
_LONGEST_NAME = 24
_NO_LETTER = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Note:
    """A line of notes.

    Attributes:
        text: The line, without marks.
        chunk_ids: The passages that it comes from.
    """

    text: str
    chunk_ids: tuple[int, ...]

    def line(self, numbers: dict[int, int]) -> str:
        """Write the note with the marks of its passages.

        Args:
            numbers: The passages' numbers by chunk id.

        Returns:
            One line.
        """
        return f"{self.text} {''.join(f'[{numbers[i]}]' for i in self.chunk_ids)}"


@dataclass(frozen=True, slots=True)
class TakenNotes:
    """The notes in a model's reply.

    Attributes:
        notes: The notes, in the order of the passages.
        unplaced: How many lines were left out because no passage holds them.
    """

    notes: tuple[Note, ...]
    unplaced: int = 0


def notes_in(reply: str, chunk_ids: Sequence[int], shown: Sequence[Citation], question: str = "") -> TakenNotes:
    """Read the notes in a model's reply.

    Args:
        reply: What the model wrote.
        chunk_ids: The passages, in the order of their numbers: [1] is the first.
        shown: What the model was shown of each.
        question: For the items of a list, the question: of passages that hold an item alike, such as those whose title
            names it, the one that bears on the question most is meant.

    Returns:
        A note for each line that comes from a passage, in the order of the passages.
    """
    evidence = Evidence(dict.fromkeys(content_terms(question), 1.0), shown)
    placed: list[tuple[int, Note]] = []
    unplaced = 0
    for line in reply.splitlines():
        text = _BULLET.sub("", _MARK.sub("", line)).strip()
        if not _NO_LETTER.sub("", text) or says_nothing(text):
            continue
        if numbers := _numbers(line, text, evidence):
            placed.append((numbers[0], Note(text, tuple(chunk_ids[number - 1] for number in numbers))))
        else:
            unplaced += 1
    placed.sort(key=lambda pair: pair[0])
    return TakenNotes(tuple(note for _, note in placed), unplaced)


def _numbers(line: str, text: str, evidence: Evidence) -> list[int]:
    """The numbers of the passages that a line comes from, rising."""
    said = {int(number) for mark in _MARK.findall(line) for number in re.findall(r"\d+", mark)}
    marked = sorted(number for number in said if 1 <= number <= len(evidence.passages))
    support = evidence.support(text)
    if support is None:
        return marked
    held = max((support.shares[number - 1] for number in marked), default=0.0)
    if marked and (support.most < SUPPORTED or held >= min(SUPPORTED, support.most - CLEARLY)):
        return marked
    return [support.best] if support.most >= UNSUPPORTED_BELOW else []


def names_in(note: Note) -> list[Note]:
    """Take names apart that a model wrote behind one another, as Japanese models do.

    Args:
        note: A note of names.

    Returns:
        A note for each name; the note itself where it is one, a sentence, or has a value.
    """
    names = [name.strip() for name in note.text.rstrip("。 ").split("、")]
    if len(names) < 2 or _HAS_VALUE.search(note.text) or max(map(len, names)) > _LONGEST_NAME:
        return [note]
    return [replace(note, text=name) for name in names]


def united(notes: Iterable[Note], question: str = "") -> list[Note]:
    """Make one note of those that say the same.

    Args:
        notes: Notes.
        question: For names, the question: its words tell no names apart, as in "Ghent" and "the Ghent office".

    Returns:
        The first of each, with the passages of all.
    """
    asked = content_terms(question)
    by_text: dict[object, Note] = {}
    for note in notes:
        terms = content_terms(note.text) - asked if asked else set[str]()
        named = frozenset(terms) if any(term.isalpha() for term in terms) else None
        key = named or _NO_LETTER.sub(" ", unicodedata.normalize("NFKC", note.text).casefold()).strip()
        ids = (*by_text[key].chunk_ids, *note.chunk_ids) if key in by_text else note.chunk_ids
        by_text[key] = replace(by_text.get(key, note), chunk_ids=tuple(dict.fromkeys(ids)))
    return list(by_text.values())


def numbered(notes: Iterable[Note]) -> dict[int, int]:
    """Number the passages of notes from 1, in the order in which the notes name them.

    Args:
        notes: Notes.

    Returns:
        Numbers by chunk id.
    """
    ids = dict.fromkeys(i for note in notes for i in note.chunk_ids)
    return {chunk_id: number for number, chunk_id in enumerate(ids, start=1)}


def lines_of(notes: Sequence[Note]) -> list[str]:
    """Write notes with the numbers of their passages.

    Args:
        notes: Notes.

    Returns:
        A line for each.
    """
    numbers = numbered(notes)
    return [note.line(numbers) for note in notes]


def goes_round(reply: str) -> bool:
    """Whether a reply says the same again and again.

    Args:
        reply: What the model wrote.

    Returns:
        True if it says each line more than twice on average.
    """
    lines = [line.strip() for line in reply.splitlines() if line.strip()]
    return len(lines) > 2 * len(set(lines))
