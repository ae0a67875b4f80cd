"""Text analysis: the terms of documents and queries for lexical search.

Latin and other alphabets: words, case-folded, Latin letters without accents, and stemmed as English words (on XQuAD,
recall@1 .937 against .925 unstemmed). Japanese and Chinese: Sudachi's shortest morphemes (mode A), and character
bigrams, which are marked. Korean: bigrams.

The figures below are recall@1 and recall@5 on the 4,442 questions of JSQuAD, on which the choices were made; for how,
and for the limits of that, see benchmarks/results/2026-11-23-retrieval.md.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from indexes.text.normalisation import clean, nfkc

# Raise it when the terms of a text change: an index that was built with another version is built again.
ANALYSIS_VERSION = 3

# Escapes, not characters: U+F900 looks just like U+8C48.
_KANA_OR_HAN = r"\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_HANGUL = r"\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
_CJK_RUN = re.compile(f"[{_KANA_OR_HAN}]+")
_HANGUL_RUN = re.compile(f"[{_HANGUL}]+")
_WORD = re.compile(rf"[^\W_{_KANA_OR_HAN}{_HANGUL}]+")
_RUN = re.compile(f"(?P<cjk>{_CJK_RUN.pattern})|{_HANGUL_RUN.pattern}|{_WORD.pattern}")
_ACCENTED = re.compile("[\u00df-\u024f\u1e00-\u1eff]|(?<=[a-z])[\u0300-\u036f]+")
_WITHOUT_STROKE = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}
_VARIATION = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # selects a glyph of the character before it
_KANA = re.compile(r"[\u3040-\u30ff]")
_SUDACHI_PIECE = 4096  # characters at a time; Sudachi refuses more than 49,149 bytes
_LONGEST_TERM = 64  # characters; nobody searches for a longer word
_BIGRAM = "_"  # marks a bigram, so that it can have a smaller weight than a word with the same spelling
# In Japanese a bigram is less specific than a morpheme, but finds words that the dictionary segments wrongly:
# .9194/.9725, against .9133/.9685 with equal weights and .9012/.9710 without bigrams; .2 to .4 are alike. Text without
# kana may be Chinese, which the Japanese dictionary does not segment well: there the weights are equal.
_BIGRAM_WEIGHT = 0.3
# Function words and question words are in passages whatever the question is. Left out of the query: .9187/.9739 against
# .9194/.9725, a small loss at 1 and a small gain at 5. It is done because the longest posting lists then need not be
# read, which was not timed.
_FUNCTION_WORDS = frozenset({"助詞", "助動詞", "補助記号", "接続詞", "感動詞", "代名詞"})
_ASKING = frozenset({"何", "どの", "どんな", "何故", "どう", "幾つ"})
# Old forms of kanji are mapped to the new ones: Sudachi does so for words in its dictionary, but not for names.
_OLD = (
    "亞惡壓圍醫壹榮營圓艷鹽應歐毆櫻奧橫溫價畫會壞懷繪擴殼覺學嶽樂渴勸卷寬觀關歡陷巖顏歸氣龜僞戲犧舊據擧峽挾狹堯曉區驅勳"
)
_NEW = (
    "亜悪圧囲医壱栄営円艶塩応欧殴桜奥横温価画会壊懐絵拡殻覚学岳楽渇勧巻寛観関歓陥巌顔帰気亀偽戯犠旧拠挙峡挟狭尭暁区駆勲"
)
_OLD += "徑惠溪經繼莖螢輕鷄藝縣檢權險獻圈劍驗嚴廣恆鑛號國濟齋劑碎雜參慘棧蠶贊殘絲齒兒辭濕實寫釋壽收從澁獸縱肅處緖敍"
_NEW += "径恵渓経継茎蛍軽鶏芸県検権険献圏剣験厳広恒鉱号国済斎剤砕雑参惨桟蚕賛残糸歯児辞湿実写釈寿収従渋獣縦粛処緒叙"
_OLD += "將稱燒證奬乘剩壤孃條淨狀疊讓釀觸寢愼晉眞刄盡圖粹醉穗隨髓數樞聲靜齊攝竊專戰淺潛纖踐錢禪雙壯搜插爭莊裝騷"
_NEW += "将称焼証奨乗剰壌嬢条浄状畳譲醸触寝慎晋真刃尽図粋酔穂随髄数枢声静斉摂窃専戦浅潜繊践銭禅双壮捜挿争荘装騒"
_OLD += "增藏臟屬續墮對體帶滯臺瀧擇澤單擔膽團彈斷癡遲晝蟲鑄廳聽遞鐵轉點傳黨燈當德獨讀屆繩貳惱腦霸廢拜賣麥發髮拔蠻祕濱"
_NEW += "増蔵臓属続堕対体帯滞台滝択沢単担胆団弾断痴遅昼虫鋳庁聴逓鉄転点伝党灯当徳独読届縄弐悩脳覇廃拝売麦発髪抜蛮秘浜"
_OLD += "拂佛竝變邊寶豐沒萬滿默譯藥彌與譽搖樣謠來賴亂覽龍兩獵綠壘勵禮隸靈齡戀爐勞樓祿灣"
_NEW += "払仏並変辺宝豊没万満黙訳薬弥与誉揺様謡来頼乱覧竜両猟緑塁励礼隷霊齢恋炉労楼禄湾"
_NEW_FORMS = str.maketrans(_OLD, _NEW)
_OLD_FORM = re.compile(f"[{_OLD}]")  # few texts have one, and a search is faster than a translation

# What sentences and questions are built with; Sudachi marks the other Japanese ones.
_BUILT_WITH = frozenset(
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
        其の 此の 彼の 其れ 此れ 彼れ 為る 成る 有る 居る 出来る 言う 事 物 為 教える
        """,
    )
)

_of_thread = threading.local()  # a Sudachi tokenizer refuses a second thread while it works for one


def terms(text: str) -> list[str]:
    """Return the lexical terms of a text.

    Args:
        text: The text, in any language.

    Returns:
        The terms, each as often as it occurs, in no particular order.
    """
    runs = _runs_of(text)
    return [morpheme.normalized_form() for morpheme in _morphemes(runs.cjk)] + _other_terms(runs)


def query_terms(text: str) -> dict[str, float]:
    """Return the terms to search for.

    Args:
        text: The query.

    Returns:
        The distinct terms with their weights: 1 for a word, less for a Japanese bigram. Function words and question
        words are among them only if there is nothing else.
    """
    runs = _runs_of(text)
    morphemes, others = [*_morphemes(runs.cjk)], _other_terms(runs)
    looked_for = [morpheme.normalized_form() for morpheme in morphemes if _is_content(morpheme)] + others
    if all(term.startswith(_BIGRAM) for term in looked_for):
        looked_for = [morpheme.normalized_form() for morpheme in morphemes] + others
    bigram_weight = _BIGRAM_WEIGHT if any(map(_KANA.search, runs.cjk)) else 1.0
    return {term: bigram_weight if term.startswith(_BIGRAM) else 1.0 for term in looked_for}


def content_words(text: str) -> list[str]:
    """Return the words of a text without function words and question words, in English and Japanese.

    Args:
        text: The text.

    Returns:
        The words in order; those in Japanese and Chinese in the dictionary's normalized form, others as they are.
    """
    words: list[str] = []
    for run in _RUN.finditer(_plain(text)):
        if run.lastgroup == "cjk":
            words += (morpheme.normalized_form() for morpheme in _morphemes([run.group()]) if _is_content(morpheme))
        else:
            words.append(run.group())
    return [word for word in words if word.casefold() not in _BUILT_WITH]


def content_terms(text: str) -> set[str]:
    """Return the lexical terms of the content words of a text.

    Args:
        text: The text.

    Returns:
        The distinct terms.
    """
    return set(terms(" ".join(content_words(text))))


class _Runs(NamedTuple):
    """The runs of characters of a text, by script."""

    cjk: list[str]
    hangul: list[str]
    words: list[str]


def _runs_of(text: str) -> _Runs:
    normal = _plain(text).casefold()
    if not normal.isascii():
        normal = _ACCENTED.sub(lambda found: _unaccented(found[0]), normal)
    if _OLD_FORM.search(normal):
        normal = normal.translate(_NEW_FORMS)
    words = [word for word in _WORD.findall(normal) if len(word) <= _LONGEST_TERM]
    return _Runs(_CJK_RUN.findall(normal), _HANGUL_RUN.findall(normal), words)


def _plain(text: str) -> str:
    """A text in NFKC, without the characters that are not seen."""
    return text if text.isascii() else nfkc(_VARIATION.sub("", clean(text).text))


@cache
def _unaccented(letter: str) -> str:
    """A Latin letter without its accents; accents alone, of which there is no letter, are left out."""
    letters = unicodedata.normalize("NFD", letter)
    return "".join(_WITHOUT_STROKE.get(each, each) for each in letters if not unicodedata.combining(each))


def _other_terms(runs: _Runs) -> list[str]:
    """The terms other than morphemes: bigrams and stems."""
    bigrams = [_BIGRAM + bigram for run in runs.cjk for bigram in _bigrams(run)]
    bigrams += [bigram for run in runs.hangul for bigram in _bigrams(run)]
    stems: list[str] = _stemmer().analyze(" ".join(runs.words))
    return bigrams + stems


def _bigrams(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def _morphemes(runs: Iterable[str]) -> Iterator[Any]:
    pieces = (run[start : start + _SUDACHI_PIECE] for run in runs for start in range(0, len(run), _SUDACHI_PIECE))
    return chain.from_iterable(map(_sudachi().tokenize, pieces))


def _is_content(morpheme: Any) -> bool:
    """Whether a morpheme is a content word."""
    return morpheme.normalized_form() not in _ASKING and morpheme.part_of_speech()[0] not in _FUNCTION_WORDS


def _sudachi() -> Any:
    """The tokenizer of the current thread."""
    if not hasattr(_of_thread, "sudachi"):
        from sudachipy import SplitMode

        _of_thread.sudachi = _dictionary().tokenizer(mode=SplitMode.A)
    return _of_thread.sudachi


@cache
def _dictionary() -> Any:
    from sudachipy import Dictionary

    return Dictionary(dict="core")


@cache
def _stemmer() -> Any:
    from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

    return TextAnalyzerBuilder(Tokenizer.whitespace()).filter(Filter.stemmer("english")).build()
