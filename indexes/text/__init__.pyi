from .analyzer import ANALYSIS_VERSION, content_terms, content_words, query_patterns, query_terms, terms
from .language import LANGUAGES, folded, query_language, script_language, serves, text_language
from .sentences import cut_places, sentence_spans

__all__ = [
    "ANALYSIS_VERSION",
    "LANGUAGES",
    "content_terms",
    "content_words",
    "cut_places",
    "folded",
    "query_language",
    "query_patterns",
    "query_terms",
    "script_language",
    "sentence_spans",
    "serves",
    "terms",
    "text_language",
]
