"""Why a plan is as it is: kinds of reasons with their numbers, and what they say in English and in Japanese."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

ReasonKind = Literal[
    "told", "native", "extended", "locate", "compare", "count", "summarise", "scaled", "by_memory", "needs_all",
    "passages_only", "fits", "too_long", "uncounted", "over_budget", "best_over_budget", "allow_more", "allowed",
    "allowed_in_time", "always_allowed", "prompt_takes", "read_before", "tokens_read_before", "with_turns",
    "passages_read", "all_if_not", "passages_held", "passages_did_not", "in_parts", "in_parts_alone", "divided",
    "nothing_noted", "not_measured", "no_scaling", "nothing_beyond", "carried", "served_window", "answered_before",
    "merged", "unplaced", "unconfirmed", "surplus", "notes_cut", "prompts_cut", "judged_by_words", "notes_too_long",
    "notes_beyond", "read_little", "asked_again", "still_thinking", "ended_in_thoughts", "more_thoughts", "nothing",
    "only_marks", "wrote_nothing", "quoted", "unsupported", "beside",
]  # fmt: skip

# Each kind in English, and below it in Japanese, with places for its values.
_TEXTS = """
told: {}
    {}
native: native
    元の
extended: extended
    拡張した
locate: locate
    事実
compare: compare
    比較
count: count
    件数
summarise: summarise
    要約
scaled: ×{} the native, {}
    元の {} 倍の {}
by_memory: {} by the memory that is free
    {}（空きメモリーによる）
needs_all: the question asks to {}, which needs all documents
    {}の質問には、すべての文書が必要です
passages_only: the retriever gives passages, not whole documents
    検索から得られるのは文書全体ではなく箇所です
fits: all documents take {} tokens with question and answer and fit the {} window ({})
    すべての文書は質問と回答を含めて {} トークンで、{}コンテキスト長（{}）に収まります
too_long: all documents take {} tokens with question and answer, the {} window {}
    すべての文書は質問と回答を含めて {} トークンで、{}コンテキスト長は {} です
uncounted: all documents take more tokens than the {} window, {}
    すべての文書を合わせると、{}コンテキスト長 {} を超えます
over_budget: all documents take {} tokens with the question, more than the {}
    すべての文書は質問を含めて {} トークンで、{}を超えます
best_over_budget: the question with its best passage takes {} tokens, more than the {}
    質問と最も関係の深い箇所は {} トークンで、{}を超えます
allow_more: {}: allow more (--prompt-tokens, --budget)
    {}（--prompt-tokens か --budget で増やせます）
allowed: {} tokens that prompt_tokens allows
    指定した {} トークン
allowed_in_time: {} tokens that {} s allow at {} tokens/s
    {1} 秒で読める {0} トークン（毎秒 {2} トークン）
always_allowed: {} tokens that are always allowed ({} s allow {} at {} tokens/s)
    常に読める {} トークン（{} 秒で読めるのは {} トークン、毎秒 {} トークン）
prompt_takes: the prompt takes {} of the {}
    プロンプトは {} トークン（上限は{}）
read_before: {} of them were read before
    うち {} トークンは前回読んだものを使います
tokens_read_before: {} tokens of them were read before
    うち {} トークンは前回読んだものを使います
with_turns: {}, with {} of {} turns of the conversation
    {0}（会話は {2} 回のうち {1} 回分）
passages_read: the passages that bear on the question most are read in a window of {}
    質問に最も関係の深い箇所を、{} トークンのコンテキスト長で読みます
all_if_not: all documents if they do not do
    足りなければすべての文書を読みます
passages_held: the passages held the answer
    箇所に答えがありました
passages_did_not: the model said that the passages do not hold the answer
    モデルは箇所に答えがないとしました
in_parts: all documents are read in parts
    すべての文書を分けて読みます
in_parts_alone: all documents are read in parts, without the conversation
    会話は含めず、すべての文書を分けて読みます
divided: {}: {} of up to {} tokens, {} tokens with their prompts
    {0}（{2} トークンまでを {1} 回、指示を含めて {3} トークン）
nothing_noted: no part holds anything on the question
    質問に関係する記載がある部分はありません
not_measured: no probe's report shows that the model reads so far
    モデルがこの長さを読めることを示す測定結果はありません
no_scaling: no scaling extends the window: load the model with one (--scaling yarn)
    コンテキスト長を延ばす設定がありません（--scaling yarn などで延ばせます）
nothing_beyond: nothing was measured to carry the model beyond its native window
    元のコンテキスト長より先は測定されていません
carried: its checkpoint carries a scaling that reaches this window, and a second one would blend with it
    チェックポイントがすでにこの長さまで延ばされています
served_window: {} serves a window of {} tokens, which only the server can extend
    {} のコンテキスト長は {} トークンで、延ばせるのはサーバーだけです
answered_before: {} of the prompts had been answered before
    うち {} 回は前回の回答を使いました
merged: the notes were merged in {} prompts
    メモを {} 回でまとめました
unplaced: {} lines of notes that no passage holds were left out
    箇所に記載のないメモ {} 行を除きました
unconfirmed: {} items that were not confirmed were left out
    確認できない項目 {} 件を除きました
surplus: more were found than the question states, so these were left out: {}
    質問にある数より多く見つかったため、{} を除きました
notes_cut: the notes on {} parts were cut at {} tokens
    {} 個の部分のメモは {} トークンで切れました
prompts_cut: the model read less than half of {} prompts: give its window (--window)
    {} 回のプロンプトは半分も読まれませんでした（コンテキスト長は --window で指定できます）
judged_by_words: the model confirmed no value: words decided which bear on the question
    モデルが値を確認できなかったため、質問との関係は語で判断しました
notes_too_long: notes that are longer than a prompt were left out
    プロンプトより長いメモを除きました
notes_beyond: of {} notes the first {} fit the last prompt
    メモ {} 件のうち、最後のプロンプトに入るのは初めの {} 件です
read_little: the model read only {} tokens of this, and may have cut the rest: give its window (--window)
    モデルが読んだのは {} トークンだけで、残りは切られた可能性があります（コンテキスト長は --window で指定できます）
asked_again: the model thinks before it answers: it was asked again, with room for its thoughts
    モデルが回答の前に考えるため、その余地を取って聞き直しました
still_thinking: the model was still thinking after {} tokens and gave no answer
    モデルは {} トークンを使っても考え終わらず、回答しませんでした
ended_in_thoughts: the model ended in its thoughts and gave no answer
    モデルは考えただけで終わり、回答しませんでした
more_thoughts: {}: give it more (--thinking-tokens), or turn thinking off (--thinking off)
    {}（--thinking-tokens で増やすか、--thinking off で考えさせないこともできます）
nothing: nothing
    何も
only_marks: nothing but marks
    番号のほかは何も
wrote_nothing: the model wrote {}, and no passage bears on the question
    モデルは{}書かず、質問に関係する箇所もありません
quoted: the model wrote {}, so a passage is quoted
    モデルが{}書かなかったため、箇所を引用しました
unsupported: no passage supports what the model wrote
    モデルが書いた内容を裏付ける箇所がありません
beside: the passage that holds what the model wrote does not bear on the question
    モデルが書いた内容のある箇所は、質問に関係していません
"""


def _wordings() -> dict[str, tuple[str, str]]:
    lines = _TEXTS.strip().splitlines()
    pairs = zip(lines[::2], lines[1::2], strict=True)
    return {kind: (english, japanese.strip()) for line, japanese in pairs for kind, english in [line.split(": ", 1)]}


WORDINGS = _wordings()
"""What each kind says in English and in Japanese, with places for its values."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A clause of the reason for a plan.

    Attributes:
        kind: What it says; `told` for a text that is shown as it is, such as a server's refusal.
        values: The numbers, texts and words in it, a word being a reason of its own.
    """

    kind: ReasonKind
    values: tuple[int | float | str | Reason, ...] = ()


def in_english(reasons: Iterable[Reason]) -> str:
    """What reasons say in English.

    Args:
        reasons: The reasons.

    Returns:
        Clauses between semicolons.
    """
    return "; ".join(_said(reason, 0) for reason in reasons)


def in_japanese(reasons: Iterable[Reason]) -> str:
    """What reasons say in Japanese.

    Args:
        reasons: The reasons.

    Returns:
        Sentences, the last one without its full stop; a text that was told is left as it is.
    """
    return "。".join(_said(reason, 1) for reason in reasons)


def _said(value: float | str | Reason, language: int) -> str:
    if isinstance(value, Reason):
        return WORDINGS[value.kind][language].format(*(_said(each, language) for each in value.values))
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:g}"
