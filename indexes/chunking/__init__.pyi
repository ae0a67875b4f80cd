from .chunker import Passage, chunk_document, embedded_text
from .chunking import DEFAULT_CHUNKING, Chunking

__all__ = [
    "DEFAULT_CHUNKING",
    "Chunking",
    "Passage",
    "chunk_document",
    "embedded_text",
]
