"""Japanese words: Sudachi's shortest morphemes (mode A), which of them tell something, and what a question asks for."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

Morpheme = Any  # sudachipy.Morpheme; the package is loaded when it is first needed

_PIECE = 4096  # characters at a time; Sudachi refuses more than 49,149 bytes
# Function words and question words are in passages whatever the question is. Left out of the query: .9187/.9739 against
# .9194/.9725, a small loss at 1 and a small gain at 5. It is done because the longest posting lists then need not be
# read, which was not timed.
_FUNCTION_WORDS = frozenset({"助詞", "助動詞", "補助記号", "接続詞", "感動詞", "代名詞"})
_ASKING = frozenset({"何", "どの", "どんな", "何故", "どう", "幾つ", "幾ら", "如何"})
_NAMING = frozenset({"名詞", "接頭辞", "接尾辞"})
# Words that sentences and questions are built with, politely, too, and that Sudachi does not mark.
BUILT_WITH = frozenset(
    re.findall(
        r"\w+",
        """
        其の 此の 彼の 其れ 此れ 彼れ 為る 成る 有る 居る 出来る 言う 事 物 為 教える 良い 宜しい 貰う 頂く 下さる
        呉れる 致す 御座る 御 さ さん
        """,
    )
)

_of_thread = threading.local()  # a Sudachi tokenizer refuses a second thread while it works for one


def morphemes(runs: Iterable[str]) -> Iterator[Morpheme]:
    """Divide text into morphemes.

    Args:
        runs: Runs of kana and Han characters.

    Returns:
        The morphemes, in order.
    """
    pieces = (run[start : start + _PIECE] for run in runs for start in range(0, len(run), _PIECE))
    return chain.from_iterable(map(_sudachi().tokenize, pieces))


def is_content(morpheme: Morpheme) -> bool:
    """Tell a content word.

    Args:
        morpheme: The morpheme.

    Returns:
        Whether it is no function word and no question word.
    """
    return morpheme.normalized_form() not in _ASKING and morpheme.part_of_speech()[0] not in _FUNCTION_WORDS


def is_telling(morpheme: Morpheme) -> bool:
    """Tell a content word that a sentence is about, and not built with.

    Args:
        morpheme: The morpheme.

    Returns:
        Whether it is.
    """
    return is_content(morpheme) and morpheme.normalized_form() not in BUILT_WITH


def is_inflected(morpheme: Morpheme) -> bool:
    """Tell a verb or an adjective.

    Args:
        morpheme: The morpheme.

    Returns:
        Whether it is one.
    """
    return morpheme.part_of_speech()[0] in ("動詞", "形容詞")


def asked_noun(question: Sequence[Morpheme]) -> list[Morpheme]:
    """Find the noun that a question asks for: 名称 in ラオスの正式名称は何ですか, 首都 in ラオスの首都は.

    Args:
        question: The morphemes of a question.

    Returns:
        The noun before its last は, if nothing but question words stands behind it and something before it.
    """
    noun = topic_noun(question)
    return noun if noun and noun[0] is not question[0] else []


def topic_noun(question: Sequence[Morpheme]) -> list[Morpheme]:
    """Find the noun before the last は of a question with nothing but question words behind it.

    Args:
        question: The morphemes of a question.

    Returns:
        Its morphemes, which may be all that stands before は.
    """
    last = next((at for at in range(len(question) - 1, -1, -1) if _is_topic(question[at])), 0)
    if any(map(is_telling, question[last + 1 :])):
        return []
    first = last
    while first and question[first - 1].part_of_speech()[0] in _NAMING:
        first -= 1
    return list(question[first:last])


def _is_topic(morpheme: Morpheme) -> bool:
    return bool(morpheme.surface() == "は" and morpheme.part_of_speech()[0] == "助詞")


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
