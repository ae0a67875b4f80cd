"""Words of alphabetic scripts: stems and function words by language, and the parts of identifiers in code."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any

# Snowball's stemmers, as tantivy has them. What is written in another language is not stemmed.
_STEMMERS = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
}
# Words in other alphabets than their sentence's are English ones, mostly, and so are texts too short to tell (und).
_WITHIN = {"ja": "en", "ko": "en", "zh": "en", "und": "en"}
_LISTED = frozenset(re.findall(r"\w+", "da de es fi fr hu it nl no pt ru sv"))  # and tantivy has stop words of them

# What sentences and questions are built with.
_ENGLISH = frozenset(
    re.findall(
        r"\S+",
        """
        a about above after again all also am an and any anyone anything are as at back be been before being below both
        but by can could did do does doing don't down during each else ever every few for former from further get give
        go got had has have having he her here hers him his how i if in into is it it's its just latter like many may me
        mean more most much must my no nor not now of off on once one ones only or other our out over own please same
        say shall she should show so some something still such tell than that that's the their theirs them then there
        these they thing things this those through to too under until up us very was we were what what's when where
        which while who who's whom whose why will with would you your
        """,
    )
)
# Question words that Snowball's lists lack, and pronouns, which these have in few of their forms.
_ASKING_LISTS = """
    da: hvad hvem hvilken hvilket hvilke hvornår hvorfor hvordan hvor mange
    de: wann wer wem wen wessen wie wieso weshalb warum welcher woher wohin viel viele hoch lange oft weit darf darfst
        dürfen dürft kannst könnt möchte möchten muß müsst gibt
    es: cuanto cuanta cuantos cuantas cual cuales quien quienes cuando como donde adonde
    fr: quel quelle quels quelles quand comment combien pourquoi où qui quoi lequel laquelle
    it: quale quali quando quanto quanta quanti quante perché dove chi come
    nl: wie welke welk wanneer waarom waar hoe hoeveel wat
    no: hva hvem hvilken hvilket hvilke når hvorfor hvordan hvor mange
    pt: qual quais quando quanto quanta quantos quantas quem onde porque como
    ru: какой какая какое какие какого какому каким какою каких какими какую каком каков какова каково каковы
        который которая которое которые которого которому которым которою которой которых которыми которую котором
        кто кого кому кем ком что чего чему чем чём такой такая такое такие такого такому таким такою таких такими
        такую таком этот эта это эти этого этой этому этим этою этих этими эту этом тот та то те того той тому тем
        тою тех теми ту том весь вся всё все всего всей всему всем всею всех всеми всю сам сама само сами самого
        самой самому самим самих самими самом самый самая самое самые свой своя своё свои своего своей своему своим
        своих своими свою своём себе себя собой чей чья чьё чьи чьего чьей чьих сколько скольких почему зачем отчего
        откуда куда где когда как назови назовите называется называются назывался называлась называлось назывались
        является являются являлся являлась являлось являлись можно может могут
    sv: vad vem vilken vilket vilka när varför hur var många
"""
_ASKING = {
    language: frozenset(words.split())
    for language, words in re.findall(r"(\w\w):([^:]*)(?=\n *\w\w:|\Z)", _ASKING_LISTS)
}

_COMPOUND = re.compile(r"[^\W_]+(?:_+[^\W_]+)+")  # snake_case
_HUMP = re.compile(r"[A-Z](?:(?<=[a-z0-9][A-Z])|[A-Z][a-z])")  # found ten times as fast by its capital
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SHORTEST_PART = 2
_IDENTIFIER = re.compile(r"[A-Za-z0-9]+")
_DOTTED = re.compile(r"(?<![^\W_])(?:[^\W\d_]\.){2,}(?:[^\W\d_](?![^\W_]))?")  # U.S., U.S.A
_LETTER_BETWEEN_STOPS = re.compile(r"\.[^\W\d_]\.")  # is found fifty times as fast, and most texts have none
_CAPITALS = re.compile(r"[A-Z](?<![^\W_]{2})[A-Z]+(?![^\W_])")  # to look back behind a capital is twice as fast


def stems(words: Iterable[str], language: str) -> list[str]:
    """Stem words.

    Args:
        words: The words, case-folded, without white space.
        language: The language of the text that they are in.

    Returns:
        The stem of each.
    """
    language = _WITHIN.get(language, language)
    return [_stem(word, language) for word in words]


@lru_cache(maxsize=65_536)
def _stem(word: str, language: str) -> str:
    found: list[str] = _analyzer(language).analyze(word)
    [stem] = found
    return stem if len(stem) > 1 else word  # a letter alone is no stem: AED would be an article


def telling_words(words: Sequence[str], language: str) -> list[str]:
    """Leave out function words and question words.

    Args:
        words: The words, case-folded.
        language: The language of the text that they are in.

    Returns:
        The other words, in order.
    """
    language = _WITHIN.get(language, language)
    if language == "en":
        return [word for word in words if word not in _ENGLISH]
    asking = _ASKING.get(language, frozenset())
    return [word for word in words if not (word in asking or _unaccented(word) in asking or _is_listed(word, language))]


def identifiers(text: str) -> list[str]:
    """Find the further words of identifiers: maxposition of `max_position`, max and position of `maxPosition`.

    Args:
        text: The text, in its own case.

    Returns:
        The whole of each identifier in snake_case, and the parts of those in camelCase.
    """
    found = [each.replace("_", "") for each in _COMPOUND.findall(text)] if "_" in text else []
    if _HUMP.search(text):
        humped = (word for word in _IDENTIFIER.findall(text) if _HUMP.search(word))
        found += (part for word in humped for part in _PARTS.findall(word) if len(part) >= _SHORTEST_PART)
    return found


def abbreviations(text: str) -> list[str]:
    """Find the further words of abbreviations: un of U.N., and US of U.S. and of US.

    Args:
        text: The text, in its own case.

    Returns:
        Each abbreviation with full stops, without them; case-folded unless it then is an English function word. Of
        those without full stops the ones that are such a word, if not all of the text is in capitals.
    """
    dotted = _DOTTED.findall(text) if _LETTER_BETWEEN_STOPS.search(text) else []
    found = [each.replace(".", "") for each in dotted]
    capitals = [] if text.isupper() and len(text.split()) > 1 else filter(_is_built_with, _CAPITALS.findall(text))
    return [each.upper() if _is_built_with(each) else each.casefold() for each in [*found, *capitals]]


def _is_built_with(word: str) -> bool:
    return word.casefold() in _ENGLISH


def _unaccented(word: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFD", word) if not unicodedata.combining(each))


@cache
def _is_listed(word: str, language: str) -> bool:
    return language in _LISTED and not _stop_words(language).analyze(word)


@cache
def _analyzer(language: str) -> Any:
    from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

    builder = TextAnalyzerBuilder(Tokenizer.whitespace())
    if language in _STEMMERS:
        # Some forms of a word are left an ending longer than others: иммунодефицитом becomes иммунодефицит, and that
        # иммунодефиц. Stemmed twice, they meet. English, whose stemmer needs none of it, is ranked the same with it.
        for _ in range(1 if language == "en" else 2):
            builder = builder.filter(Filter.stemmer(_STEMMERS[language]))
    return builder.build()


@cache
def _stop_words(language: str) -> Any:
    from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

    return TextAnalyzerBuilder(Tokenizer.whitespace()).filter(Filter.stopword(_STEMMERS[language])).build()
