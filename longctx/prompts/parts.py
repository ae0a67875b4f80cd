"""The parts of a prompt and their order: passages first, so that prompts of the same documents begin alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from longctx.prompts.list_texts import ReadingTask
from longctx.prompts.map_texts import for_everything
from longctx.prompts.thinking import without_thoughts
from longctx.prompts.wording import prompt_texts
from longctx.types import Citation, Message, QuestionKind, ThinkingMode

STAND_IN = "<longctx-passages>"  # where the passages go in a conversation


FENCE = ("<document>", "</document>")


@dataclass(frozen=True, slots=True)
class PromptInputs:
    """A question as it goes into a prompt.

    Attributes:
        question: The question.
        system: A system prompt, placed before the rules for the passages.
        history: The earlier turns that are in the prompt.
        may_give_up: The model is to answer in one word if the passages do not hold the answer.
        conversing: What was said before may be answered from, too, whether or not any of it is in `history`.
        kind: What the question asks for.
        task: What to do with the passages instead of answering from them; the question is in it.
        thinking: Whether the model is to think before it answers, where its template has a switch for it.
    """

    question: str
    system: str = ""
    history: tuple[Message, ...] = ()
    may_give_up: bool = False
    conversing: bool = False
    kind: QuestionKind = "locate"
    task: ReadingTask | None = None
    thinking: ThinkingMode = "auto"


class Framing(Protocol):
    """What stands before and after the passages; lengths are tokens."""

    @property
    def head(self) -> Sized:
        """The system prompt, and what introduces the passages."""

    @property
    def tail(self) -> Sized:
        """What was said, and the question."""

    def __len__(self) -> int: ...


class PromptWriter(Protocol):
    """Writes the parts of prompts for a model; `len` of a part is its tokens. Control tokens in them are escaped."""

    def frame(self, inputs: PromptInputs) -> Framing:
        """Write what stands around the passages.

        Args:
            inputs: The question and what comes before it.

        Returns:
            The parts before and after the passages.

        Raises:
            BadRequest: For what the template or the tokenizer cannot write.
        """

    def texts(self, texts: Sequence[str]) -> Sequence[Sized]:
        """Write passages, each without its number.

        Args:
            texts: The passages' texts.

        Returns:
            One part for each.
        """

    def numbers(self, count: int) -> Sequence[Sized]:
        """Write the lines [1], [2], … that stand before passages.

        Args:
            count: How many.

        Returns:
            One part for each.
        """

    def fences(self, titles: Sequence[str]) -> Sequence[tuple[Sized, Sized]]:
        """Write what stands before and after the passages of each document.

        Args:
            titles: The documents' titles.

        Returns:
            For each document, the parts before and after its passages.
        """


def as_messages(inputs: PromptInputs, escape: Callable[[str], str]) -> tuple[str, list[Message]]:
    """The system prompt and the messages of a question.

    Args:
        inputs: The question and what comes before it.
        escape: Escapes control tokens in the texts of others.

    Returns:
        The system prompt, and the messages with STAND_IN where the passages go.
    """
    texts = prompt_texts(inputs.question)
    if inputs.task is not None:
        rest = escape(inputs.task.instructions)
        return escape(inputs.system), [Message("user", f"{inputs.task.label}\n{STAND_IN}{rest}")]
    if inputs.kind != "locate":
        texts = for_everything(texts, inputs.kind)
    rules = texts.instructions(may_give_up=inputs.may_give_up, conversing=inputs.conversing)
    said = [
        Message(m.role, f"{texts.question} {escape(m.content)}" if m.role == "user" else escape(said_by(m)))
        for m in (*inputs.history, Message("user", inputs.question))
    ]
    # once, so that the prompt of the next turn begins with this one
    said[0] = Message(said[0].role, f"{texts.passages}\n{STAND_IN}{rules}\n{said[0].content}")
    return escape(inputs.system), said


def said_by(message: Message) -> str:
    """What was said in a message; a model's thoughts are no part of that.

    Args:
        message: The message.

    Returns:
        Its text without thoughts.
    """
    return without_thoughts(message.content) if message.role == "assistant" else message.content


def opening_line(title: str, escape: Callable[[str], str]) -> str:
    """The line before the passages of a document.

    Args:
        title: The document's title.
        escape: Escapes control tokens in it.

    Returns:
        The line, with its line break.
    """
    return f"{FENCE[0]} {escape(' '.join(title.split()))}".rstrip() + "\n"


def assemble(writer: PromptWriter, passages: Sequence[Citation], texts: Sequence[Sized]) -> list[Sized]:
    """Put numbers and fences around passages: those of a document that follow one another share one fence.

    Args:
        writer: The writer that wrote `texts`.
        passages: Where the passages come from, in the order of their numbers.
        texts: The same passages as the writer writes them.

    Returns:
        The parts in their order.
    """
    numbers, parts, place = writer.numbers(len(passages)), list[Sized](), 0
    for (_, title), group in groupby(passages, key=lambda passage: (passage.source, passage.title)):
        [(opening, closing)] = writer.fences([title])
        parts.append(opening)
        for _ in group:
            parts += (numbers[place], texts[place])
            place += 1
        parts.append(closing)
    return parts
