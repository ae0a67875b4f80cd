from .analyzer import ANALYSIS_VERSION, content_terms, content_words, query_terms, terms
from .language import folded, script_language, serves
from .normalisation import CleanText, clean, join_hyphens
from .readability import is_readable
from .sentences import cut_places, row_spans, sentence_spans

__all__ = [
    "ANALYSIS_VERSION",
    "CleanText",
    "clean",
    "content_terms",
    "content_words",
    "cut_places",
    "folded",
    "is_readable",
    "join_hyphens",
    "query_terms",
    "row_spans",
    "script_language",
    "sentence_spans",
    "serves",
    "terms",
]
