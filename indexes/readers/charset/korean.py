"""Recognising Korean text in EUC-KR and its superset cp949, whose bytes are mostly valid EUC-JP too."""

from __future__ import annotations

import math
import re

_ENCODING = "cp949"
_FEWEST = 8  # syllables: fewer prove nothing,
_FEWEST_WITH_LAUGHTER = 2  # unless there is what only Korean has: in EUC-JP it would be せせ or ぞぞ
_LAUGHTER = re.compile("ㅋㅋ|ㅎㅎ|ㅠㅠ|ㅜㅜ")
_SYLLABLES = re.compile("[가-힣]")
_COMMON_WEIGHT, _RARE_WEIGHT, _JAMO_WEIGHT = -math.log(0.5 / 130), -math.log(0.45 / 2220), -math.log(0.05 / 51)
_FOREIGN = re.compile("[^\t-~가-힣ㄱ-ㅣ。-」·…“”‘’→-↓①-⑮㈜℃]")
# The most frequent syllables: about half of any Korean text, and a twentieth of syllables drawn at random.
_COMMON = re.compile(
    "[이다는을의에지가고하기사한로리어도나은자인대를시라일서아해들있정수게보그부만여장면제스거우요주오음과전것으었않없원생성상공안"
    "신비경용위적조니무방당할때등중연구말동세소모유화실문된년선회내야마발행물국개학진트터려와될했였계관같데습입합]"
)


def decode_korean(data: bytes) -> str | None:
    """Decode Korean text.

    Args:
        data: The bytes of a text file.

    Returns:
        The text; None if the bytes are not EUC-KR or cp949, or if the result does not look like Korean.
    """
    try:
        text = data.decode(_ENCODING)
    except UnicodeDecodeError:
        return None
    syllables = len(_SYLLABLES.findall(text))
    looks_korean = (
        syllables >= (_FEWEST_WITH_LAUGHTER if _LAUGHTER.search(text) else _FEWEST)
        and len(_COMMON.findall(text)) >= 0.4 * syllables
        and len(_FOREIGN.findall(text)) <= 0.1 * syllables
    )
    return text if looks_korean else None


def korean_weight(data: bytes) -> float:
    """Weigh a short text, to compare it with what it would be in Japanese without kana.

    Args:
        data: The bytes of a text file.

    Returns:
        The negative log-likelihood in nats of its characters outside ASCII in Korean text; infinite if it is not that.
    """
    try:
        text = data.decode(_ENCODING)
    except UnicodeDecodeError:
        return math.inf
    wide = [character for character in text if character > "\x7f"]
    if any(_FOREIGN.match(character) for character in wide):
        return math.inf
    return sum(
        _COMMON_WEIGHT if _COMMON.match(each) else _RARE_WEIGHT if _SYLLABLES.match(each) else _JAMO_WEIGHT
        for each in wide
    )
