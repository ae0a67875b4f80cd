"""Escaping control tokens in text that users and documents bring.

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


class Escaper:
    """Escapes strings that could steer a model.

    Args:
        strings: The strings.
        kind: A pattern of further ones.
    """

    def __init__(self, strings: Iterable[str], kind: re.Pattern[str] | None = None) -> None:
        longest_first = sorted({s for s in strings if len(s) > 1}, key=lambda string: (-len(string), string))
        patterns = [*map(re.escape, longest_first), *([] if kind is None else [kind.pattern])]
        self._pattern = re.compile("|".join(patterns) or r"(?!)")

    def escape(self, text: str) -> str:
        """Put a space after the first character of every such string, and of those that this makes.

        Args:
            text: The text of a user or a document.

        Returns:
            The text without such strings.
        """
        while True:
            broken = self._pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
            if broken == text:
                return text
            text = broken


class ControlTokenEscaper(Escaper):
    """Escapes a tokenizer's control tokens.

    Args:
        tokenizer: The tokenizer.
        markers: What the prompt template gives a meaning to beside them.
    """

    def __init__(self, tokenizer: Any, markers: Iterable[str] = ()) -> None:
        tokens = control_tokens(tokenizer)
        self.ids = frozenset(tokens.values())
        super().__init__({*tokens, *markers})

    def check(self, text: str, ids: Sequence[int]) -> None:
        """Check that an escaped text has no control tokens: some tokenizers normalise text into them.

        Args:
            text: The escaped text.
            ids: Its token ids.

        Raises:
            BadRequest: If there is a control token among the ids.
        """
        if self.ids.isdisjoint(ids):
            return
        raise BadRequest(
            f"the tokenizer reads a control token in {text.strip()[:_LONGEST_SHOWN]!r}: take it out of the text"
        )


def control_tokens(tokenizer: Any) -> dict[str, int]:
    """Find a tokenizer's control tokens.

    Special tokens, and added ones that look like markup, since many tokenizers do not call theirs special
    (`<tool_call>`); not the unknown token, which ordinary text becomes.

    Args:
        tokenizer: The tokenizer.

    Returns:
        Token ids by the tokens' strings.
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
