from .control_tokens import Escaper, control_tokens
from .echo import PromptEcho
from .list_texts import ItemKind, ReadingTask, asking_which, confirming_tasks, items_task, listing, says_yes, yes_odds
from .map_texts import condense_task, final_task, for_everything, merge_task, nothing_found, says_nothing
from .parts import FENCE, STAND_IN, Framing, PromptInputs, PromptWriter, as_messages, assemble, opening_line, said_by
from .templates import TEMPLATES, PromptTemplate, check_turns, choose_template
from .thinking import ThoughtSplitter, without_thoughts
from .thinking_switches import thought_tag
from .thinking_tags import closing_of, delimiters, opened_in
from .wording import is_refusal, is_unanswerable, language_of, prompt_texts
from .writer import Frame, TokenIds, TokenWriter, build_prompt

__all__ = [
    "FENCE",
    "STAND_IN",
    "TEMPLATES",
    "Escaper",
    "Frame",
    "Framing",
    "ItemKind",
    "PromptEcho",
    "PromptInputs",
    "PromptTemplate",
    "PromptWriter",
    "ReadingTask",
    "ThoughtSplitter",
    "TokenIds",
    "TokenWriter",
    "as_messages",
    "asking_which",
    "assemble",
    "build_prompt",
    "check_turns",
    "choose_template",
    "closing_of",
    "condense_task",
    "confirming_tasks",
    "control_tokens",
    "delimiters",
    "final_task",
    "for_everything",
    "is_refusal",
    "is_unanswerable",
    "items_task",
    "language_of",
    "listing",
    "merge_task",
    "nothing_found",
    "opened_in",
    "opening_line",
    "prompt_texts",
    "said_by",
    "says_nothing",
    "says_yes",
    "thought_tag",
    "without_thoughts",
    "yes_odds",
]
