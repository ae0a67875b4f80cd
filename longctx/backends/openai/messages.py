"""Prompts as messages, for a server that has the chat template and the tokenizer.

What the template adds is not in the text, so a prompt's length is the sum of its parts and of the counted `Wrapping`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from longctx.backends.openai.token_counts import TokenCounter
from longctx.prompts import (
    FENCE,
    LOOKS_SPECIAL,
    STAND_IN,
    TEMPLATES,
    Escaper,
    PromptInputs,
    as_messages,
    opening_line,
    said_by,
)
from longctx.types import Message, ThinkingMode


@dataclass(frozen=True, slots=True)
class CountedText:
    """Text whose `len` is its tokens.

    Attributes:
        text: The text.
        tokens: Its tokens, as the server counts them.
    """

    text: str
    tokens: int

    def __len__(self) -> int:
        return self.tokens


@dataclass(frozen=True, slots=True)
class MessageFrame:
    """The messages around the passages.

    Attributes:
        system: The system prompt.
        messages: The messages, with STAND_IN where the passages go.
        head: The system prompt and what introduces the passages, counted.
        tail: The turns and the question, counted.
        thinking: Whether the model is to think before it answers.
    """

    system: str
    messages: tuple[Message, ...]
    head: CountedText
    tail: CountedText
    thinking: ThinkingMode = "auto"

    def __len__(self) -> int:
        return len(self.head) + len(self.tail)

    def filled(self, documents: str) -> list[dict[str, str]]:
        """The messages in OpenAI's form.

        Args:
            documents: The passages, to be put in their place.

        Returns:
            Objects with `role` and `content`.
        """
        system = [{"role": "system", "content": self.system}] if self.system else []
        said = [{"role": m.role, "content": m.content.replace(STAND_IN, documents)} for m in self.messages]
        return [*system, *said]


class MessageWriter:
    """Writes prompts as messages, and counts them with the tokens that the server's template adds.

    Args:
        counter: Counts tokens, as the server does.
    """

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter
        markers = {marker for template in TEMPLATES.values() for marker in template.markers}
        self._control = Escaper({*markers, *FENCE, STAND_IN}, LOOKS_SPECIAL)

    def frame(self, inputs: PromptInputs) -> MessageFrame:
        """Write what stands around the passages; see `PromptWriter`."""
        system, said = self._folded(*as_messages(inputs, self._escaped))
        before, after = said[0].content.split(STAND_IN)
        texts = [system, before], [after, *(message.content for message in said[1:])]
        return replace(self._framed(system, said, *texts), thinking=inputs.thinking)

    def conversation(self, system: str, messages: Sequence[Message]) -> MessageFrame:
        """Write a conversation without passages.

        Args:
            system: The system prompt; empty for none.
            messages: What was said, the user first and last.

        Returns:
            The messages, counted.
        """
        said = [Message(message.role, self._escaped(said_by(message))) for message in messages]
        system, said = self._folded(self._escaped(system), said)
        return self._framed(system, said, [system], [message.content for message in said])

    def texts(self, texts: Sequence[str]) -> list[CountedText]:
        """Write passages; see `PromptWriter`."""
        return self._counted([f"{self._control.escape(text)}\n" for text in texts])

    def numbers(self, count: int) -> list[CountedText]:
        """Write the lines [1], [2], …; see `PromptWriter`."""
        return self._counted([f"[{number}]\n" for number in range(1, count + 1)])

    def fences(self, titles: Sequence[str]) -> list[tuple[CountedText, CountedText]]:
        """Write the fences around documents; see `PromptWriter`."""
        lines = [opening_line(title, self._control.escape) for title in titles]
        [closing, *openings] = self._counted([f"{FENCE[1]}\n", *lines])
        return [(opening, closing) for opening in openings]

    def _escaped(self, text: str) -> str:
        return self._control.escape(text).strip()

    def _folded(self, system: str, said: list[Message]) -> tuple[str, list[Message]]:
        """The system prompt as part of the first message, where the template takes none."""
        if self._counter.wrapping.system or not system:
            return system, said
        return "", [Message(said[0].role, f"{system}\n\n{said[0].content}"), *said[1:]]

    def _framed(self, system: str, said: Sequence[Message], head: list[str], tail: list[str]) -> MessageFrame:
        """A frame whose head and tail consist of these texts; the tail has what the template adds."""
        counts, wrapping = self._counter.count([*head, *tail]), self._counter.wrapping
        in_head = sum(counts[: len(head)])
        in_tail = sum(counts) - in_head + wrapping.base + wrapping.turn * (len(said) // 2)
        return MessageFrame(
            system, tuple(said), CountedText("".join(head), in_head), CountedText("".join(tail), in_tail)
        )

    def _counted(self, texts: Sequence[str]) -> list[CountedText]:
        return [CountedText(*pair) for pair in zip(texts, self._counter.count(texts), strict=True)]
