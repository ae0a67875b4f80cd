from .backend import GREEDY, Backend
from .context import Prompt
from .extractive import extract_answer
from .generate import AnswerStream, FinishedAnswer, GeneratedAnswer
from .map_reduce import answer_with_model
from .recent_prompts import RecentPrompts
from .source import Source, check_found, check_source

__all__ = [
    "GREEDY",
    "AnswerStream",
    "Backend",
    "FinishedAnswer",
    "GeneratedAnswer",
    "Prompt",
    "RecentPrompts",
    "Source",
    "answer_with_model",
    "check_found",
    "check_source",
    "extract_answer",
]
