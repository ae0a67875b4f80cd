"""The words of Japanese and Chinese errors that tell what a number in them is, in English."""

from __future__ import annotations

import re

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff00-\uffef。、]")
_WORDS = (  # the longer before the shorter
    (
        r"(?:最大|上限)?(?:コンテキスト(?:長|ウィンドウ|サイズ|の長さ)|上下文(?:长度|窗口|限制|長度|視窗|大小)+)",
        "context length",
    ),
    (r"(?:1|１|一)?(?:分間|分あたり|分钟|分鐘)", "per minute"),
    (r"レート|速率|频率", "rate limit"),
    (r"トークン数?|令牌数?|词元数?", "tokens"),
    (r"文字数?|字符数?", "characters"),
    (r"出力|生成|输出|輸出|補完", "output"),
    (r"入力|输入|輸入", "input"),
    (r"プロンプト|提示词|提示詞", "prompt"),
    (r"メッセージ|消息", "messages"),
    (r"リクエスト|要求|请求|請求", "request"),
    (r"合計|总计|总共|總計", "total of"),
    (r"超え|超過|超过|超出|超长|超長|長すぎ|过长|過長|太长", "exceeds"),
    (r"最大|最长|最長", "maximum"),
    (r"上限|限制|制限", "limit"),
    (r"長さ|长度|長度", "length"),
    (r"まで|以下|以内", "limit"),
    (r"[はが为為是：]", "is"),
    (r"[。！]", ". "),
    (r"[、，；]", ", "),
    (r"[（]", "("),
    (r"[）]", ")"),
)


def in_english(message: str) -> str:
    """Put the words of a Japanese or Chinese message that say what its numbers are into English.

    Args:
        message: The message of a server's error.

    Returns:
        Those words and the numbers; a message without such characters as it is.
    """
    if not _CJK.search(message):
        return message
    for words, english in _WORDS:
        message = re.sub(words, f" {english} ", message)
    return re.sub(r"\s+", " ", _CJK.sub(" ", message))
