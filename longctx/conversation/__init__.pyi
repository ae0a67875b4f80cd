from .conversation import Conversation, request_with_history
from .folder import ConversationFolder, ConversationInfo

__all__ = [
    "Conversation",
    "ConversationFolder",
    "ConversationInfo",
    "request_with_history",
]
