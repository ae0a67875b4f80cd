"""Prompts as token ids: passages first, the question last, so that prompts of the same documents begin alike.

Every part is tokenised by itself, behind a line break, where Llama's own tokenizer cuts too: a prompt has exactly as
many tokens as its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any, Protocol, cast

from longctx.errors import BadRequest
from longctx.prompts.control_tokens import ControlTokenEscaper
from longctx.prompts.list_texts import ReadingTask
from longctx.prompts.map_texts import for_everything
from longctx.prompts.templates import ChatTemplate, PromptTemplate
from longctx.prompts.thinking import cannot_be_off, opened_in, thought_tag, without_thoughts
from longctx.prompts.wording import prompt_texts
from longctx.types import Citation, Message, QuestionKind, ThinkingMode

STAND_IN = "<longctx-passages>"  # where the passages go in a conversation
FENCE = ("<document>", "</document>")

TokenIds = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around the passages, as token ids.

    Attributes:
        head: The system prompt, and what introduces the passages.
        tail: The turns of the conversation, and the question.
        opened: The tag of thoughts that the prompt ends with; None if there is none.
    """

    head: TokenIds
    tail: TokenIds
    opened: str | None = None

    def __len__(self) -> int:
        return len(self.head) + len(self.tail)


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


class TokenWriter:
    """Writes prompts as token ids, as the model was trained to read them.

    Args:
        tokenizer: The model's tokenizer.
        template: How conversations are written for the model.
    """

    def __init__(self, tokenizer: Any, template: PromptTemplate) -> None:
        self.template = template
        self._tokenizer = tokenizer
        self._control = ControlTokenEscaper(tokenizer, (*template.markers, *FENCE, STAND_IN))
        self._line_break = self._tokenize("\n")

    def frame(self, inputs: PromptInputs) -> Frame:
        """Write what stands around the passages; see `PromptWriter.frame`."""
        template = self._template(inputs.thinking)
        return self._cut(template.render(self._tokenizer, *as_messages(inputs, self._escaped)))

    def conversation(self, system: str, messages: Sequence[Message], thinking: ThinkingMode = "auto") -> TokenIds:
        """Write a conversation without passages.

        Args:
            system: The system prompt; empty for none.
            messages: What was said, the user first and last.
            thinking: Whether the model is to think before it answers, where its template has a switch for it.

        Returns:
            Token ids, up to where the model's turn begins.

        Raises:
            BadRequest: For what the template or the tokenizer cannot write.
        """
        said = [Message(message.role, self._escaped(said_by(message))) for message in messages]
        return self._ids(self._template(thinking).render(self._tokenizer, self._escaped(system), said))

    def thinks(self, thinking: ThinkingMode) -> bool:
        """Whether the model may think before it answers.

        Args:
            thinking: What is asked of it.

        Returns:
            True if its template is that of a thinking model, and does not turn that off.
        """
        carried = str(self._tokenizer.chat_template or "")
        if not isinstance(self.template, ChatTemplate) or thought_tag(carried) is None:
            return False
        return thinking != "off" or cannot_be_off(carried)

    def _template(self, thinking: ThinkingMode) -> PromptTemplate:
        return replace(self.template, thinking=thinking) if isinstance(self.template, ChatTemplate) else self.template

    def completion(self, text: str) -> TokenIds:
        """Write a text to be continued: the BOS token, if there is one, and the text without a template.

        Args:
            text: The text.

        Returns:
            Token ids.
        """
        bos = self._tokenizer.bos_token_id
        ids = self._tokenize(self._control.harmless(text, self._tokenize))
        return ids if bos is None else (bos, *ids)

    def texts(self, texts: Sequence[str]) -> list[TokenIds]:
        """Write passages; see `PromptWriter.texts`."""
        return self._written([f"{self._control.escape(text)}\n" for text in texts])

    def numbers(self, count: int) -> list[TokenIds]:
        """Write the lines [1], [2], …; see `PromptWriter.numbers`."""
        return self._tokenize_after_break([f"[{number}]\n" for number in range(1, count + 1)])

    def fences(self, titles: Sequence[str]) -> list[tuple[TokenIds, TokenIds]]:
        """Write the fences around documents; see `PromptWriter.fences`."""
        lines = [opening_line(title, self._control.escape) for title in titles]
        [closing] = self._tokenize_after_break([f"{FENCE[1]}\n"])
        return [(opening, closing) for opening in self._written(lines)]

    def _written(self, lines: Sequence[str]) -> list[TokenIds]:
        """Escaped lines as token ids, whatever the tokenizer makes of them."""

        def after_break(line: str) -> TokenIds:
            return self._tokenize_after_break([f"{line}\n"])[0]

        written = self._tokenize_after_break(lines)
        for place, ids in enumerate(written):
            if not self._control.ids.isdisjoint(ids):
                written[place] = after_break(self._control.harmless(lines[place].removesuffix("\n"), after_break))
        return written

    def _cut(self, pieces: Sequence[int | str]) -> Frame:
        """What a template rendered, cut where the passages go."""
        holds = [i for i, piece in enumerate(pieces) if isinstance(piece, str) and STAND_IN in piece]
        before, *after = str(pieces[holds[0]]).split(STAND_IN) if len(holds) == 1 else ("",)
        if len(after) != 1:
            raise BadRequest(
                f"the template {self.template.name} does not write a message once, as it is: "
                "mend it, or choose another (template='plain')"
            )
        head = (*self._ids(pieces[: holds[0]]), *(self._tokenize(before) if before else ()))
        end = after[0] if holds[0] == len(pieces) - 1 else str(pieces[-1])
        tail = (*self._tokenize_after_break(after)[0], *self._ids(pieces[holds[0] + 1 :]))
        return Frame(head, tail, opened_in(end))

    def _ids(self, pieces: Iterable[int | str]) -> TokenIds:
        return tuple(i for piece in pieces for i in ([piece] if isinstance(piece, int) else self._tokenize(piece)))

    def _escaped(self, text: str) -> str:
        return self._control.harmless(text, self._tokenize).strip()

    def _tokenize(self, text: str) -> TokenIds:
        """Text that begins a piece; the special tokens in it are the template's."""
        return tuple(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _tokenize_after_break(self, texts: Sequence[str]) -> list[TokenIds]:
        """Texts that follow a line break: sentencepiece would put a space before one that it sees alone."""
        if not texts:
            return []
        whole = self._tokenizer([f"\n{text}" for text in texts], add_special_tokens=False, verbose=False)["input_ids"]
        cut, start = len(self._line_break), list(self._line_break)
        parts = zip(texts, whole, strict=True)
        return [tuple(ids[cut:]) if ids[:cut] == start else self._tokenize(text) for text, ids in parts]


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


def build_prompt(writer: TokenWriter, passages: Sequence[Citation], inputs: PromptInputs) -> list[int]:
    """Write a whole prompt.

    Args:
        writer: Writes the parts.
        passages: The passages, in the order of their numbers.
        inputs: The question and what comes before it.

    Returns:
        Token ids.
    """
    frame = writer.frame(inputs)
    texts = writer.texts([f"{each.table_header}\n{each.text}" if each.table_header else each.text for each in passages])
    parts = cast("list[TokenIds]", assemble(writer, passages, texts))
    return [*frame.head, *chain.from_iterable(parts), *frame.tail]
