from .backend import GREEDY, Backend
from .context import Prompt
from .extractive import extract_answer
from .generate import AnswerStream, FinishedAnswer, GeneratedAnswer
from .mapped_answer import answer_with_model

__all__ = [
    "GREEDY",
    "AnswerStream",
    "Backend",
    "FinishedAnswer",
    "GeneratedAnswer",
    "Prompt",
    "answer_with_model",
    "extract_answer",
]
