from .embedding import CorpusEmbedding
from .retriever import CorpusRetriever
from .vector_store import CorpusVectorStore

__all__ = [
    "CorpusEmbedding",
    "CorpusRetriever",
    "CorpusVectorStore",
]
