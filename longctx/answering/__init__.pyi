from .backend import Backend
from .context import Prompt
from .extractive import extract_answer
from .generate import AnswerStream, FinishedAnswer, GeneratedAnswer

__all__ = [
    "AnswerStream",
    "Backend",
    "FinishedAnswer",
    "GeneratedAnswer",
    "Prompt",
    "extract_answer",
]
