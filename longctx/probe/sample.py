"""Prompts of an exact length, written as `ask` writes them: passages with needles in them, then a question."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, islice
from typing import Any

from longctx.errors import BadRequest
from longctx.probe.tasks import Draft, Needle, TaskQuestion
from longctx.prompts import Frame, PromptInputs, PromptTemplate, TokenIds, TokenWriter, assemble, build_prompt
from longctx.types import Citation

_LEAST = 16  # tokens of haystack: less is no place to hide in
_PASSAGE = 200  # tokens, about as many as a passage of an index has


@dataclass(frozen=True, slots=True)
class SampleQuestion:
    """A question, the tokens of its prompt from the end of the passages on, and how many its answer may take."""

    question: TaskQuestion
    suffix: TokenIds
    room: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The tokens up to the end of the passages, with which the prompts of all questions begin, and the questions."""

    prefix: TokenIds
    questions: tuple[SampleQuestion, ...]


class PromptBuilder:
    """Builds the prompts of drafts for one model.

    Args:
        tokenizer: The model's tokenizer.
        template: How prompts are written for the model.
        native_window: The model's, in tokens.
    """

    def __init__(self, tokenizer: Any, template: PromptTemplate, native_window: int) -> None:
        self.template = template
        self._writer = TokenWriter(tokenizer, template)
        self._count = lru_cache(2**16)(self._added_tokens)  # the same sentences come under each method and depth
        self._unknown = tokenizer.unk_token_id
        self._spare = min(64, native_window // 8)  # tokens of an answer that may say more than it has to

    def needed(self, draft: Draft) -> int:
        """The fewest tokens that have room for a draft. Raises BadRequest where the tokenizer lacks letters."""
        for text in [part.text for parts in (draft.needles, draft.questions) for part in parts]:
            if self._unknown is not None and self._unknown in self._writer.texts([text])[0]:
                raise BadRequest(
                    f"the tokenizer cannot write {text!r}: choose another language (--languages), needle (--needle) "
                    "or text (--text)"
                )
        hay = _LEAST
        if draft.filler is not None:
            hay = sum(self._count(draft.language.space + text) for text in islice(draft.filler(), draft.least))
        _, around = self._frames(draft)
        room = hay + self._needle_tokens(draft)
        return around + room + self._marks(_passages(room) + 1)  # the marks can make it one passage more

    def build(self, draft: Draft, length: int, haystack: Iterator[str]) -> Sample:
        """Build the prompts of a draft that, with the room for the longest answer, have exactly `length` tokens.

        Args:
            draft: Needles and questions.
            length: As many tokens as `needed` says, or more.
            haystack: Sentences with the white space before them, for a draft that has no filler of its own.

        Returns:
            The tokens of the prompts.
        """
        space = draft.language.space
        hay: Iterable[str] = haystack if draft.filler is None else (space + text for text in draft.filler())
        moved = {
            needle.text for needle in draft.needles
        }  # a sentence of the haystack itself is not to stand there twice
        hay = (sentence for sentence in hay if sentence.strip() not in moved)
        needles = [Needle(space + needle.text, needle.depth) for needle in draft.needles]
        frames, around = self._frames(draft)
        count = _passages(length - around)
        tokens = length - around - self._marks(count) - self._needle_tokens(draft)
        size, over = tokens / count, 1
        while over > 0:  # a passage can have some tokens more than its sentences
            hay = self._fill(hay, tokens)
            passages = split_passages(hay, list(map(self._count, hay)), needles, size)
            prompt = build_prompt(self._writer, list(map(_cited, passages)), PromptInputs(draft.questions[0].text))
            prefix = tuple(prompt[: len(prompt) - len(frames[0].tail)])
            over = len(prefix) - len(frames[0].head) + around - length
            tokens -= over
            assert tokens > 0, "needed() counts what has room"
        return Sample(
            prefix,
            tuple(
                SampleQuestion(question, frame.tail, length - len(prefix) - len(frame.tail))
                for question, frame in zip(draft.questions, frames, strict=True)
            ),
        )

    def _frames(self, draft: Draft) -> tuple[list[Frame], int]:
        """What stands around the passages for each question; the tokens of that and of the longest answer."""
        frames = [self._writer.frame(PromptInputs(question.text)) for question in draft.questions]
        endings = (
            # an answer repeats the question's words, and says what is asked
            len(frame.tail) + self._count(" ".join((question.text, *question.answers))) + self._spare
            for question, frame in zip(draft.questions, frames, strict=True)
        )
        return frames, len(frames[0].head) + max(endings)

    def _marks(self, passages: int) -> int:
        """Tokens of the numbers, fences and line breaks around passages."""
        empty = [_cited("")] * passages
        return sum(map(len, assemble(self._writer, empty, self._writer.texts([""] * passages))))

    def _needle_tokens(self, draft: Draft) -> int:
        return sum(self._count(draft.language.space + needle.text) for needle in draft.needles)

    def _fill(self, sentences: Iterable[str], tokens: int) -> list[str]:
        """The first of the sentences, as many as make up `tokens` tokens; the last one is cut short."""
        taken: list[str] = []
        for sentence in sentences:
            size = self._count(sentence)
            if size >= tokens:
                ends = range(len(sentence) + 1)
                end = bisect_right(ends, tokens, key=lambda end: self._count(sentence[:end])) - 1
                return [*taken, sentence[:end]]
            taken.append(sentence)
            tokens -= size
        return taken

    def _added_tokens(self, text: str) -> int:
        """The tokens that a text adds to a passage, whose ends may be written in other tokens than its middle."""
        once, twice = self._writer.texts([text, text + text])
        return len(twice) - len(once)


def split_passages(sentences: Sequence[str], sizes: Sequence[int], needles: Iterable[Needle], size: float) -> list[str]:
    """Put sentences together to passages, with each needle between the two sentences that are nearest to its depth.

    Passage k ends with the first sentence that reaches k times `size`, wherever the needles are: texts that differ in
    the depth of a needle begin alike.

    Args:
        sentences: Sentences with the white space before them.
        sizes: Their tokens.
        needles: Needles, with white space too.
        size: Tokens of a passage, without needles.

    Returns:
        The passages' texts.
    """
    ends = [0, *accumulate(sizes)]
    placed = [""] * len(ends)
    for needle in sorted(needles, key=lambda needle: needle.depth):
        placed[_nearest(ends, needle.depth * ends[-1])] += needle.text
    passages = [""]
    for sentence, before, end in zip([*sentences, ""], placed, ends, strict=True):
        if end >= len(passages) * size and sentence:
            passages.append("")
        passages[-1] += before + sentence
    return [passage.strip() for passage in passages]


def _nearest(ends: Sequence[int], token: float) -> int:
    at = bisect_left(ends, token)
    return min((i for i in (at - 1, at) if 0 <= i < len(ends)), key=lambda i: abs(ends[i] - token))


def _passages(tokens: int) -> int:
    """How many passages that many tokens are divided into."""
    return max(1, round(tokens / _PASSAGE))


def _cited(text: str) -> Citation:
    return Citation("text", "Text", None, 0, len(text), text)
