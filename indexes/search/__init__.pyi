from .filters import SearchFilter, allowed_chunks, allowed_documents, each_name, named_as_allowed
from .fusion import score_fusion
from .hybrid import CANDIDATES, Ranking, Retrieval, SearchRequest, rank_chunks, search

__all__ = [
    "CANDIDATES",
    "Ranking",
    "Retrieval",
    "SearchFilter",
    "SearchRequest",
    "allowed_chunks",
    "allowed_documents",
    "each_name",
    "named_as_allowed",
    "rank_chunks",
    "score_fusion",
    "search",
]
