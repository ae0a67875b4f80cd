"""Ask questions of documents and conversations that are longer than a model's window.

>>> from longctx import DocumentQA
>>> qa = DocumentQA.open("my-index")

Names are loaded when they are first used, so that `import longctx` and `longctx --help` stay quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from longctx.version import __version__ as __version__

if TYPE_CHECKING:
    from longctx.budget import Policy
    from longctx.conversation import Conversation
    from longctx.engine import Engine, Prefix
    from longctx.errors import (
        BadReport,
        BadRequest,
        BadSession,
        ContextTooLong,
        LongctxError,
        ModelUnavailable,
        NotEnoughMemory,
        PromptRefused,
        ServerFailed,
        TrainingError,
    )
    from longctx.generation import Generation
    from longctx.llama_index_llm import LongContextLLM
    from longctx.models import LoadedModel, load_model
    from longctx.probe.options import ProbeOptions
    from longctx.probe.report import ProbeReport, load_report
    from longctx.probe.running import ProbeProgress, run_probe
    from longctx.qa import AnswerStream, DocumentQA
    from longctx.remote.model import ServedModel
    from longctx.requests import Progress
    from longctx.sampling import GenerationOptions
    from longctx.templates import PromptTemplate
    from longctx.training import TrainingOptions, TrainingStep, fine_tune
    from longctx.types import Answer, Citation, Message, Plan, Share, Turn, Usage
    from longctx.windows import Measured

__all__ = [
    "Answer",
    "AnswerStream",
    "BadReport",
    "BadRequest",
    "BadSession",
    "Citation",
    "ContextTooLong",
    "Conversation",
    "DocumentQA",
    "Engine",
    "Generation",
    "GenerationOptions",
    "LoadedModel",
    "LongContextLLM",
    "LongctxError",
    "Measured",
    "Message",
    "ModelUnavailable",
    "NotEnoughMemory",
    "Plan",
    "Policy",
    "Prefix",
    "ProbeOptions",
    "ProbeProgress",
    "ProbeReport",
    "Progress",
    "PromptRefused",
    "PromptTemplate",
    "ServedModel",
    "ServerFailed",
    "Share",
    "TrainingError",
    "TrainingOptions",
    "TrainingStep",
    "Turn",
    "Usage",
    "fine_tune",
    "load_model",
    "load_report",
    "run_probe",
]

_MODULES = {
    "longctx.conversation": ("Conversation",),
    "longctx.engine": ("Engine", "Prefix"),
    "longctx.errors": (
        "BadReport",
        "BadRequest",
        "BadSession",
        "ContextTooLong",
        "LongctxError",
        "ModelUnavailable",
        "NotEnoughMemory",
        "PromptRefused",
        "ServerFailed",
        "TrainingError",
    ),
    "longctx.generation": ("Generation",),
    "longctx.llama_index_llm": ("LongContextLLM",),
    "longctx.models": ("LoadedModel", "load_model"),
    "longctx.budget": ("Policy",),
    "longctx.probe.options": ("ProbeOptions",),
    "longctx.probe.report": ("ProbeReport", "load_report"),
    "longctx.probe.running": ("ProbeProgress", "run_probe"),
    "longctx.qa": ("AnswerStream", "DocumentQA"),
    "longctx.remote.model": ("ServedModel",),
    "longctx.requests": ("Progress",),
    "longctx.sampling": ("GenerationOptions",),
    "longctx.templates": ("PromptTemplate",),
    "longctx.windows": ("Measured",),
    "longctx.types": ("Answer", "Citation", "Message", "Plan", "Share", "Turn", "Usage"),
    "longctx.training": ("TrainingOptions", "TrainingStep", "fine_tune"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'longctx' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
