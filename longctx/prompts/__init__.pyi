from .control_tokens import Escaper
from .map_texts import ReadingTask, condense_task, final_task, for_everything, merge_task, nothing_found, says_nothing
from .templates import TEMPLATES, PromptTemplate, check_turns, choose_template
from .wording import is_refusal, is_unanswerable, language_of, prompt_texts
from .writer import (
    FENCE,
    STAND_IN,
    Frame,
    Framing,
    PromptInputs,
    PromptWriter,
    TokenIds,
    TokenWriter,
    as_messages,
    assemble,
    build_prompt,
    opening_line,
)

__all__ = [
    "FENCE",
    "STAND_IN",
    "TEMPLATES",
    "Escaper",
    "Frame",
    "Framing",
    "PromptInputs",
    "PromptTemplate",
    "PromptWriter",
    "ReadingTask",
    "TokenIds",
    "TokenWriter",
    "as_messages",
    "assemble",
    "build_prompt",
    "check_turns",
    "choose_template",
    "condense_task",
    "final_task",
    "for_everything",
    "is_refusal",
    "is_unanswerable",
    "language_of",
    "merge_task",
    "nothing_found",
    "opening_line",
    "prompt_texts",
    "says_nothing",
]
