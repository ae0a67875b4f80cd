from .analyzer import ANALYSIS_VERSION, query_terms, telling_words, terms
from .language import folded, script_language, serves
from .sentences import cut_places, sentence_spans

__all__ = [
    "ANALYSIS_VERSION",
    "cut_places",
    "folded",
    "query_terms",
    "script_language",
    "sentence_spans",
    "serves",
    "telling_words",
    "terms",
]
