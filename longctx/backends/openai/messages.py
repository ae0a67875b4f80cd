"""Prompts as messages, for a server that has the chat template and the tokenizer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from longctx.backends.openai.token_counts import TokenCounter
from longctx.prompts import FENCE, STAND_IN, TEMPLATES, Escaper, PromptInputs, as_messages, opening_line
from longctx.types import Message

# What steers the models of other families is not known here: Llama 2 and its kin, Gemma, Qwen's and Mistral's tools;
# <|im_start|> and all that looks like it, in DeepSeek's wide bars too; and tags in capitals, such as [TOOL_CALLS].
_NAMED = ("<s>", "</s>", "<unk>", "<pad>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<think>", "</think>")
_TOOLS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
_LOOKS_SPECIAL = re.compile(r"<[|｜][^|｜<>\n]{1,80}[|｜]>|\[/?[A-Z][A-Z_]{2,40}\]")


@dataclass(frozen=True, slots=True)
class CountedText:
    """Text, and its tokens as the server counts them; `len` is the tokens."""

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
    """

    system: str
    messages: tuple[Message, ...]
    head: CountedText
    tail: CountedText

    def __len__(self) -> int:
        return len(self.head) + len(self.tail)

    def filled(self, documents: str) -> list[dict[str, str]]:
        """The messages in OpenAI's form.

        Args:
            documents: The passages, to be put in their place.
        """
        system = [{"role": "system", "content": self.system}] if self.system else []
        said = [{"role": m.role, "content": m.content.replace(STAND_IN, documents)} for m in self.messages]
        return [*system, *said]


class MessageWriter:
    """Writes prompts as messages, with the tokens that the server's template adds."""

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter
        markers = {marker for template in TEMPLATES.values() for marker in template.markers}
        self._control = Escaper({*markers, *_NAMED, *_TOOLS, *FENCE, STAND_IN}, _LOOKS_SPECIAL)

    def frame(self, inputs: PromptInputs) -> MessageFrame:
        """What stands around the passages, as a system prompt and messages."""
        system, said = self._folded(*as_messages(inputs, self._escaped))
        before, after = said[0].content.split(STAND_IN)
        counts = self._counter.count([system, before, after, *(message.content for message in said[1:])])
        head = CountedText(f"{system}{before}", counts[0] + counts[1])
        tail = "".join([after, *(message.content for message in said[1:])])
        return MessageFrame(system, tuple(said), head, CountedText(tail, sum(counts[2:]) + self._wrapped(said)))

    def conversation(self, system: str, messages: Sequence[Message]) -> MessageFrame:
        """A conversation without passages."""
        said = [Message(message.role, self._escaped(message.content)) for message in messages]
        system, said = self._folded(self._escaped(system), said)
        counts = self._counter.count([system, *(message.content for message in said)])
        tail = "".join(message.content for message in said)
        tokens = sum(counts[1:]) + self._wrapped(said)
        return MessageFrame(system, tuple(said), CountedText(system, counts[0]), CountedText(tail, tokens))

    def texts(self, texts: Sequence[str]) -> list[CountedText]:
        """Passages, each without its number."""
        return self._counted([f"{self._control.escape(text)}\n" for text in texts])

    def numbers(self, count: int) -> list[CountedText]:
        """The lines [1], [2], … that stand before passages."""
        return self._counted([f"[{number}]\n" for number in range(1, count + 1)])

    def fences(self, titles: Sequence[str]) -> list[tuple[CountedText, CountedText]]:
        """What stands before and after the passages of documents with such titles."""
        lines = [opening_line(title, self._control.escape) for title in titles]
        [closing, *openings] = self._counted([f"{FENCE[1]}\n", *lines])
        return [(opening, closing) for opening in openings]

    def _escaped(self, text: str) -> str:
        return self._control.escape(text).strip()

    def _folded(self, system: str, said: list[Message]) -> tuple[str, list[Message]]:
        """The system prompt before the first message, where the template knows none."""
        if self._counter.wrapping.system or not system:
            return system, said
        return "", [Message(said[0].role, f"{system}\n\n{said[0].content}"), *said[1:]]

    def _wrapped(self, said: Sequence[Message]) -> int:
        """Tokens that the template adds."""
        wrapping = self._counter.wrapping
        return wrapping.base + wrapping.turn * (len(said) // 2)

    def _counted(self, texts: Sequence[str]) -> list[CountedText]:
        return [CountedText(*pair) for pair in zip(texts, self._counter.count(texts), strict=True)]
