from .filters import SearchFilter, allowed_chunks, allowed_documents, each_name, named_as_allowed
from .fusion import score_fusion
from .hybrid import CANDIDATES, Ranking, SearchRequest, rank_chunks, search
from .retrieval import Retrieval

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
