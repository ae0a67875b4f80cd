from .local import backend_for, check_loading, open_model
from .openai import ServedModel, is_loopback

__all__ = [
    "ServedModel",
    "backend_for",
    "check_loading",
    "is_loopback",
    "open_model",
]
