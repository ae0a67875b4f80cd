from .chunker import DEFAULT_CHUNKING, Chunking, Passage, chunk_document

__all__ = [
    "DEFAULT_CHUNKING",
    "Chunking",
    "Passage",
    "chunk_document",
]
