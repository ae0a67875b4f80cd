from .control_tokens import Escaper
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
    "TokenIds",
    "TokenWriter",
    "as_messages",
    "assemble",
    "build_prompt",
    "check_turns",
    "choose_template",
    "is_refusal",
    "is_unanswerable",
    "language_of",
    "opening_line",
    "prompt_texts",
]
