"""What the command line says around answers, in the language of the question: English or Japanese."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from longctx.reasons import Reason, in_english, in_japanese


@dataclass(frozen=True)
class AnswerTexts:
    """The sentences around an answer.

    Attributes:
        sources: The heading of what an answer cites.
        passages: The heading of what was in the prompt, where nothing is cited.
        marked_by: What is said behind a source that the model did not name itself, by `Citation.marked_by`.
        page: A place on a page.
        line: A place on a line.
        place: A place in a file.
        copies: The other names of a file, with `names`.
        wrote: What a model wrote in the place of a refusal.
        unsupported: A sentence without support.
        unmeasured: A window that no report shows to work.
        no_model: That no model was given.
        served: That a server has answered.
        with_model: The server's model.
        without_model: That the server has none.
        extractive: How an answer was made without a model.
        searched: What was searched for.
        route: The title of how a question was answered.
        no_plan: The title for an answer that needed no plan.
        columns: Of the table of what the window was used for: passages, tokens.
        in_prompt: The heading of what was in the prompt.
        in_parts: The heading of what was read in parts.
        left_out: The heading of what was left out.
        shares: The kinds of what is in a prompt.
        taken: What the prompt took.
        expected: The time that was expected.
        reused: The tokens that were read before.
        reason: Says a plan's reasons.
        commands: What the commands of `longctx chat` do, by their names; their docstrings say it in English.
        keys: What keys do in it.
        so_far: How many turns a conversation has.
        nothing_asked: That there is no answer yet.
        no_document: That an answer comes from no document.
        route_is: The route of the next questions.
        forgotten: That turns were forgotten.
        stopped: That an answer was stopped and is not kept.
        stopped_kept: That it was stopped, and is kept.
    """

    sources: str
    passages: str
    marked_by: dict[str, str]
    page: str
    line: str
    place: str
    copies: str
    wrote: str
    unsupported: str
    unmeasured: str
    no_model: str
    served: str
    with_model: str
    without_model: str
    extractive: str
    searched: str
    route: str
    no_plan: str
    columns: tuple[str, str]
    in_prompt: str
    in_parts: str
    left_out: str
    shares: dict[str, str]
    taken: str
    expected: str
    reused: str
    reason: Callable[[Iterable[Reason]], str]
    commands: dict[str, str]
    keys: str
    so_far: str
    nothing_asked: str
    no_document: str
    route_is: str
    forgotten: str
    stopped: str
    stopped_kept: str


_ENGLISH = AnswerTexts(
    sources="Sources",
    passages="Passages in the prompt",
    marked_by={
        "corrected": " (the model named another passage, which does not hold this)",
        "added": " (the model named no passage; this one holds what it says)",
    },
    page="page {}",
    line="line {}",
    place="{file}, {position}, characters {start}-{end}",
    copies=" (also {})",
    wrote="The model wrote something else, which no passage supports: {}",
    unsupported="[?] No passage in the prompt supports this sentence.",
    unmeasured="The prompt was read in a window of {window:,} tokens, and no report shows that the model reads so "
    "many: run 'longctx probe' on it, and give its report with --report DIR.",
    no_model="No model was given: the answer quotes the documents. Give one with --model PATH_OR_HUB_ID.",
    served="Answered by the server on this index, with {} (--no-server).",
    with_model="its model {}",
    without_model="no model",
    extractive="there is no model: the best sentences of the passages are quoted",
    searched="searched for: {}",
    route="route {route}, window {window:,}, to {kind}",
    no_plan="route retrieval",
    columns=("passages", "tokens"),
    in_prompt="in the prompt",
    in_parts="read in {:,} parts",
    left_out="left out",
    shares={
        "system": "system prompt",
        "document": "document",
        "turn": "turn",
        "question": "rules and question",
        "answer": "room for the answer",
        "free": "not used",
        "found": "found, but no room",
        "documents": "documents not counted",
    },
    taken="the prompt has {tokens:,} tokens{expected}; the first token came after {seconds}{reused}",
    expected=", about {} to the first token",
    reused=", with {:,} tokens read before",
    reason=in_english,
    commands={},
    keys="Ctrl-C stops an answer, or clears the line; Ctrl-D ends.",
    so_far="{name}: {turns:,} turns so far; /help says what there is",
    nothing_asked="Nothing has been answered in this conversation yet.",
    no_document="The last answer comes from no document.",
    route_is="The route is {}.",
    forgotten="{:,} turns are forgotten.",
    stopped="Stopped: this turn is not kept{}.",
    stopped_kept="Stopped: this turn is kept{}.",
)
_JAPANESE = AnswerTexts(
    sources="出典",
    passages="プロンプトに含めた箇所",
    marked_by={
        "corrected": "（モデルが示した番号の箇所には記載がないため、訂正しました）",
        "added": "（モデルが番号を示さなかったため、記載のある箇所を補いました）",
    },
    page="{} ページ",
    line="{} 行目",
    place="{file} {position}、文字 {start}-{end}",
    copies="（同じ内容のファイル：{}）",
    wrote="モデルは別の内容を書きましたが、裏付ける箇所がありません：{}",
    unsupported="[?] この文を裏付ける箇所は、プロンプトの中にありません。",
    unmeasured="プロンプトを {window:,} トークンのコンテキスト長で読みましたが、"
    "モデルがその長さを読めることを示す測定結果がありません。"
    "longctx probe で測定し、結果のフォルダーを --report で指定してください。",
    no_model="モデルの指定がないため、文書の文を引用して答えます。モデルは --model で指定できます。",
    served="このインデックスのサーバーが答えました（{}）。サーバーを使わないときは --no-server を付けてください。",
    with_model="モデル：{}",
    without_model="モデルなし",
    extractive="モデルがないため、最も関係の深い文を引用しました",
    searched="検索語：{}",
    route="方法 {route}、コンテキスト長 {window:,}、質問の種類 {kind}",
    no_plan="方法 retrieval",
    columns=("箇所", "トークン"),
    in_prompt="プロンプトの内訳",
    in_parts="{:,} 回に分けて読んだもの",
    left_out="含めなかったもの",
    shares={
        "system": "システムプロンプト",
        "document": "文書",
        "turn": "会話",
        "question": "指示と質問",
        "answer": "回答のための余地",
        "free": "空き",
        "found": "検索で見つかったが、入らなかったもの",
        "documents": "数えなかった文書の数",
    },
    taken="プロンプトは {tokens:,} トークン{expected}。最初のトークンまで {seconds}{reused}",
    expected="（最初のトークンまでの見込みは約 {}）",
    reused="。うち {:,} トークンは前回読んだものを使いました",
    reason=in_japanese,
    commands={
        "sources": "直前の回答の出典を示します。",
        "plan": "直前の質問にどう答えたか、コンテキスト長を何に使ったかを示します。",
        "route": "以降の質問に答える方法を選びます（auto、native、extended、retrieval、self、map）。",
        "reset": "この会話を消して、初めからやり直します。",
        "help": "コマンドの一覧を示します。",
        "quit": "終了します。会話は残ります。",
    },
    keys="Ctrl-C で回答を止めるか行を消し、Ctrl-D で終了します。",
    so_far="{name}：これまでに {turns:,} 回の質問があります。コマンドは /help で見られます",
    nothing_asked="この会話にはまだ回答がありません。",
    no_document="直前の回答は、どの文書にもよりません。",
    route_is="答える方法は {} です。",
    forgotten="{:,} 回分の会話を消しました。",
    stopped="停止しました。この質問は会話に残りません{}。",
    stopped_kept="停止しました。この質問は会話に残ります{}。",
)


def answer_texts(question: str, answer: str = "") -> AnswerTexts:
    """The sentences around an answer, in the language of its question.

    Args:
        question: The question; one of kanji alone may be Japanese or Chinese.
        answer: What answers it, which then decides.

    Returns:
        The sentences; in English for a question in any language but Japanese.
    """
    from indexes.text import script_language

    language = script_language(question)
    return _JAPANESE if "ja" in (language, language == "zh" and script_language(answer)) else _ENGLISH


def conversation_texts(question: str | None, answer: str = "") -> AnswerTexts:
    """What is said in a conversation, in the language of its last question.

    Args:
        question: The last question; None if there is none.
        answer: What answers it.

    Returns:
        The sentences; also in Japanese where that is the language of the terminal.
    """
    locale = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return _JAPANESE if locale.startswith("ja") else answer_texts(question or "", answer)
