from .budget import DEFAULT_SECONDS, LEAST_TOKENS, MEASURED_TOKENS, PromptBudget, ReadingSpeed, priced
from .inputs import FoundPassage, PassageCost, Policy, PromptCosts, Windows
from .planner import plan

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
    "Windows",
    "plan",
    "priced",
]
