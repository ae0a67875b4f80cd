from .chunker import DEFAULT_CHUNKING, Chunking, Passage, chunk_document, embedded_text

__all__ = [
    "DEFAULT_CHUNKING",
    "Chunking",
    "Passage",
    "chunk_document",
    "embedded_text",
]
