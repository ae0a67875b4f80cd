"""What the prompt of a question may cost. How fast the model reads is measured only where that decides something."""

from __future__ import annotations

from contextlib import suppress

from longctx.answering.backend import Backend
from longctx.errors import ServerFailed
from longctx.planning import LEAST_TOKENS, Policy, PromptBudget, PromptCosts, Windows
from longctx.types import AskOptions

_LIMITED = ("auto", "retrieval", "self")  # routes with a default limit; the others were asked for with all they cost


def prompt_budget(
    backend: Backend, costs: PromptCosts, windows: Windows, policy: Policy, options: AskOptions
) -> PromptBudget:
    """The budget of a question: its own, that of the policy, or the default.

    Args:
        backend: The model that will answer.
        costs: What could go into the prompt.
        windows: The model's windows.
        policy: The route that will be taken, and a budget for questions that have none.
        options: The question's options.

    Returns:
        The budget with its limit in tokens.

    Raises:
        ServerFailed: If a server has to be measured, for a budget in seconds, and cannot be.
    """
    own = PromptBudget(options.prompt_tokens, options.budget)
    budget = own if own.given else policy.budget
    if budget.given:
        return budget.at(backend.reading_speed(measure=budget.seconds is not None), windows.largest)
    budget = PromptBudget(seconds=backend.default_seconds, default=True)
    # what needs every document is read whatever it takes: in parts it would take longer still
    limited = policy.route in _LIMITED and (costs.kind == "locate" or policy.route != "auto")
    decides = limited and budget.given and _may_exceed_least(costs, windows)
    with suppress(ServerFailed):  # the window is the limit; a server that is gone is named when it is asked
        return (budget if decides else PromptBudget()).at(backend.reading_speed(measure=decides), windows.largest)
    return PromptBudget()


def _may_exceed_least(costs: PromptCosts, windows: Windows) -> bool:
    """Whether any prompt could be longer than the default limit is at least."""
    documents = sum(part.tokens for part in costs.whole) + sum(costs.turns)
    long = bool(costs.uncounted) or costs.framing + documents > LEAST_TOKENS
    return long and windows.largest - costs.max_new_tokens > LEAST_TOKENS
