from .messages import CountedText, MessageFrame, MessageWriter
from .model import ServedModel

__all__ = [
    "CountedText",
    "MessageFrame",
    "MessageWriter",
    "ServedModel",
]
