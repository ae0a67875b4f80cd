from .conversation import Conversation, request_with_history
from .folder import ConversationFolder, ConversationInfo, NoConversation

__all__ = [
    "Conversation",
    "ConversationFolder",
    "ConversationInfo",
    "NoConversation",
    "request_with_history",
]
