from .local import backend_for, check_loading, open_model
from .openai import ServedModel

__all__ = [
    "ServedModel",
    "backend_for",
    "check_loading",
    "open_model",
]
