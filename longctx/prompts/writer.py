"""Prompts: passages and a question as token ids. Knows tokenizers and templates; knows no index and no model.

The passages come first and the question last, so that what is the same from question to question stands at the start.
Every part is tokenised by itself, behind a line break, where Llama's own tokenizer cuts too: a prompt has exactly as
many tokens as its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any, Protocol, TypeVar

from longctx.errors import BadRequest
from longctx.prompts.control_tokens import ControlTokens
from longctx.prompts.templates import PromptTemplate
from longctx.prompts.wording import prompt_texts
from longctx.types import Citation, Message

STAND_IN = "<longctx-passages>"  # where the passages go in a conversation
FENCE = ("<document>", "</document>")

TokenIds = tuple[int, ...]
PartT = TypeVar("PartT", bound=Sized)


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around the passages: `head`, the system prompt, and `tail`, what was said and the question."""

    head: TokenIds
    tail: TokenIds

    def __len__(self) -> int:
        return len(self.head) + len(self.tail)


@dataclass(frozen=True, slots=True)
class PromptInputs:
    """A question as it goes into a prompt.

    `system` comes before the rules for the passages; `may_give_up` has the model say so in one word if they do not hold
    the answer. `conversing`: what was said before may be answered from, too, whether or not any of it is in `history`.
    """

    question: str
    system: str = ""
    history: tuple[Message, ...] = ()
    may_give_up: bool = False
    conversing: bool = False


class Framing(Protocol):
    """What stands before and after the passages; lengths are tokens."""

    @property
    def head(self) -> Sized:
        """The system prompt, and what introduces the passages."""

    @property
    def tail(self) -> Sized:
        """What was said, and the question."""

    def __len__(self) -> int: ...


class PromptWriter(Protocol[PartT]):
    """Writes the parts of prompts for a model, each of which has as many tokens as its length says.

    What others wrote cannot steer the model in any of them.
    """

    def frame(self, asked: PromptInputs) -> Framing:
        """What stands around the passages. Raises BadRequest for what cannot be written."""

    def texts(self, texts: Sequence[str]) -> list[PartT]:
        """Passages, each without its number."""

    def numbers(self, count: int) -> list[PartT]:
        """The lines [1], [2], … that stand before passages."""

    def fences(self, titles: Sequence[str]) -> list[tuple[PartT, PartT]]:
        """What stands before and after the passages of documents with such titles."""


class TokenWriter:
    """Writes prompts as token ids. What is not the template's cannot become part of it."""

    def __init__(self, tokenizer: Any, template: PromptTemplate) -> None:
        self.template = template
        self._tokenizer = tokenizer
        self._control = ControlTokens(tokenizer, (*template.markers, *FENCE, STAND_IN))
        self._line_break = self._fresh("\n")

    def frame(self, asked: PromptInputs) -> Frame:
        """What stands around the passages. Raises BadRequest for what the template or the tokenizer cannot write."""
        return self._cut(self.template.render(self._tokenizer, *as_messages(asked, self._harmless)))

    def conversation(self, system: str, messages: Sequence[Message]) -> TokenIds:
        """The ids of a conversation without passages. Raises BadRequest as `frame` does."""
        said = [Message(message.role, self._harmless(message.content)) for message in messages]
        return self._ids(self.template.render(self._tokenizer, self._harmless(system), said))

    def completion(self, text: str) -> TokenIds:
        """The ids of a text that is to be gone on with: the BOS, if there is one, and the text without a template."""
        harmless, bos = self._control.harmless(text), self._tokenizer.bos_token_id
        ids = self._fresh(harmless)
        self._control.check(harmless, ids)
        return ids if bos is None else (bos, *ids)

    def texts(self, texts: Sequence[str]) -> list[TokenIds]:
        """The ids of passages, each without its number. Raises BadRequest for text that becomes control tokens."""
        lines = [f"{self._control.harmless(text)}\n" for text in texts]
        ids = self._going_on(lines)
        for line, part in zip(lines, ids, strict=True):
            self._control.check(line, part)
        return ids

    def numbers(self, count: int) -> list[TokenIds]:
        """The ids of the lines [1], [2], … that stand before passages."""
        return self._going_on([f"[{number}]\n" for number in range(1, count + 1)])

    def fences(self, titles: Sequence[str]) -> list[tuple[TokenIds, TokenIds]]:
        """The ids of what stands before and after the passages of documents with such titles."""
        lines = [opening_line(title, self._control.harmless) for title in titles]
        [closing] = self._going_on([f"{FENCE[1]}\n"])
        openings = self._going_on(lines)
        for line, ids in zip(lines, openings, strict=True):
            self._control.check(line, ids)
        return [(opening, closing) for opening in openings]

    def _cut(self, pieces: Sequence[int | str]) -> Frame:
        """What a template rendered, cut where the passages go."""
        holds = [i for i, piece in enumerate(pieces) if isinstance(piece, str) and STAND_IN in piece]
        before, *after = str(pieces[holds[0]]).split(STAND_IN) if len(holds) == 1 else ("",)
        if len(after) != 1:
            raise BadRequest(
                f"the template {self.template.name} does not write a message once, as it is: "
                "mend it, or choose another (template='plain')"
            )
        head = (*self._ids(pieces[: holds[0]]), *(self._fresh(before) if before else ()))
        return Frame(head, (*self._going_on(after)[0], *self._ids(pieces[holds[0] + 1 :])))

    def _ids(self, pieces: Iterable[int | str]) -> TokenIds:
        return tuple(i for piece in pieces for i in ([piece] if isinstance(piece, int) else self._fresh(piece)))

    def _harmless(self, text: str) -> str:
        harmless = self._control.harmless(text).strip()
        self._control.check(harmless, self._fresh(harmless))
        return harmless

    def _fresh(self, text: str) -> TokenIds:
        """Text that begins a piece; the special tokens in it are the template's."""
        return tuple(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _going_on(self, texts: Sequence[str]) -> list[TokenIds]:
        """Texts that follow a line break: sentencepiece would put a space before one that it sees alone."""
        if not texts:
            return []
        whole = self._tokenizer([f"\n{text}" for text in texts], add_special_tokens=False, verbose=False)["input_ids"]
        cut, start = len(self._line_break), list(self._line_break)
        parts = zip(texts, whole, strict=True)
        return [tuple(ids[cut:]) if ids[:cut] == start else self._fresh(text) for text, ids in parts]


def as_messages(asked: PromptInputs, harmless: Callable[[str], str]) -> tuple[str, list[Message]]:
    """The system prompt and the messages of a question, STAND_IN where the passages go.

    `harmless` takes the meaning from what would steer the model in the texts of others.
    """
    wording = prompt_texts(asked.question)
    rules = wording.system(may_give_up=asked.may_give_up, conversing=asked.conversing)
    system = "\n".join(part for part in (harmless(asked.system), rules) if part)
    labels = {"user": f"{wording.question} ", "assistant": ""}
    messages = (*asked.history, Message("user", asked.question))
    said = [Message(message.role, labels[message.role] + harmless(message.content)) for message in messages]
    if wording.in_language:
        said[-1] = Message("user", f"{said[-1].content}\n{wording.in_language}")
    said[0] = Message(said[0].role, f"{wording.passages}\n{STAND_IN}{said[0].content}")
    return system, said


def opening_line(title: str, harmless: Callable[[str], str]) -> str:
    """What stands before the passages of a document."""
    return f"{FENCE[0]} {harmless(' '.join(title.split()))}".rstrip() + "\n"


def assemble(writer: PromptWriter[PartT], passages: Sequence[Citation], texts: Sequence[PartT]) -> list[PartT]:
    """Passages numbered in their order, those of a document that follow one another in one fence."""
    numbers, parts, place = writer.numbers(len(passages)), list[PartT](), 0
    for (_, title), group in groupby(passages, key=lambda passage: (passage.source, passage.title)):
        [(opening, closing)] = writer.fences([title])
        parts.append(opening)
        for _ in group:
            parts += (numbers[place], texts[place])
            place += 1
        parts.append(closing)
    return parts


def build_prompt(writer: TokenWriter, passages: Sequence[Citation], asked: PromptInputs) -> list[int]:
    """The token ids of a whole prompt."""
    frame = writer.frame(asked)
    texts = writer.texts([passage.text for passage in passages])
    return [*frame.head, *chain.from_iterable(assemble(writer, passages, texts)), *frame.tail]
