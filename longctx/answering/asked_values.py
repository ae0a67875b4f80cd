"""What a Japanese question asks for and answers do not name: 以内 for a 期限, 円 for a 料金, 名 for the 人数."""

from __future__ import annotations

import re
from collections.abc import Set
from typing import NamedTuple

from indexes.text import content_terms, folded, terms, topic_words

_NUMBER = r"[\d一二三四五六七八九十百千万億数]"
_UNIT_OF = (  # the nouns, as the last word of what is asked for, and how a sentence says their value
    (
        "期限 期日 締め切り 締切",
        rf"{_NUMBER}\s?(?:日|営業日|週間?|か月|ヶ月|カ月|年|時間?)?(?:以内|まで)|必着|末日|末まで",
    ),
    (
        "費用 料金 価格 値段 代金 金額 料 費 代 額 賃",
        rf"{_NUMBER}\s?(?:円|ドル|ユーロ|ウォン|元(?!号))|[¥$€]\s?\d|無料",
    ),
    ("人数 定員 員数", rf"{_NUMBER}\s?[人名]"),
    ("時間 時刻", rf"{_NUMBER}\s?時|\d:\d\d|正午"),
    ("回数 頻度", rf"{_NUMBER}\s?[回度]|毎[日週月年朝晩]|(?:おき|ごと)に"),
    ("年齢", rf"{_NUMBER}\s?[歳才]"),
    ("期間 日数 年数", rf"{_NUMBER}\s?(?:日|週|か月|ヶ月|カ月|年|時間)"),
    ("割合 比率 率", rf"{_NUMBER}\s?(?:%|パーセント|割)|分の{_NUMBER}"),
    ("距離 身長 標高 水深", rf"{_NUMBER}\s?(?:センチ|ミリ|メートル|キロ|[cmk]?m(?![a-z]))"),
    ("重量 体重", rf"{_NUMBER}\s?(?:グラム|キロ|トン|[kmt]?g(?![a-z])|t(?![a-z]))"),
    ("温度 気温 水温", rf"{_NUMBER}\s?(?:度|℃|°c)"),
)
_COUNTED = re.compile(r"(?<=は)、?(?:何|いくら|いつ|どの|どれ)\w{0,12}[?？。]?\s*\Z")  # 何名ですか, いつまででしょうか
_PATTERNS = {noun: re.compile(pattern) for nouns, pattern in _UNIT_OF for noun in nouns.split()}


class AskedValue(NamedTuple):
    """A value that a question asks for by a noun.

    Attributes:
        terms: The terms of the noun.
        others: The terms of the other words that tell what is asked, without which the value may be another thing's.
        pattern: How a text says the value, as `folded` returns it.
    """

    terms: Set[str]
    others: Set[str]
    pattern: re.Pattern[str]

    def is_in(self, text: str) -> bool:
        """Return whether a text says a value of this kind."""
        return self.pattern.search(folded(text)) is not None


def asked_value(question: str) -> AskedValue | None:
    """Find what a question asks for that its answer says by a unit.

    Args:
        question: The question.

    Returns:
        The value; None if the question asks for something else.
    """
    plain = _COUNTED.sub("", question)
    asked = topic_words(plain)
    pattern = _PATTERNS.get(asked[-1]) if asked else None
    if pattern is None:
        return None
    noun = frozenset(terms(asked[-1]))
    others = frozenset(term for term in content_terms(plain) if not term.startswith("_")) - noun
    return AskedValue(noun, others, pattern) if others else None
