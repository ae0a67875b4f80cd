from .conversation import Conversation

__all__ = [
    "Conversation",
]
