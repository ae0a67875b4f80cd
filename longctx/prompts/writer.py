"""Prompts as token ids.

Every part is tokenised by itself, behind a line break, where Llama's own tokenizer cuts too: a prompt has exactly as
many tokens as its parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, cast

from longctx.errors import BadRequest
from longctx.prompts.control_tokens import ControlTokenEscaper
from longctx.prompts.parts import FENCE, STAND_IN, PromptInputs, as_messages, assemble, opening_line, said_by
from longctx.prompts.templates import ChatTemplate, PromptTemplate
from longctx.prompts.thinking_switches import cannot_be_off, thought_tag
from longctx.prompts.thinking_tags import opened_in
from longctx.types import Citation, Message, ThinkingMode

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
