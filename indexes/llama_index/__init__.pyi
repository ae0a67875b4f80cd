from .embedding import CorpusEmbedding
from .retriever import CorpusRetriever
from .source import RetrieverSource
from .vector_store import CorpusVectorStore

__all__ = [
    "CorpusEmbedding",
    "CorpusRetriever",
    "CorpusVectorStore",
    "RetrieverSource",
]
