from .conversation import Conversation, request_with_history
from .folder import ConversationFolder, ConversationInfo, NoConversation
from .session_file import answer_from

__all__ = [
    "Conversation",
    "ConversationFolder",
    "ConversationInfo",
    "NoConversation",
    "answer_from",
    "request_with_history",
]
