from .inputs import FoundPassage, PassageCost, Policy, PromptCosts, Windows
from .planner import plan
from .question_kind import asks_for_order, question_kind

__all__ = [
    "FoundPassage",
    "PassageCost",
    "Policy",
    "PromptCosts",
    "Windows",
    "asks_for_order",
    "plan",
    "question_kind",
]
