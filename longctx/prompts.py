"""Prompts: passages and a question as token ids. Knows tokenizers and templates; knows no index and no model.

The passages come first and the question last, so that what is the same from question to question stands at the start.
Every part is tokenised by itself, behind a line break, where Llama's own tokenizer cuts too: a prompt has exactly as
many tokens as its parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from longctx.control_text import ControlText
from longctx.errors import BadRequest
from longctx.language import wording_for
from longctx.templates import PromptTemplate
from longctx.types import Citation, Message

_STAND_IN = "<longctx-passages>"  # where the passages go in what a template renders
_FENCE = ("<document>", "</document>")

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around the passages: `head`, the system prompt, and `tail`, what was said and the question."""

    head: Ids
    tail: Ids

    def __len__(self) -> int:
        return len(self.head) + len(self.tail)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it goes into a prompt.

    `system` comes before the rules for the passages; `may_give_up` has the model say so in one word if they do not hold
    the answer.
    """

    question: str
    system: str = ""
    history: tuple[Message, ...] = ()
    may_give_up: bool = False


class PromptWriter:
    """Writes prompts with a tokenizer and a template. What is not the template's cannot become part of it."""

    def __init__(self, tokenizer: Any, template: PromptTemplate) -> None:
        self.template = template
        self._tokenizer = tokenizer
        self._control = ControlText(tokenizer, (*template.markers, *_FENCE, _STAND_IN))
        self._line_break = self._fresh("\n")

    def frame(self, asked: Asked) -> Frame:
        """What stands around the passages. Raises BadRequest for what the template or the tokenizer cannot write."""
        wording = wording_for(asked.question)
        rules = wording.system(may_give_up=asked.may_give_up)
        system = "\n".join(part for part in (self._harmless(asked.system), rules) if part)
        said = [self._said(m, wording.question) for m in (*asked.history, Message("user", asked.question))]
        if wording.in_language:
            said[-1] = Message("user", f"{said[-1].content}\n{wording.in_language}")
        said[0] = Message(said[0].role, f"{wording.passages}\n{_STAND_IN}{said[0].content}")
        return self._cut(self.template.render(self._tokenizer, system, said))

    def texts(self, texts: Sequence[str]) -> list[Ids]:
        """The ids of passages, each without its number. Raises BadRequest for text that becomes control tokens."""
        lines = [f"{self._control.harmless(text)}\n" for text in texts]
        ids = self._going_on(lines)
        for line, part in zip(lines, ids, strict=True):
            self._control.check(line, part)
        return ids

    def numbers(self, count: int) -> list[Ids]:
        """The ids of the lines [1], [2], … that stand before passages."""
        return self._going_on([f"[{number}]\n" for number in range(1, count + 1)])

    def fences(self, titles: Sequence[str]) -> list[tuple[Ids, Ids]]:
        """The ids of what stands before and after the passages of documents with such titles."""
        before, after = _FENCE
        lines = [f"{before} {self._control.harmless(' '.join(title.split()))}".rstrip() + "\n" for title in titles]
        [closing] = self._going_on([f"{after}\n"])
        openings = self._going_on(lines)
        for line, ids in zip(lines, openings, strict=True):
            self._control.check(line, ids)
        return [(opening, closing) for opening in openings]

    def _said(self, message: Message, label: str) -> Message:
        content = self._harmless(message.content)
        return Message(message.role, f"{label} {content}" if message.role == "user" else content)

    def _cut(self, pieces: Sequence[int | str]) -> Frame:
        """What a template rendered, cut where the passages go."""
        holds = [i for i, piece in enumerate(pieces) if isinstance(piece, str) and _STAND_IN in piece]
        before, *after = str(pieces[holds[0]]).split(_STAND_IN) if len(holds) == 1 else ("",)
        if len(after) != 1:
            raise BadRequest(
                f"the template {self.template.name} does not write a message once, as it is: "
                "mend it, or choose another (template='plain')"
            )
        head = (*self._ids(pieces[: holds[0]]), *(self._fresh(before) if before else ()))
        return Frame(head, (*self._going_on(after)[0], *self._ids(pieces[holds[0] + 1 :])))

    def _ids(self, pieces: Iterable[int | str]) -> Ids:
        return tuple(i for piece in pieces for i in ([piece] if isinstance(piece, int) else self._fresh(piece)))

    def _harmless(self, text: str) -> str:
        harmless = self._control.harmless(text).strip()
        self._control.check(harmless, self._fresh(harmless))
        return harmless

    def _fresh(self, text: str) -> Ids:
        """Text that begins a piece; the special tokens in it are the template's."""
        return tuple(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _going_on(self, texts: Sequence[str]) -> list[Ids]:
        """Texts that follow a line break: sentencepiece would put a space before one that it sees alone."""
        if not texts:
            return []
        whole = self._tokenizer([f"\n{text}" for text in texts], add_special_tokens=False, verbose=False)["input_ids"]
        cut, start = len(self._line_break), list(self._line_break)
        parts = zip(texts, whole, strict=True)
        return [tuple(ids[cut:]) if ids[:cut] == start else self._fresh(text) for text, ids in parts]


def assemble(writer: PromptWriter, passages: Sequence[Citation], texts: Sequence[Ids]) -> Ids:
    """The ids of passages, numbered in their order, those of a document that follow one another in one fence."""
    numbers, ids, place = writer.numbers(len(passages)), list[int](), 0
    for (_, title), group in groupby(passages, key=lambda passage: (passage.source, passage.title)):
        [(opening, closing)] = writer.fences([title])
        ids += opening
        for _ in group:
            ids += (*numbers[place], *texts[place])
            place += 1
        ids += closing
    return tuple(ids)


def build_prompt(writer: PromptWriter, passages: Sequence[Citation], asked: Asked) -> list[int]:
    """The token ids of a whole prompt."""
    frame = writer.frame(asked)
    texts = writer.texts([passage.text for passage in passages])
    return [*frame.head, *assemble(writer, passages, texts), *frame.tail]
