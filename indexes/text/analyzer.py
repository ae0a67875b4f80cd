"""Text analysis: the terms of documents and queries for lexical search.

Latin and other alphabets: words, case-folded, stemmed in the language of their text and without accents, and their
beginnings, which are marked. Japanese and Chinese: Sudachi's shortest morphemes (mode A), and marked character bigrams.
Korean, and scripts without spaces such as Thai: bigrams.

The figures below are recall@1 and recall@5 on the 4,442 questions of JSQuAD, on which the choices were made; for how,
and for the limits of that, see benchmarks/results/2026-11-23-retrieval.md.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache
from typing import NamedTuple

from indexes.text.chinese import without_chinese_question_words
from indexes.text.codes import codes
from indexes.text.japanese import asked_noun, is_content, is_inflected, is_telling, morphemes, topic_noun
from indexes.text.kanji import common_forms
from indexes.text.korean import telling_stem
from indexes.text.language import script_language
from indexes.text.normalisation import MARKS, clean, nfkc
from indexes.text.numbered_parts import other_numerals
from indexes.text.words import abbreviations, identifiers, stems, telling_words

# Raise it when the terms of a text change: an index that was built with another version is built again.
ANALYSIS_VERSION = 9

# Escapes, not characters: U+F900 looks just like U+8C48.
_KANA_OR_HAN = r"\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_HANGUL = r"\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
# Thai, Lao, Burmese and Khmer have no spaces between words. Recall@1 and recall@5 of 330 titles of Khmer pages:
# .245/.718, with trigrams .194/.712, and .155/.576 as words.
_SPACELESS = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_CJK_RUN = re.compile(f"[{_KANA_OR_HAN}]+")
_SYLLABLE_RUN = re.compile(f"[{_HANGUL}]+|[{_SPACELESS}]+")
_LETTERS = rf"[^\W_{_KANA_OR_HAN}{_HANGUL}{_SPACELESS}]"
_WORD = re.compile(rf"{_LETTERS}+(?:[{MARKS}]+{_LETTERS}*)*")
_ASCII_WORD = re.compile("[a-z0-9]+")  # the same in case-folded ASCII, three times as fast
# Japanese lines are broken inside words, too, in PDFs above all. A short line is more likely a heading.
_WRAPPED = re.compile(rf"(?<=[^\n]{{12}})(?<=[{_KANA_OR_HAN}])\r?\n(?=[{_KANA_OR_HAN}])")
_RUN = re.compile(f"(?P<cjk>{_CJK_RUN.pattern})|(?P<syllables>{_SYLLABLE_RUN.pattern})|{_WORD.pattern}")
_ACCENTED = re.compile("[\u00df-\u024f\u1e00-\u1eff]")
# What is seldom typed: accents that no letter contains, points of Hebrew, Arabic vowels and the stroke that stretches
_ACCENT = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed]+"
)
_ARABIC_FORMS = str.maketrans("أإآٱىیک", "ااااييك")  # Persian and Arabic letters for the same, as keyboards have them
_WITHOUT_STROKE = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}
_VARIATION = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # selects a glyph of the character before it
_QUOTED = re.compile('["“”„]([^"“”„]{2,})["“”]')
_PREFIX = re.compile(rf"(?<![^\W_])({_WORD.pattern})\*")
_INFLECTED = re.compile(r"[\u3400-\u9fff][\u3040-\u309f]{1,3}")  # 休み, 働く, with a particle behind it at most
_KANA = re.compile(r"[\u3040-\u30ff]")
_LONGEST_TERM = 64  # characters; nobody searches for a longer word
_BIGRAM = "_"  # marks a bigram, so that it can have a smaller weight than a word with the same spelling
# In Japanese a bigram is less specific than a morpheme, but finds words that the dictionary segments wrongly:
# .9194/.9725, against .9133/.9685 with equal weights and .9012/.9710 without bigrams; .2 to .4 are alike. Text without
# kana may be Chinese, which the Japanese dictionary does not segment well: there the weights are equal.
_BIGRAM_WEIGHT = 0.3
# Of Japanese, those that hold a letter of a function word (雨の) tell less of what is asked than others, and the noun
# that a question asks for (名称 in ラオスの正式名称は) is often not where the answer is: hybrid search has .9311/.9782
# with these weights, and .9318/.9764 where all bigrams and all words weigh the same.
_FUNCTION_BIGRAM_WEIGHT, _ASKED_WEIGHT = 0.25, 0.6
# Beside its stem a word has the beginning that its forms have in common, marked; where the alphabet is not the Latin
# one, all its 4-grams, which together weigh as much as the stem. Recall@1 and recall@5 on XQuAD: Russian .9420/.9924 by
# 4-grams and .9370/.9891 by beginnings; English .9555/.9975 and .9630/.9983 (hybrid), Spanish alike. They are four
# times as many terms.
_MARK, _BEGINNING_LENGTH, _BEGINNING_WEIGHT = "-", 5, 0.5
_GRAM_LENGTH = 4
_LATIN = re.compile("[A-Za-z\u00df-\u024f\u1e00-\u1eff]")
# Of a colour or a shape as an adjective the noun, by which texts name it as well: 青い扉, 青の扉; 黄色い has its bigram
_NOUNS = {f"{noun}い": noun for noun in "青赤白黒丸"}
_CODE_WEIGHT = 0.5  # of 17 for E17, which is in E-17
MOST_PATTERNS = 64  # of a query: each is compared with every term of an index


def terms(text: str, language: str = "en") -> list[str]:
    """Return the lexical terms of a text.

    Args:
        text: The text.
        language: The language to stem its words in.

    Returns:
        The terms, each as often as it occurs, in no particular order.
    """
    runs = _runs_of(text)
    return [
        *(morpheme.normalized_form() for morpheme in morphemes(runs.cjk)),
        *_cjk_bigrams(runs),
        *_syllable_bigrams(runs),
        *_stems(runs.words, language),
        *(part for word in runs.words for part in _parts(word)),
    ]


def surface_terms(text: str, language: str = "en") -> set[str]:
    """Return those terms of a text that are quick to make: its stems, and the bigrams of scripts without spaces.

    Args:
        text: The text.
        language: The language to stem its words in.

    Returns:
        The distinct terms.
    """
    runs = _runs_of(text)
    return {*_cjk_bigrams(runs), *_syllable_bigrams(runs), *_stems(runs.words, language)}


def query_terms(text: str, language: str = "en", own: str | None = None) -> dict[str, float]:
    """Return the terms to search for.

    Args:
        text: The query.
        language: The language of the passages to compare it with.
        own: The language of the query, if it is another: its function words tell nothing there, either.

    Returns:
        The distinct terms with their weights: how often a word of an alphabet occurs, 1 for another, less for a bigram,
        a beginning, and another spelling of a code. Function words and question words are among them only if there is
        nothing else.
    """
    runs = _runs_of(text)
    found, syllables = [*morphemes(runs.cjk)], _syllable_bigrams(runs)
    words = telling_words(runs.words, language)
    words = words if own in (None, language) else telling_words(words, own)
    tells = is_telling if words else is_content  # beside AED or E-23, どこにありますか says nothing
    content = [morpheme.normalized_form() for morpheme in found if tells(morpheme)]
    bigrams = _bigram_weights(runs, "".join(each.surface() if tells(each) else " " for each in found))
    if words and not _is_chinese(runs):
        bigrams = {bigram: weight for bigram, weight in bigrams.items() if weight == _BIGRAM_WEIGHT}
    if not (content or words or syllables):
        content, words = [morpheme.normalized_form() for morpheme in found], runs.words
        bigrams = dict.fromkeys(_cjk_bigrams(runs), _BIGRAM_WEIGHT)
    wanted = dict.fromkeys(content, 1.0) | bigrams | dict.fromkeys(syllables, 1.0)
    asked = asked_noun(found)
    name = "".join(part.surface() for part in asked)
    for term in {*(part.normalized_form() for part in asked), *(_BIGRAM + bigram for bigram in _bigrams(name))}:
        if term in wanted:
            wanted[term] *= _ASKED_WEIGHT
    wanted |= {_NOUNS[term]: wanted[term] for term in content if term in _NOUNS and _NOUNS[term] not in wanted}
    wanted |= {stem: float(count) for stem, count in Counter(_stems(words, language)).items()}
    of_codes: dict[str, float] = {}
    for code in (each for each in codes(text) if len(each.digits) > 1):
        weights = [wanted.get(part, of_codes.get(part, 0.0)) for part in (code.letters, code.digits)]
        of_codes.setdefault(code.term, max(sum(weights), _CODE_WEIGHT))  # of E-17, which E17 is, too
        of_codes.setdefault(code.digits, _CODE_WEIGHT)
        if len(code.letters) > 1:  # HN-100 is two words
            of_codes.setdefault(code.letters, _CODE_WEIGHT)
    wanted = of_codes | wanted
    for word in words:
        pieces = _parts(word)
        for piece in pieces:
            wanted[piece] = wanted.get(piece, 0.0) + (1 / len(pieces) if is_gram(piece) else _BEGINNING_WEIGHT)
    return wanted | dict.fromkeys(_other_spellings(text) - wanted.keys(), _CODE_WEIGHT)


def _other_spellings(text: str) -> set[str]:
    """The terms of other spellings of numbers: 12,000 for 12000, 第十二条 for 第12条, and the other way round."""
    runs = _runs_of(" ".join(other_numerals(text)))
    return {*runs.words, *(bigram for bigram in _cjk_bigrams(runs) if len(bigram) > len(_BIGRAM) + 1)}


def query_patterns(text: str, most: int | None = MOST_PATTERNS) -> list[str]:
    """Return regular expressions of terms that a query asks for beside its own.

    Args:
        text: The query.
        most: The first so many; None for all.

    Returns:
        Distinct. For a kanji or kana that stands alone, the bigrams that contain it: 水 is in 水道. If there is one
        word, a kanji with an ending counts as alone: 休み asks for 休暇, too. For `light*`, the words that begin so.
    """
    normal = _normal(text)
    runs = _CJK_RUN.findall(normal)
    alone = [run[0] for run in runs if len(run) == 1 or (len(runs) == 1 and _INFLECTED.fullmatch(run))]
    begun = [match.group(1) for match in _PREFIX.finditer(normal)]
    patterns = [f"{_BIGRAM}.?{run}.?" for run in alone] + [f"{each}.*" for each in begun]
    return list(dict.fromkeys(patterns))[:most]


def quoted_phrases(text: str) -> list[str]:
    """Return the phrases in double quotation marks in a query.

    Args:
        text: The query.

    Returns:
        The phrases, without their marks; none if they are less than half of the query's words: a long question that
        quotes a title asks for more than the title. Japanese brackets mark titles and speech, and are no request.
    """
    phrases = [phrase.strip() for phrase in _QUOTED.findall(text) if _RUN.search(phrase)]
    if not phrases or 2 * len(content_words(" ".join(phrases))) < len(content_words(text)):
        return []
    return phrases


def phrase_terms(phrase: str, language: str) -> set[str]:
    """Return the terms that every text in a language has which contains a phrase.

    Args:
        phrase: The phrase.
        language: The language of the text.

    Returns:
        The distinct terms: Japanese by its bigrams, since morphemes depend on what stands around them.
    """
    runs = _runs_of(phrase.casefold())  # capitals say more of an abbreviation than another's text may
    bigrams = [bigram for bigram in _cjk_bigrams(runs) if len(bigram) > len(_BIGRAM) + 1]
    return {*bigrams, *_stems(runs.words, language)}


def content_words(text: str) -> list[str]:
    """Return the words of a text without function words and question words, in English and Japanese.

    Args:
        text: The text.

    Returns:
        The words in order; those in Japanese and Chinese in the dictionary's normalized form, others as they are.
    """
    words: list[str] = []
    named = abbreviations(text)
    plain = _plain(text)
    if script_language(plain) == "zh":
        plain = without_chinese_question_words(plain)
    for run in _RUN.finditer(plain):
        if run.lastgroup == "cjk":
            words += (each.normalized_form() for each in morphemes([run.group()]) if is_telling(each))
        elif run.lastgroup == "syllables":
            words += filter(None, [telling_stem(run.group())])
        elif run.group() in named or telling_words([run.group().casefold()], "en"):
            words.append(run.group())
    return words


def content_terms(text: str, language: str = "en") -> set[str]:
    """Return the lexical terms of the content words of a text.

    Args:
        text: The text.
        language: The language to stem its words in.

    Returns:
        The distinct terms.
    """
    words = content_words(text)
    if language != "en":
        telling = set(telling_words([word.casefold() for word in words], language))
        words = [word for word in words if word.casefold() in telling]
    return {term for term in terms(" ".join(words), language) if not term.endswith(_MARK)}


def topic_words(question: str) -> list[str]:
    """Return the words of the noun that a Japanese question asks for, such as 返品 and 期限 in 商品の返品期限は.

    Args:
        question: The question.

    Returns:
        The words in the dictionary's normalized form; none if the question says more behind its last は.
    """
    return [each.normalized_form() for each in topic_noun([*morphemes(_CJK_RUN.findall(_plain(question)))])]


def inflected_terms(text: str) -> set[str]:
    """Return those of the content terms of a text that come from Japanese verbs and adjectives.

    Args:
        text: The text.

    Returns:
        The distinct terms.
    """
    words = [each for each in morphemes(_CJK_RUN.findall(_plain(text))) if is_telling(each) and is_inflected(each)]
    return set(terms(" ".join(each.normalized_form() for each in words)))


def is_gram(term: str) -> bool:
    """Tell a 4-gram of a word.

    Args:
        term: A term.

    Returns:
        Whether it stands for four letters of a word in another alphabet than the Latin one.
    """
    return term.startswith(_MARK)


class _Runs(NamedTuple):
    """The runs of characters of a text, by script; `syllables` are Korean ones, and scripts without spaces."""

    cjk: list[str]
    syllables: list[str]
    words: list[str]


def _normal(text: str) -> str:
    plain = _plain(text).casefold()
    return plain if plain.isascii() else common_forms(_ACCENT.sub("", plain).translate(_ARABIC_FORMS))


def _plain(text: str) -> str:
    """A text in NFKC, without the characters that are not seen, and Japanese words in one piece."""
    return text if text.isascii() else _WRAPPED.sub("", nfkc(_VARIATION.sub("", clean(text).text)))


def _stems(words: list[str], language: str) -> list[str]:
    """The stems of words, without accents, which are often not typed; only stemmers other than English see them."""
    if language == "en":
        words = [word if word.isascii() else _without_accents(word) for word in words]
    return [stem if stem.isascii() else _without_accents(stem) for stem in stems(words, language)]


def _without_accents(word: str) -> str:
    return _ACCENTED.sub(lambda found: _unaccented(found[0]), word)


@cache
def _unaccented(letter: str) -> str:
    letters = unicodedata.normalize("NFD", letter)
    return "".join(_WITHOUT_STROKE.get(each, each) for each in letters if not unicodedata.combining(each))


def _runs_of(text: str) -> _Runs:
    normal = _normal(text)
    words = (_ASCII_WORD if normal.isascii() else _WORD).findall(normal)
    words += [*map(str.casefold, identifiers(text)), *abbreviations(text)]
    words = [word for word in words if len(word) <= _LONGEST_TERM]
    others = ([], []) if normal.isascii() else (_CJK_RUN.findall(normal), _SYLLABLE_RUN.findall(normal))
    return _Runs(*others, words)


def _parts(word: str) -> list[str]:
    """What a word has in common with inflections that a stemmer keeps apart: its beginning, or all its 4-grams."""
    if _LATIN.match(word):
        begin = word[:_BEGINNING_LENGTH]
        return [_without_accents(begin) + _MARK] if len(begin) == _BEGINNING_LENGTH and begin.isalpha() else []
    if not word[0].isalpha():
        return []
    whole = f"{_MARK}{''.join(map(_unaccented, word))}{_MARK}"
    return [f"{_MARK}{whole[i : i + _GRAM_LENGTH]}{_MARK}" for i in range(len(whole) - _GRAM_LENGTH + 1)]


def _bigram_weights(runs: _Runs, telling: str) -> dict[str, float]:
    """The weight of each bigram of Japanese and Chinese; `telling` are the words that a question is about."""
    if _is_chinese(runs):
        return dict.fromkeys(_cjk_bigrams(runs), 1.0)
    tells = {*telling, *_bigrams(telling)}
    return {
        bigram: _BIGRAM_WEIGHT if bigram.removeprefix(_BIGRAM) in tells else _FUNCTION_BIGRAM_WEIGHT
        for bigram in _cjk_bigrams(runs)
    }


def _is_chinese(runs: _Runs) -> bool:
    return not any(map(_KANA.search, runs.cjk))


def _cjk_bigrams(runs: _Runs) -> list[str]:
    return [_BIGRAM + bigram for run in runs.cjk for bigram in _bigrams(run)]


def _syllable_bigrams(runs: _Runs) -> list[str]:
    return [bigram for run in runs.syllables for bigram in _bigrams(run)]


def _bigrams(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]
