from .budget import DEFAULT_SECONDS, LEAST_TOKENS, MEASURED_TOKENS, PromptBudget, ReadingSpeed, priced
from .inputs import FoundPassage, PassageCost, Policy, PromptCosts, Windows
from .planner import plan
from .question_kind import (
    StatedCount,
    asks_for_extreme,
    asks_for_order,
    extremes_asked_for,
    question_kind,
    stated_count,
)

__all__ = [
    "DEFAULT_SECONDS",
    "LEAST_TOKENS",
    "MEASURED_TOKENS",
    "FoundPassage",
    "PassageCost",
    "Policy",
    "PromptBudget",
    "PromptCosts",
    "ReadingSpeed",
    "StatedCount",
    "Windows",
    "asks_for_extreme",
    "asks_for_order",
    "extremes_asked_for",
    "plan",
    "priced",
    "question_kind",
    "stated_count",
]
