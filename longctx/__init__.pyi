from .answering import AnswerStream
from .async_qa import AsyncAnswerStream, AsyncDocumentQA
from .backends import ServedModel
from .conversation import Conversation
from .engine import Engine, Generation, GenerationOptions, PrefillProgress, Prefix
from .errors import (
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
from .gguf import GgufEngine
from .llama_index import LongContextLLM
from .models import LoadedModel, Measured, Measurements, load_model
from .planning import Policy
from .probe import ProbeOptions, ProbeProgress, ProbeReport, load_report, run_probe
from .prompts import PromptTemplate
from .qa import DocumentQA
from .reasons import Reason
from .training import TrainingOptions, TrainingStep, fine_tune
from .types import (
    Answer,
    AskOptions,
    BudgetItem,
    Citation,
    Message,
    Plan,
    QuestionRequest,
    SamplingOptions,
    Thought,
    Turn,
    Usage,
)

__all__ = [
    "Answer",
    "AnswerStream",
    "AskOptions",
    "AsyncAnswerStream",
    "AsyncDocumentQA",
    "BadReport",
    "BadRequest",
    "BadSession",
    "BudgetItem",
    "Citation",
    "ContextTooLong",
    "Conversation",
    "DocumentQA",
    "Engine",
    "Generation",
    "GenerationOptions",
    "GgufEngine",
    "LoadedModel",
    "LongContextLLM",
    "LongctxError",
    "Measured",
    "Measurements",
    "Message",
    "ModelUnavailable",
    "NotEnoughMemory",
    "Plan",
    "Policy",
    "PrefillProgress",
    "Prefix",
    "ProbeOptions",
    "ProbeProgress",
    "ProbeReport",
    "PromptRefused",
    "PromptTemplate",
    "QuestionRequest",
    "Reason",
    "SamplingOptions",
    "ServedModel",
    "ServerFailed",
    "Thought",
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

__version__: str
