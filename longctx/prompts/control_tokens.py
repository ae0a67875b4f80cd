"""Escaping control tokens in text that users and documents bring.

A document may hold `</s>` or `[/INST]`. Such a string gets a space after its first character (`< /s>`, `[ /INST]`), in
the prompt alone: the places that citations name are those of the document. A space is seen by whoever reads the
prompt, survives every normaliser (a zero-width character is dropped by some, which would put the string together
again), and costs a token at most. So does a string that only a normaliser makes one of these of (`＜/s＞`): texts are
compared after folding (`longctx.prompts.folding`). Special tokens are not split by the tokenizer's own switch, because
that is a state of the tokenizer that threads share.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from longctx.prompts.folding import fold, folded_places

_OPENING, _CLOSING = "<[{|", ">]}|"

# What control tokens look like in the families that people serve, whose tokenizers are not here to be asked, and the
# marks of turns in chat templates, which need not be tokens. Lengths are bounded, so that the search is linear.
LOOKS_SPECIAL = re.compile(
    "|".join(
        (
            r"</?[|｜][^<>\n]{1,80}>",  # <|im_start|>, and with one bar at its end <|turn> and <｜DSML｜invoke>
            r"<[^|｜<>\s][^<>\n]{0,80}[|｜]>",  # Gemma 4's <turn|>
            r"<[A-Z]{2,8}\|LLM-jp>",
            r"\[[|｜][^\[\]\n]{1,80}[|｜]\]",  # EXAONE's [|user|]
            r"\[/?[A-Z][A-Z_]{2,40}\]|\[[gs]MASK\]",  # Mistral's [TOOL_CALLS], GLM's [gMASK]
            r"<</?SYS>>|<\[[^\[\]<>\n]{1,80}\]>",  # Llama 2's, Seed's <[PLHD…]>
            r"</?(?:s|bos|eos|eot|eom|eod|pad|unk|mask|cls|sep|sop|eop|AI|用户|role|escape)>",
            r"</?(?:image|audio|video)>|</?think\w{0,8}>",
            r"</?(?:start|end|begin)_\w{1,40}>",  # Gemma's <start_of_turn>
            r"</?(?:[a-z]{1,20}[:_])?(?:tool|function)s?(?:_\w{1,40})?>|</?arg_(?:key|value)>",
            r"</?longcat_\w{1,40}>|</?(?:seed|mask):[\w-]{1,20}>",
            r"<_(?:user|bot|system|end)>",
            r"</?(?:extra_id_|reserved_|unused|ctrl|SPECIAL_|fim_|file_sep|repo_name|commit_|issue_)\w{0,40}>",
            r"<[A-Z][A-Z_]{1,30}_TOKEN>|<0x[0-9A-F]{2}>",  # Command R's, the bytes of SentencePiece
            r"\]~!?b[\[\]]|\[e~\[",  # MiniMax's
        )
    )
)


class Escaper:
    """Escapes strings that could steer a model.

    Args:
        strings: The strings.
        kind: A pattern of further ones.
    """

    def __init__(self, strings: Iterable[str], kind: re.Pattern[str] | None = None) -> None:
        known = {s for s in strings if len(s) > 1}
        self._pattern = _any_of(known, kind)
        self._folded = _any_of({s for s in map(fold, known) if len(s) > 1}, kind)

    def escape(self, text: str) -> str:
        """Put a space after the first character of every such string, and of those that this makes.

        Args:
            text: The text of a user or a document.

        Returns:
            The text without such strings.
        """
        while True:
            broken = self._pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
            if broken == text and (broken := self._broken_where_folded(text)) == text:
                return text
            text = broken

    def _broken_where_folded(self, text: str) -> str:
        """Put a space into every string that folding makes one of those that are escaped."""
        if self._folded.search(fold(text)) is None:
            return text
        folded, places = folded_places(text)
        parts, rest = list[str](), 0  # the text up to `rest` is in the parts
        for found in self._folded.finditer(folded):
            first, second = places[found.start()], places[found.start() + 1]
            if first < rest:  # it shares a character with the one before, which is broken there
                continue
            if first == second:  # a ligature of both, which is taken apart
                parts += (text[rest:first], " ".join(fold(text[first])))
                rest = first + 1
            else:
                parts += (text[rest:second], " ")
                rest = second
        return "".join((*parts, text[rest:]))


class ControlTokenEscaper(Escaper):
    """Escapes a tokenizer's control tokens.

    Args:
        tokenizer: The tokenizer.
        markers: What the prompt template gives a meaning to beside them.
    """

    def __init__(self, tokenizer: Any, markers: Iterable[str] = ()) -> None:
        tokens = control_tokens(tokenizer)
        self.ids = frozenset(tokens.values())
        template = str(getattr(tokenizer, "chat_template", None) or "")  # whose <|user|> may be no token
        super().__init__({*tokens, *markers, *LOOKS_SPECIAL.findall(template)})

    def harmless(self, text: str, tokenize: Callable[[str], Sequence[int]]) -> str:
        """Escape a text for a tokenizer that may have rules of its own for what becomes a control token.

        Args:
            text: The text.
            tokenize: Returns the token ids of a text.

        Returns:
            The text, with spaces or slashes where the tokenizer would still read a control token.
        """
        return self._apart(self.escape(text), tokenize)

    def _apart(self, text: str, tokenize: Callable[[str], Sequence[int]]) -> str:
        if self.ids.isdisjoint(tokenize(text)):
            return text
        if len(text) <= 1:
            return " "
        left, right = (self._apart(part, tokenize) for part in (text[: len(text) // 2], text[len(text) // 2 :]))
        joined = (f"{left}{between}{right}" for between in ("", " "))
        return next((text for text in joined if self.ids.isdisjoint(tokenize(text))), f"{left} / {right}")


def _any_of(strings: Iterable[str], kind: re.Pattern[str] | None) -> re.Pattern[str]:
    longest_first = sorted(strings, key=lambda string: (-len(string), string))
    patterns = [*map(re.escape, longest_first), *([] if kind is None else [kind.pattern])]
    return re.compile("|".join(patterns) or r"(?!)")


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
