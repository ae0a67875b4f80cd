from .embedding import CorpusEmbedding, in_thread
from .nodes import chunk_node
from .retriever import CorpusRetriever
from .source import RetrieverSource
from .vector_store import CorpusVectorStore

__all__ = [
    "CorpusEmbedding",
    "CorpusRetriever",
    "CorpusVectorStore",
    "RetrieverSource",
    "chunk_node",
    "in_thread",
]
