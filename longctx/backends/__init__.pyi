from .local import backend_for, open_model
from .openai import ServedModel

__all__ = [
    "ServedModel",
    "backend_for",
    "open_model",
]
