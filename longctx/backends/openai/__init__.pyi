from .address import is_loopback
from .messages import CountedText, MessageFrame, MessageWriter
from .model import ServedModel

__all__ = [
    "CountedText",
    "MessageFrame",
    "MessageWriter",
    "ServedModel",
    "is_loopback",
]
