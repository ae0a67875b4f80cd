"""Chinese words that say nothing of what a text is about, in simplified and traditional characters."""

from __future__ import annotations

import re

# None that Japanese in kanji alone has, as whether such a text is Chinese cannot be told. What is left is divided alike
# in a question and in its answer.
_ASKING = (
    "为什么 為什麼 什么 什麼 多少 多久 多长 多長 哪里 哪裡 哪儿 哪些 哪个 哪個 哪 谁 誰 几 幾 怎么 怎麼 怎样 怎樣 如何"
)
_SAYS_NOTHING = re.compile(
    f"(?:有|是|在|要|需要|叫)?(?:有多大|{'|'.join(_ASKING.split())})|何时|请问|請問|[吗嗎呢吧们們这這为从于]"
)


def without_chinese_question_words(text: str) -> str:
    """Leave out question words and particles.

    Args:
        text: A text in Chinese.

    Returns:
        The text with spaces in their places.
    """
    return _SAYS_NOTHING.sub(" ", text)
