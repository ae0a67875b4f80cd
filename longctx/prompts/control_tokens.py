"""Text that imitates what steers a model, made harmless. Knows tokenizers; knows no templates and no documents.

A document may hold `</s>` or `[/INST]`. Such a string gets a space after its first character (`< /s>`, `[ /INST]`), in
the prompt alone: the places that citations name are those of the document. A space is seen by whoever reads the
prompt, survives every normaliser (a zero-width character is dropped by some, which would put the string together
again), and costs a token at most. Special tokens are not split by the tokenizer's own switch, because that is a state
of the tokenizer that threads share.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from longctx.errors import BadRequest

_OPENING, _CLOSING = "<[{|", ">]}|"
_LONGEST_SHOWN = 40  # characters of a refused text in a message


class EscapedText:
    """Takes from `strings`, and from what is like `kind`, the meaning that a model could give to them."""

    def __init__(self, strings: Iterable[str], kind: re.Pattern[str] | None = None) -> None:
        longest_first = sorted({s for s in strings if len(s) > 1}, key=lambda string: (-len(string), string))
        patterns = [*map(re.escape, longest_first), *([] if kind is None else [kind.pattern])]
        self._pattern = re.compile("|".join(patterns) or r"(?!)")

    def harmless(self, text: str) -> str:
        """The text with a space after the first character of every such string, and of those that this makes."""
        while True:
            broken = self._pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
            if broken == text:
                return text
            text = broken


class ControlTokens(EscapedText):
    """Knows the strings that a tokenizer, and a template's `markers`, give a meaning to, and takes it from them."""

    def __init__(self, tokenizer: Any, markers: Iterable[str] = ()) -> None:
        tokens = control_tokens(tokenizer)
        self.ids = frozenset(tokens.values())
        super().__init__({*tokens, *markers})

    def check(self, text: str, ids: Sequence[int]) -> None:
        """Raise BadRequest if a text became control tokens all the same, through what its tokenizer normalises."""
        if self.ids.isdisjoint(ids):
            return
        raise BadRequest(
            f"the tokenizer reads a control token in {text.strip()[:_LONGEST_SHOWN]!r}: take it out of the text"
        )


def control_tokens(tokenizer: Any) -> dict[str, int]:
    """The strings of a tokenizer that become one token of special meaning, and those tokens.

    Tokens that are special, and added ones that look like markup, since many tokenizers do not call theirs special
    (`<tool_call>`). Not the token for what is unknown: ordinary text becomes that.
    """
    found = {str(token): tokenizer.convert_tokens_to_ids(str(token)) for token in tokenizer.all_special_tokens}
    for number, token in tokenizer.added_tokens_decoder.items():
        if token.special or _is_markup(token.content):
            found[token.content] = number
    spelt = {string.replace("\u2581", " ").strip(): number for string, number in found.items()}
    return {string: number for string, number in spelt.items() if string and number != tokenizer.unk_token_id}


def _is_markup(string: str) -> bool:
    string = string.strip()
    return len(string) > 2 and string[0] in _OPENING and string[-1] in _CLOSING
