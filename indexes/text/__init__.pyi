from .analyzer import (
    ANALYSIS_VERSION,
    MOST_PATTERNS,
    content_terms,
    content_words,
    inflected_terms,
    is_gram,
    phrase_terms,
    query_patterns,
    query_terms,
    quoted_phrases,
    surface_terms,
    terms,
    topic_words,
)
from .codes import Code, NumberedThing, codes, numbered_things
from .japanese_eras import ERAS
from .kanji_numerals import KANJI_DIGITS, in_kanji, with_units
from .language import LANGUAGE_NAMES, LANGUAGES, folded, query_language, script_language, serves, text_language
from .normalisation import MARKS, CleanText, clean, is_unicode, join_hyphens, on_one_line
from .numbered_parts import NumberedPart, numbered_parts
from .readability import is_readable
from .sentences import SENTENCE_ENDS, cut_places, ends_sentence, row_spans, sentence_spans

__all__ = [
    "ANALYSIS_VERSION",
    "ERAS",
    "KANJI_DIGITS",
    "LANGUAGES",
    "LANGUAGE_NAMES",
    "MARKS",
    "MOST_PATTERNS",
    "SENTENCE_ENDS",
    "CleanText",
    "Code",
    "NumberedPart",
    "NumberedThing",
    "clean",
    "codes",
    "content_terms",
    "content_words",
    "cut_places",
    "ends_sentence",
    "folded",
    "in_kanji",
    "inflected_terms",
    "is_gram",
    "is_readable",
    "is_unicode",
    "join_hyphens",
    "numbered_parts",
    "numbered_things",
    "on_one_line",
    "phrase_terms",
    "query_language",
    "query_patterns",
    "query_terms",
    "quoted_phrases",
    "row_spans",
    "script_language",
    "sentence_spans",
    "serves",
    "surface_terms",
    "terms",
    "text_language",
    "topic_words",
    "with_units",
]
