from .collection import Collection
from .publish import PublishReport, publish
from .retriever import MilvusRetriever

__all__ = [
    "Collection",
    "MilvusRetriever",
    "PublishReport",
    "publish",
]
