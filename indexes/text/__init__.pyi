from .analyzer import (
    ANALYSIS_VERSION,
    content_terms,
    content_words,
    phrase_terms,
    query_patterns,
    query_terms,
    quoted_phrases,
    terms,
)
from .language import LANGUAGE_NAMES, LANGUAGES, folded, query_language, script_language, serves, text_language
from .sentences import cut_places, sentence_spans

__all__ = [
    "ANALYSIS_VERSION",
    "LANGUAGES",
    "LANGUAGE_NAMES",
    "content_terms",
    "content_words",
    "cut_places",
    "folded",
    "phrase_terms",
    "query_language",
    "query_patterns",
    "query_terms",
    "quoted_phrases",
    "script_language",
    "sentence_spans",
    "serves",
    "terms",
    "text_language",
]
