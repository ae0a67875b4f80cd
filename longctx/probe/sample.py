"""Drafts as prompts of an exact length: needles in a haystack, room for the answer. Knows tokens; knows no model."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from longctx.errors import BadRequest
from longctx.probe.haystack import Source, cut
from longctx.probe.prompts import Prompting, TokenIds
from longctx.probe.task_texts import Language
from longctx.probe.tasks import Draft, Question

_LEAST = 16  # tokens of haystack: less is no place to hide in
_BATCH = 32  # filler sentences tokenised at a time


@dataclass(frozen=True, slots=True)
class SampleQuestion:
    """A question's tokens, those that its answer may take, and the question."""

    suffix: TokenIds
    room: int
    question: Question


@dataclass(frozen=True, slots=True)
class Document:
    """A text's tokens, and the questions that are asked after it."""

    prefix: TokenIds
    asked: tuple[SampleQuestion, ...]


class Scribe:
    """Writes documents for one model in one language."""

    def __init__(self, prompting: Prompting, source: Source, language: Language, native_window: int) -> None:
        self.prompting = prompting
        self.source = source
        self.language = language
        self._spare = min(64, native_window // 8)  # tokens that an answer may take beyond what must be in it

    def write(self, draft: Draft, length: int, draw: random.Random) -> Document:
        """A document of exactly `length` tokens with the longest question and the room for its answer.

        `draw` chooses the prose. Raises BadRequest for a length that has no room.
        """
        asked, needles, tokens = self._parts(draft, length)
        filler = draft.filler
        hay = self.source.prose(tokens, draw) if filler is None else cut(self._filler(filler()), tokens)
        if len(hay) < draft.least:
            raise _too_short(length, length - tokens + 2 * draft.least * max(map(len, hay)))
        depths = [needle.depth for needle in draft.needles]
        prefix = (*self.prompting.head, *bury(hay, needles, depths))
        return Document(prefix, asked)

    def check(self, draft: Draft, length: int) -> None:
        """Raise BadRequest if a length has no room for a draft."""
        self._parts(draft, length)

    def _parts(self, draft: Draft, length: int) -> tuple[tuple[SampleQuestion, ...], list[TokenIds], int]:
        """The questions, the needles, and how many tokens are left for the haystack."""
        asked = tuple(map(self._ask, draft.questions))
        needles = [self.prompting.spelt(self.language.space + needle.text) for needle in draft.needles]
        longest = max(len(one.suffix) + one.room for one in asked)
        tokens = length - len(self.prompting.head) - sum(map(len, needles)) - longest
        if tokens < _LEAST:
            raise _too_short(length, length - tokens + _LEAST)
        return asked, needles, tokens

    def _ask(self, question: Question) -> SampleQuestion:
        ideal = self.prompting.following([" ".join((question.lead, *question.answers))])[0]
        return SampleQuestion(self.prompting.suffix(question, self.language), len(ideal) + self._spare, question)

    def _filler(self, sentences: Iterator[str]) -> Iterator[TokenIds]:
        while True:
            yield from self.prompting.following(self.language.space + next(sentences) for _ in range(_BATCH))


def bury(hay: Sequence[TokenIds], needles: Sequence[TokenIds], depths: Sequence[float]) -> list[int]:
    """The tokens of sentences with each needle between the two that are nearest to its depth."""
    ends = [0, *accumulate(map(len, hay))]
    waiting = sorted((_nearest(ends, depth * ends[-1]), depth, at) for at, depth in enumerate(depths))
    ids: list[int] = []
    for boundary in range(len(ends)):
        for place, _, at in waiting:
            if place == boundary:
                ids += needles[at]
        if boundary < len(hay):
            ids += hay[boundary]
    return ids


def _nearest(ends: Sequence[int], token: float) -> int:
    at = bisect_left(ends, token)
    return min((i for i in (at - 1, at) if 0 <= i < len(ends)), key=lambda i: abs(ends[i] - token))


def _too_short(length: int, least: int) -> BadRequest:
    return BadRequest(
        f"a length of {length} tokens is too small: text, question and answer take at least {least}; "
        "give longer lengths, fewer depths, or a model with a longer window"
    )
