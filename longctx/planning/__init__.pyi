from .inputs import FoundPassage, PassageCost, Policy, PromptCosts, Windows
from .planner import plan

__all__ = [
    "FoundPassage",
    "PassageCost",
    "Policy",
    "PromptCosts",
    "Windows",
    "plan",
]
