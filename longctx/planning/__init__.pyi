from .inputs import FoundPassage, PassageCost, Policy, PromptCosts, Windows
from .planner import plan
from .question_kind import question_kind

__all__ = [
    "FoundPassage",
    "PassageCost",
    "Policy",
    "PromptCosts",
    "Windows",
    "plan",
    "question_kind",
]
