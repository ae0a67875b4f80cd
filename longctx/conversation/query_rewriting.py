"""Query rewriting: completing follow-up questions for the search.

"And in 2019?" finds nothing by itself. Content words of the last questions are added to it (`with_context_words`); or a
model rewrites it (`rewrite_request`), and what it wrote is searched for if it is the same question (`is_usable`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from indexes.text import content_terms, content_words, sentence_spans
from longctx.prompts import language_of
from longctx.types import Message

REWRITTEN_TOKENS = 64  # the longest question that a model may write
_TURNS_SHOWN = 3  # to the model that rewrites
_ANSWER_SHOWN = 300  # characters of each answer
_QUESTIONS_BACK = 3  # that words are carried over from
_FEW_WORDS = 1  # content words of a question that is too short to stand alone
_ENOUGH_WORDS = 2  # content words that are enough to tell the subject
_MOST_WORDS = 8  # carried over
_INVENTED = 1  # content words of a rewriting that were not said before

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
_SAID = {"en": ("User", "Assistant"), "ja": ("利用者", "回答")}
_TASK = {  # it stands last, behind the conversation: a model answers what it reads last
    "en": "The conversation so far:\n{said}\n\nA follow-up question:\n{question}\n\nDo not answer it. Write the "
    "follow-up question again as one full question that can be understood without the conversation: put names for "
    "words such as 'it' and 'they', and add what it leaves out. Write only that question.",
    "ja": "これまでの会話：\n{said}\n\n続きの質問：\n{question}\n\nこの質問には答えないでください。"
    "会話を読まなくても意味が分かるように、続きの質問を一つの完全な質問文に書き直してください。"
    "代名詞は名前に置き換え、省かれた語を補い、その質問文だけを書いてください。",
}
_LABEL = re.compile(
    r"(?i)^(?:\W*(?:(?:re)?(?:written|phrased) |full |standalone |follow-up )*question\W*[:：]|"
    r"(?:書き直した|完全な|続きの)?質問(?:文)?\s*[:：])\s*"
)
_QUOTES = "\"'“”‘’「」『』`* "
_MOST_CHARACTERS = 300
_ASKS = {
    "en": re.compile(
        r"(?i)^(?:(?:and|but|so|then|also|in|on|at|by|for|from|with|to|of|during|after|before|under|since|until|about|how)\b"
        r"[^.!?]{0,60}?\b)?(?:who|whom|whose|what|when|where|which|why|how|is|are|was|were|do|does|did|can|could|will|would|"
        r"should|shall|has|have|had|may|might|must|name|list|tell|give|describe|explain|state)\b"
    ),
    "ja": re.compile(
        r"(?:何|誰|だれ|いつ|どこ|どの|どんな|どう|どちら|どれ|なぜ|なん|いくつ|いくら|どういう|いかに)|(?:か|かな|の|でしょう|ですか|ますか)[?？。]*$"
    ),
}
_WH = re.compile(r"(?i)\b(?:who|whom|whose|what|when|where|which|why|how)\b")
_ANSWERS = {
    "en": re.compile(r"(?i)^(?:yes|no|sure|certainly|of course|the answer|answer|it is|it was|they|he|she|i)\b"),
    "ja": re.compile(r"^(?:はい|いいえ|答え|回答|承知|わかりました)|(?:です|でした|ます|ました|である|だった)。?$"),
}


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
        A system prompt, which is empty, and the messages; the task stands last.
    """
    language = language_of(question)
    names = dict(zip(("user", "assistant"), _SAID[language], strict=True))
    said = [f"{names[m.role]}: {' '.join(m.content.split())[:_ANSWER_SHOWN]}" for m in history[-2 * _TURNS_SHOWN :]]
    return "", [Message("user", _TASK[language].format(said="\n".join(said), question=question))]


def rewriting_in(reply: str) -> str:
    """The rewritten question in a model's reply: its first line, without a label or quotation marks.

    Args:
        reply: What the model wrote.

    Returns:
        The text; empty for an empty reply.
    """
    lines = [line.strip() for line in reply.strip().splitlines() if line.strip()]
    if len(lines) > 1 and _LABEL.fullmatch(lines[0]):  # the label stands alone
        lines = lines[1:]
    return _LABEL.sub("", lines[0].strip(_QUOTES)).strip(_QUOTES) if lines else ""


def is_question(text: str) -> bool:
    """Whether a text has the form of one question.

    Args:
        text: A text in English or Japanese.

    Returns:
        True for one sentence that asks; False for a statement, for several sentences, and for what is too long.
    """
    text = unicodedata.normalize("NFKC", text).strip()
    language = language_of(text)
    sentences = [text[start:end] for start, end in sentence_spans(text)]
    if len(sentences) != 1 or len(text) > _MOST_CHARACTERS or _ANSWERS[language].search(text):
        return False
    marked = text.endswith("?") and (language == "ja" or _WH.search(text) is not None)
    return marked or _ASKS[language].search(text) is not None


def is_usable(rewritten: str, question: str, history: Sequence[Message]) -> bool:
    """Tell whether a model's rewriting can be searched for: a small model may answer instead, or change the subject.

    Args:
        rewritten: What the model wrote.
        question: The question.
        history: The messages before it.

    Returns:
        True for a question that has all content words of the one that was asked, and further ones, of which all but one
        are from the history.
    """
    asked, wrote = content_terms(question), content_terms(rewritten)
    new = wrote - asked
    said = content_terms(" ".join(message.content for message in history[-2 * _TURNS_SHOWN :]))
    from_history = bool(new & said) and len(new - said) <= _INVENTED
    return is_question(rewritten) and asked <= wrote and from_history
