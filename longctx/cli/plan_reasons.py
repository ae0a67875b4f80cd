"""`Plan.reason` in Japanese. A plan gives its reason in English, as clauses between semicolons."""

from __future__ import annotations

import re
from functools import cache

# What a plan says, and below it the same in Japanese. {} is a number; {…} has an entry of its own, or is a word below.
_CLAUSES = """
{…}, with {} of {} turns of the conversation
  {0}（会話は {2} 回のうち {1} 回分）
the question asks to {…}, which needs all documents
  {0}の質問には、すべての文書が必要です
the retriever gives passages, not whole documents
  検索から得られるのは文書全体ではなく箇所です
all documents take {…} with question and answer and fit the {…} window ({…})
  すべての文書は質問と回答を含めて {0}で、{1}コンテキスト長（{2}）に収まります
all documents take {…} with question and answer, the {…} window {…}
  すべての文書は質問と回答を含めて {0}で、{1}コンテキスト長は {2} です
all documents take more tokens than the {…} window, {…}
  すべての文書を合わせると、{0}コンテキスト長 {1} を超えます
all documents take {…} with the question, more than the {…}
  すべての文書は質問を含めて {0}で、{1}を超えます
{} by the memory that is free
  {0}（空きメモリーによる）
×{} the native, {}
  元の {0} 倍の {1}
{} tokens of them were read before
  うち {0} トークンは前回読んだものを使います
{} of them were read before
  うち {0} トークンは前回読んだものを使います
the passages that bear on the question most are read in a window of {}
  質問に最も関係の深い箇所を、{0} トークンのコンテキスト長で読みます
the question with its best passage takes {…}, more than the {…}
  質問と最も関係の深い箇所は {0}で、{1}を超えます
all documents if they do not do
  足りなければすべての文書を読みます
the passages held the answer
  箇所に答えがありました
the model said that the passages do not hold the answer
  モデルは箇所に答えがないとしました
all documents are read in parts
  すべての文書を分けて読みます
all documents are read in parts, without the conversation
  会話は含めず、すべての文書を分けて読みます
{…}: {} of up to {} tokens, {} tokens with their prompts
  {0}（{2} トークンまでを {1} 回、指示を含めて {3} トークン）
no part holds anything on the question
  質問に関係する記載がある部分はありません
no probe's report shows that the model reads so far
  モデルがこの長さを読めることを示す測定結果はありません
the prompt takes {} of the {…}
  プロンプトは {0} トークン（上限は{1}）
{…}: allow more (--prompt-tokens, --budget)
  {0}（--prompt-tokens か --budget で増やせます）
{} tokens that prompt_tokens allows
  指定した {0} トークン
{} tokens that {} s allow at {} tokens/s
  {1} 秒で読める {0} トークン（毎秒 {2} トークン）
{} tokens that are always allowed ({} s allow {} at {} tokens/s)
  常に読める {0} トークン（{1} 秒で読めるのは {2} トークン、毎秒 {3} トークン）
{} tokens
  {0} トークン
no scaling extends the window: load the model with one (--scaling yarn)
  コンテキスト長を延ばす設定がありません（--scaling yarn などで延ばせます）
nothing was measured to carry the model beyond its native window
  元のコンテキスト長より先は測定されていません
its checkpoint carries a scaling that reaches this window, and a second one would blend with it
  チェックポイントがすでにこの長さまで延ばされています
{…} serves a window of {} tokens, which only the server can extend
  {0} のコンテキスト長は {1} トークンで、延ばせるのはサーバーだけです
{} of the prompts had been answered before
  うち {0} 回は前回の回答を使いました
the notes were merged in {} prompts
  メモを {0} 回でまとめました
{} lines of notes that no passage holds were left out
  箇所に記載のないメモ {0} 行を除きました
{} items that were not confirmed were left out
  確認できない項目 {0} 件を除きました
more were found than the question states, so these were left out: {…}
  質問にある数より多く見つかったため、{0} を除きました
the notes on {} parts were cut at {} tokens
  {0} 個の部分のメモは {1} トークンで切れました
the model read less than half of {} prompts: give its window (--window)
  {0} 回のプロンプトは半分も読まれませんでした（コンテキスト長は --window で指定できます）
the model confirmed no value: words decided which bear on the question
  モデルが値を確認できなかったため、質問との関係は語で判断しました
notes that are longer than a prompt were left out
  プロンプトより長いメモを除きました
of {} notes the first {} fit the last prompt
  メモ {0} 件のうち、最後のプロンプトに入るのは初めの {1} 件です
the model read only {} tokens of this, and may have cut the rest: give its window (--window)
  モデルが読んだのは {0} トークンだけで、残りは切られた可能性があります（コンテキスト長は --window で指定できます）
the model thinks before it answers: it was asked again, with room for its thoughts
  モデルが回答の前に考えるため、その余地を取って聞き直しました
"""
_WORDS = {
    "native": "元の",
    "extended": "拡張した",
    "locate": "事実",
    "compare": "比較",
    "count": "件数",
    "summarise": "要約",
}


def japanese_reason(reason: str) -> str:
    """A plan's reason in Japanese.

    Args:
        reason: The reason.

    Returns:
        Its clauses as sentences; one that is not known here, such as a server's refusal, is left as it is.
    """
    return "。".join(_in_japanese(clause) for clause in reason.split("; "))


def _in_japanese(clause: str) -> str:
    for pattern, japanese in _patterns():
        if (found := pattern.fullmatch(clause)) is not None:
            return japanese.format(*map(_in_japanese, found.groups()))
    return _WORDS.get(clause, clause)


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    lines = _CLAUSES.strip().splitlines()
    parts = {r"\{\}": r"([\d.,e+-]+)", r"\{…\}": "(.+?)"}
    pairs = zip(lines[::2], lines[1::2], strict=True)
    return [(re.compile(_replaced(re.escape(english), parts)), japanese.strip()) for english, japanese in pairs]


def _replaced(text: str, parts: dict[str, str]) -> str:
    for old, new in parts.items():
        text = text.replace(old, new)
    return text
