"""The tokenizer of a GGUF file, as far as prompts need it: llama.cpp tokenizes, and the header names the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from longctx.errors import BadRequest, ModelUnavailable
from longctx.models import GgufFile
from longctx.prompts import PromptTemplate, choose_template

_CONTROL, _USER_DEFINED = 3, 4  # kinds of tokens in the header
_SENTENCEPIECE = {"bos": 1, "eos": 2, "unknown": 0}  # llama.cpp's, where a header names none


@dataclass(frozen=True, slots=True)
class AddedToken:
    """A token that text is never divided into otherwise.

    Attributes:
        content: Its string.
        special: Whether it steers the model.
    """

    content: str
    special: bool


class GgufTokenizer:
    """What transformers calls a tokenizer, from a header and llama.cpp.

    Args:
        file: The file.
        tokenize: Tokenizes texts, without special tokens of its own, reading those that stand in them.
    """

    def __init__(self, file: GgufFile, tokenize: Callable[[Sequence[str]], list[list[int]]]) -> None:
        self._file, self._tokenize = file, tokenize
        self._tokens: list[str] = file.stated("tokenizer.ggml.tokens", [])
        if not self._tokens:
            raise ModelUnavailable(f"{file.path} states no tokenizer.ggml.tokens: give a file that has its tokenizer")
        self.chat_template: str | None = file.stated("tokenizer.chat_template")
        self.eos_token_id = self._special("eos")
        self.unk_token_id = self._special("unknown")
        # of a model that reads texts without one, such as Qwen, the header names one that ends them
        self.bos_token_id = None if self._entry("add_bos_token") is False else self._special("bos")

    def __len__(self) -> int:
        return len(self._tokens)

    def __call__(self, text: str | Sequence[str], **_: Any) -> dict[str, Any]:
        """Tokenize a text, or each of several, without adding special tokens.

        Args:
            text: The text or texts.

        Returns:
            `input_ids`.
        """
        if isinstance(text, str):
            return {"input_ids": self._tokenize([text])[0]}
        return {"input_ids": self._tokenize(text) if text else []}

    @cached_property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The tokens with a meaning of their own, by their ids."""
        kinds = self._entry("token_type") or []
        named = {self._special(name) for name in ("bos", "eos", "eot", "eom")}
        return {
            number: AddedToken(self._tokens[number], kind == _CONTROL or number in named)
            for number, kind in enumerate(kinds)
            if kind in (_CONTROL, _USER_DEFINED) or number in named
        }

    @property
    def all_special_tokens(self) -> list[str]:
        """The strings of the control tokens."""
        return [token.content for token in self.added_tokens_decoder.values() if token.special]

    @cached_property
    def letter(self) -> int:
        """The id of a token that is one Latin letter."""
        return next(number for number, token in enumerate(self._tokens) if token.isascii() and token.isalpha())

    def convert_tokens_to_ids(self, token: str) -> int:
        """The id of a token; KeyError if there is none."""
        return self._ids[token]

    def get_vocab(self) -> dict[str, int]:
        """All tokens with their ids."""
        return dict(self._ids)

    def apply_chat_template(self, conversation: Sequence[dict[str, str]], **_: Any) -> str:
        """Render messages with the template in the header, in transformers' sandbox.

        Args:
            conversation: Messages with `role` and `content`.

        Returns:
            The text, up to where the model's turn begins.
        """
        from transformers.utils.chat_template_utils import render_jinja_template

        names = {"bos_token": self._special("bos"), "eos_token": self.eos_token_id, "unk_token": self.unk_token_id}
        strings = {name: self._tokens[number] for name, number in names.items() if number is not None}
        given: dict[str, Any] = {"chat_template": self.chat_template, "add_generation_prompt": True, **strings}
        rendered: Any = render_jinja_template([list(conversation)], **given)
        return str(rendered[0][0])

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self._tokens)}

    def _entry(self, name: str) -> Any:
        return self._file.stated(f"tokenizer.ggml.{name}")

    def _special(self, name: str) -> int | None:
        default = _SENTENCEPIECE.get(name) if self._entry("model") == "llama" else None
        number = self._entry(f"{name}_token_id")
        number = default if number is None else number
        return number if number is not None and 0 <= number < len(self._tokens) else None


def choose_gguf_template(wanted: str | PromptTemplate | None, model: str, tokenizer: GgufTokenizer) -> PromptTemplate:
    """Choose the template for a model in a GGUF file; for arguments see `choose_template`.

    Most of these files are of chat models, and one without a template is more often ill made than a base model's. So
    texts are not simply continued where nobody asks for that.

    Returns:
        The template.

    Raises:
        BadRequest: For a name that is no template's, and for a file that has none and whose name is of no known family.
    """
    chosen = choose_template(wanted, model, tokenizer)
    if wanted is None and chosen.name == "plain":
        raise BadRequest(
            f"{model} holds no chat template: choose one (--template llama-2, or --template plain for a base model)"
        )
    return chosen
