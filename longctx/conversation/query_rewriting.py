"""Query rewriting: completing follow-up questions for the search.

"And in 2019?" finds nothing by itself. With a model, the model rewrites the question (`rewrite_request`, `is_usable`);
without one, content words of the last questions are added to it (`with_context_words`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from indexes.text import content_terms, content_words
from longctx.prompts import language_of
from longctx.types import Message

REWRITTEN_TOKENS = 64  # the longest question that a model may write
_TURNS_SHOWN = 3  # to the model that rewrites
_ANSWER_SHOWN = 300  # characters of each answer
_QUESTIONS_BACK = 3  # that words are carried over from
_FEW_WORDS = 1  # content words of a question that is too short to stand alone
_ENOUGH_WORDS = 2  # content words that are enough to tell the subject
_MOST_WORDS = 8  # carried over

_LEANING = {
    "en": re.compile(
        r"(?i)^\W*(?:and|but|or|so|then|also|(?:what|how) about|(?:what|who|where) else|why not)\b"
        r"|\b(?:it|its|they|them|their|theirs|he|him|his|she|hers|her|those|these|such|the (?:former|latter|same))\b"
        r"|\b(?:this|that|there)(?: one)?\W*$"
    ),
    "ja": re.compile(
        r"^\W*(?:では|それ|じゃあ?|そして|また|あと|ちなみに|しかし|でも|だったら|なら|その|他に|ほかに)"
        r"|[そこあ](?:れ|の|こ|ちら)|[そこ]んな|彼|同じ|前者|後者"
        r"|(?<!と)(?:は|では|なら|も|には|だと|だったら)\W*$"
    ),
}
_REWRITE = {
    "en": "Write the last question so that it can be understood without the conversation. Put names for words such as "
    "'it' and 'they', and add what it leaves out. Write only the question; do not answer it.",
    "ja": "会話の最後の質問を、会話を読まなくても意味が分かるように書き直してください。"
    "代名詞は名前に置き換え、省かれた語を補ってください。質問だけを書き、答えないでください。",
}
_SAID = {"en": ("User", "Assistant", "Last question"), "ja": ("利用者", "回答", "最後の質問")}


def needs_context(question: str) -> bool:
    """Tell whether a question probably needs its context to be understood.

    Args:
        question: A question in English or Japanese.

    Returns:
        True for a question with a pronoun and the like, and for one with hardly any content words.
    """
    question = unicodedata.normalize("NFKC", question)
    return bool(_LEANING[language_of(question)].search(question)) or len(content_words(question)) <= _FEW_WORDS


def with_context_words(earlier: Sequence[str], question: str) -> str:
    """Add content words of earlier questions to a question.

    Args:
        earlier: The earlier questions, oldest first.
        question: The question.

    Returns:
        A query to search for.
    """
    own, carried = {word.casefold() for word in content_words(question)}, list[str]()
    for before in reversed(earlier[-_QUESTIONS_BACK:]):
        words = dict.fromkeys(word for word in content_words(before) if word.casefold() not in own)
        carried += [word for word in words if word not in carried]
        if len(words) >= _ENOUGH_WORDS:
            break
    return " ".join([question, *carried[:_MOST_WORDS]])


def rewrite_request(question: str, history: Sequence[Message]) -> tuple[str, list[Message]]:
    """Write the prompt that asks a model to rewrite a question so that it needs no context.

    Args:
        question: The question.
        history: The messages before it, oldest first.

    Returns:
        A system prompt, and the messages.
    """
    user, assistant, last = _SAID[language_of(question)]
    names = {"user": user, "assistant": assistant}
    said = [f"{names[m.role]}: {' '.join(m.content.split())[:_ANSWER_SHOWN]}" for m in history[-2 * _TURNS_SHOWN :]]
    return _REWRITE[language_of(question)], [Message("user", "\n".join([*said, f"{last}: {question}"]))]


def is_usable(rewritten: str, question: str, history: Sequence[Message]) -> bool:
    """Tell whether a model's rewriting can be searched for: a small model may answer instead, or change the subject.

    Args:
        rewritten: What the model wrote.
        question: The question.
        history: The messages before it.

    Returns:
        True if it has all content words of the question and further ones, at least half of them from the history.
    """
    asked, wrote = content_terms(question), content_terms(rewritten)
    new = wrote - asked
    said = content_terms(" ".join(message.content for message in history[-2 * _TURNS_SHOWN :]))
    return asked <= wrote and bool(new) and len(new & said) * 2 >= len(new)
