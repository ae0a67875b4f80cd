"""The backend of an answer: what its model has to offer, in this process or on a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from longctx.answering.context import Prompt
from longctx.engine import Generation, PrefillCallback
from longctx.planning import ReadingSpeed, Windows
from longctx.prompts import PromptWriter
from longctx.types import Message, Plan, SamplingOptions, ThinkingMode

GREEDY = SamplingOptions()


class Backend(Protocol):
    """A model that answers, in this process or on a server."""

    @property
    def writer(self) -> PromptWriter:
        """What writes its prompts and counts their tokens."""

    def identity(self) -> str:
        """What tells the model from others: notes that one has taken are not used for another."""

    def windows(self) -> Windows:
        """How long its prompts can be, as far as is known now."""

    @property
    def default_seconds(self) -> float | None:
        """How many seconds a prompt may take to the first token, where nobody says; None for no limit."""

    def reading_speed(self, *, measure: bool) -> ReadingSpeed | None:
        """How fast it reads a prompt.

        Args:
            measure: Whether to measure what is not known.

        Returns:
            The speed; None if it is not known.

        Raises:
            ServerFailed: If it is on a server that cannot be measured.
        """

    def cached_tokens(self, prompt: Prompt, new_tokens: int) -> int | None:
        """How much of a prompt need not be read, in the native window.

        Args:
            prompt: A rendered prompt.
            new_tokens: How many tokens may follow it.

        Returns:
            How many of its first tokens were read before, and are kept in memory or on disk; None if that is not known.
        """

    def thinks(self, thinking: ThinkingMode) -> bool:
        """Whether it may think before it answers, so that it needs room for that.

        Args:
            thinking: What is asked of it.

        Returns:
            True if it may; for a model on a server, as far as is known.
        """

    def generate(
        self,
        prompt: Prompt,
        plan: Plan,
        sampling: SamplingOptions,
        progress: PrefillCallback | None,
        top_logprobs: int = 0,
    ) -> Generation:
        """Generate an answer.

        Args:
            prompt: The rendered prompt.
            plan: The plan that the prompt was rendered for.
            sampling: How the answer's tokens are chosen.
            progress: Told how much of the prompt has been read.
            top_logprobs: Of how many of the likeliest first tokens to say how likely they are; a server may not tell.

        Returns:
            The pieces of the answer as they come.

        Raises:
            PromptRefused: If the prompt is longer than the model takes after all; here, or before the first piece.
                `windows` says so from then on.
        """

    def reply(
        self,
        system: str,
        messages: Sequence[Message],
        max_new_tokens: int,
        sampling: SamplingOptions = GREEDY,
        progress: PrefillCallback | None = None,
    ) -> Generation:
        """Generate a reply to messages, without passages.

        Args:
            system: The system prompt; empty for none.
            messages: What was said, oldest first; the last message is the user's.
            max_new_tokens: The longest reply in tokens.
            sampling: How the reply's tokens are chosen.
            progress: Told how much of the prompt has been read.

        Returns:
            The pieces of the reply as they come.
        """
