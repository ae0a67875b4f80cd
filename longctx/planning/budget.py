"""What a prompt may cost: a limit in tokens, given as such or derived from the seconds to the first token."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from longctx.reasons import Reason
from longctx.types import Plan

DEFAULT_SECONDS = 20.0  # to the first token, on a processor or a server
LEAST_TOKENS = 1024  # the default limit is never lower, so that the best passages always have room
MEASURED_TOKENS = 128  # length of the prompt that a reading rate is measured with


@dataclass(frozen=True, slots=True)
class ReadingSpeed:
    """How fast a model reads a prompt (prefill).

    The work for n tokens is 2·P FLOPs per token for P weights, and for attention 4·h FLOPs per token and earlier token,
    where h is the width of all heads of all layers. A token has n/2 earlier ones on average, so that the share of
    attention is n·h/P, and

        seconds(n) = n / rate · (1 + n·h/P) / (1 + 128·h/P)

    with the rate of a prompt of 128 tokens. Without h/P, seconds are linear in tokens.

    Attributes:
        rate: Tokens per second, for a prompt of 128 tokens.
        attention: h/P; 0 for a model whose configuration is not known.
    """

    rate: float
    attention: float = 0.0

    def seconds(self, tokens: int) -> float:
        """Seconds to read a prompt.

        Args:
            tokens: Its length.

        Returns:
            Seconds to the first token, with nothing of the prompt in the prefix cache.
        """
        return tokens / self.rate * (1 + tokens * self.attention) / (1 + MEASURED_TOKENS * self.attention)

    def tokens(self, seconds: float) -> int:
        """The longest prompt that is read in some seconds.

        Args:
            seconds: Seconds to the first token.

        Returns:
            Tokens.
        """
        linear = seconds * self.rate * (1 + MEASURED_TOKENS * self.attention)
        return int(2 * linear / (1 + math.sqrt(1 + 4 * linear * self.attention)))


@dataclass(frozen=True, slots=True)
class PromptBudget:
    """What a prompt may cost.

    Attributes:
        tokens: The longest prompt, in tokens; None for no limit.
        seconds: The seconds to the first token that the limit is derived from; None where it was given in tokens.
        speed: How fast the model reads; None if that is not known.
        default: Whether nobody asked for this limit. It then holds for the route `auto` and for passages only, and the
            best passage is in the prompt even if it takes more.
    """

    tokens: int | None = None
    seconds: float | None = None
    speed: ReadingSpeed | None = None
    default: bool = False

    @property
    def given(self) -> bool:
        """Whether there is a limit, or seconds to derive one from."""
        return self.tokens is not None or self.seconds is not None

    def at(self, speed: ReadingSpeed | None, largest: int) -> PromptBudget:
        """The same budget for a model.

        Args:
            speed: How fast the model reads; None if that is not known.
            largest: The largest window of the model, in tokens.

        Returns:
            The budget with its limit in tokens, which is None where the window is the limit.
        """
        if self.seconds is None or speed is None:
            return replace(self, speed=speed)
        tokens = max(speed.tokens(self.seconds), LEAST_TOKENS if self.default else 0)
        return replace(self, tokens=tokens if tokens < largest else None, speed=speed)

    def limit(self, *, asked_for: bool) -> float:
        """The longest prompt of a route, in tokens.

        Args:
            asked_for: Whether a question named the route, which reads all documents.

        Returns:
            Tokens; infinity for no limit.
        """
        return math.inf if self.tokens is None or (self.default and asked_for) else self.tokens

    @property
    def allowance(self) -> Reason:
        """The limit in words, such as "2,400 tokens that 20 s allow at 120 tokens/s"."""
        tokens = self.tokens or 0
        if self.seconds is None or self.speed is None:
            return Reason("allowed", (tokens,))
        seconds, in_time = float(self.seconds), self.speed.tokens(self.seconds)
        rate = in_time / seconds
        pace = round(rate) if rate >= 10 else float(f"{rate:.2g}")
        if in_time == tokens:
            return Reason("allowed_in_time", (tokens, seconds, pace))
        return Reason("always_allowed", (tokens, seconds, in_time, pace))


def priced(plan: Plan, budget: PromptBudget) -> Plan:
    """A plan with the seconds that its prompt takes, and with how much of the budget that is.

    Args:
        plan: A plan whose prompt's tokens are counted.
        budget: The budget that it was made with.

    Returns:
        The plan. Without a limit its reasons are unchanged, and without a reading speed its `seconds` are None.
    """
    speed = budget.speed
    seconds = None if speed is None else speed.seconds(plan.prompt_tokens) - speed.seconds(plan.reused_tokens)
    if budget.tokens is None or plan.prompt_tokens > budget.tokens:  # the best passage alone, or what was read before
        return replace(plan, seconds=seconds)
    takes = Reason("prompt_takes", (plan.prompt_tokens, budget.allowance))
    return replace(plan, seconds=seconds, reasons=(*plan.reasons, takes))
