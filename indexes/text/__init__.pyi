from .analyzer import ANALYSIS_VERSION, content_terms, content_words, query_terms, terms
from .language import folded, script_language, serves
from .readability import is_readable
from .sentences import cut_places, sentence_spans

__all__ = [
    "ANALYSIS_VERSION",
    "content_terms",
    "content_words",
    "cut_places",
    "folded",
    "is_readable",
    "query_terms",
    "script_language",
    "sentence_spans",
    "serves",
    "terms",
]
