from .context import Prompt, Scope, gather, plan_prompt
from .extractive import extract
from .generate import Backend, Prepared, Spoken, speak

__all__ = [
    "Backend",
    "Prepared",
    "Prompt",
    "Scope",
    "Spoken",
    "extract",
    "gather",
    "plan_prompt",
    "speak",
]
