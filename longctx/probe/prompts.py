"""Prompts as tokens: a text, and a question after it, in the form that a model was trained on. Knows tokenizers only.

A text's tokens are put together from those of its sentences, so that a prompt has exactly the length it is to have, and
two texts that begin alike have the same tokens up to where they part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from longctx.errors import BadRequest
from longctx.probe.options import PromptStyle
from longctx.probe.task_texts import Language
from longctx.probe.tasks import Question

TokenIds = tuple[int, ...]
_BEFORE = "a"  # text is tokenised after this letter, since some tokenizers put a space before what comes first
_PLACE = "[[longctx]]"


@dataclass(frozen=True, slots=True)
class Prompting:
    """How a prompt begins (`head`, tokens) and ends: `tail` is what the chat template writes, None without one."""

    tokenizer: Any
    head: TokenIds
    tail: str | None

    @property
    def style(self) -> Literal["chat template", "plain"]:
        """What the prompts are made with."""
        return "plain" if self.tail is None else "chat template"

    @property
    def stop(self) -> tuple[str, ...]:
        """Strings that end an answer: a line is one where no template says how a turn ends."""
        return () if self.tail is not None else ("\n",)

    def suffix(self, question: Question, language: Language) -> TokenIds:
        """The tokens from the end of the text to the beginning of the answer."""
        if self.tail is not None:
            return self.spelt(f"\n\n{question.text}{self.tail}")
        return self.spelt(language.turn.format(question=question.text, lead=question.lead))

    def spelt(self, text: str) -> TokenIds:
        """The tokens of a text as it goes on after other text. Raises BadRequest where the tokenizer lacks letters."""
        (ids,) = self.following([text])
        if self.tokenizer.unk_token_id is not None and self.tokenizer.unk_token_id in ids:
            raise BadRequest(
                f"the tokenizer cannot write {text.strip()!r}: "
                "choose another language (--languages) or needle (--needle)"
            )
        return ids

    def following(self, texts: Iterable[str]) -> list[TokenIds]:
        """The tokens of each text as it goes on after other text."""
        texts = list(texts)
        before = _ids(self.tokenizer, _BEFORE)
        after = self.tokenizer([_BEFORE + text for text in texts], add_special_tokens=False, verbose=False)["input_ids"]
        return [
            tuple(ids[len(before) :]) if tuple(ids[: len(before)]) == before else _ids(self.tokenizer, text)
            for text, ids in zip(texts, after, strict=True)
        ]


def prompting(tokenizer: Any, style: PromptStyle) -> Prompting:
    """The form of a model's prompts: its chat template if it has one, else questions and answers in plain text.

    Raises BadRequest for a template that does not render, or does not hold what it is given.
    """
    if tokenizer.chat_template is None or style == "plain":
        begin = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
        return Prompting(tokenizer, tuple(begin), None)
    try:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": _PLACE}], tokenize=False, add_generation_prompt=True
        )
    except Exception as error:  # a template is a program of the checkpoint's, and fails as it likes
        raise BadRequest(f"the chat template does not render ({error}): use --style plain") from error
    head, place, tail = text.partition(_PLACE)
    if not place:
        raise BadRequest("the chat template leaves out what the user says: use --style plain")
    # The template writes the special tokens itself: adding them again would begin the prompt with two.
    return Prompting(tokenizer, _ids(tokenizer, head), tail)


def _ids(tokenizer: Any, text: str) -> TokenIds:
    return tuple(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
