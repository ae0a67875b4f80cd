from .filters import SearchFilter, allowed_documents
from .fusion import score_fusion
from .hybrid import POOL, Ranking, Retrieval, SearchRequest, ranked, search

__all__ = [
    "POOL",
    "Ranking",
    "Retrieval",
    "SearchFilter",
    "SearchRequest",
    "allowed_documents",
    "ranked",
    "score_fusion",
    "search",
]
