"""Prompt templates: a conversation as each family of models was trained to read it.

A template gives *pieces*: token ids, and text that is tokenised by itself, as the family's own code tokenises it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from longctx.errors import BadRequest
from longctx.prompts.thinking_switches import cannot_be_off, switched, thought_tag
from longctx.prompts.thinking_tags import closing_of, opened_in
from longctx.prompts.wording import PROMPT_TEXTS, prompt_texts
from longctx.types import Message, ThinkingMode

Piece = int | str


class PromptTemplate(Protocol):
    """How a conversation is written for a model."""

    @property
    def name(self) -> str:
        """The name in settings and messages."""

    @property
    def markers(self) -> Sequence[str]:
        """Plain strings that the template gives a meaning to; in the texts of users and documents they are escaped."""

    @property
    def stops(self) -> Sequence[str]:
        """Strings before which an answer ends, for models that do not end their turn by themselves."""

    def render(self, tokenizer: Any, system: str, messages: Sequence[Message]) -> list[Piece]:
        """Write a conversation that ends with the user's turn, up to where the model's answer begins.

        Args:
            tokenizer: The model's tokenizer.
            system: The system prompt; empty for none.
            messages: What was said, the user first and last. Each text is written once, as it is.

        Returns:
            Pieces: token ids, and text that is tokenised by itself.

        Raises:
            BadRequest: If the conversation cannot be written.
        """


@dataclass(frozen=True, slots=True)
class Llama2Template:
    """Llama 2 Chat's template, as in `chat_completion` of Meta's reference code (llama/generation.py).

    Each turn is tokenised by itself, between a BOS and an EOS; the system prompt stands in the first one.
    `default_system` begins every system prompt, and `after_inst` follows the last [/INST].
    """

    name: str = "llama-2"
    default_system: str = ""
    after_inst: str = ""
    markers: tuple[str, ...] = ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>")
    stops: tuple[str, ...] = ()

    def render(self, tokenizer: Any, system: str, messages: Sequence[Message]) -> list[Piece]:
        """One piece of text for each turn. Raises BadRequest for a tokenizer without BOS or EOS."""
        check_turns(messages)
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        if bos is None or eos is None:
            raise BadRequest(
                f"the template {self.name} puts every turn between a BOS and an EOS, and the tokenizer has no "
                f"{'BOS' if bos is None else 'EOS'}: choose another (template='plain')"
            )
        texts = [message.content.strip() for message in messages]
        system = "\n".join(part.strip() for part in (self.default_system, system) if part.strip())
        if system:
            texts[0] = f"<<SYS>>\n{system}\n<</SYS>>\n\n{texts[0]}"
        pieces: list[Piece] = []
        for said, answer in zip(texts[:-1:2], texts[1::2], strict=True):
            pieces += [bos, f"[INST] {said} [/INST] {answer} ", eos]
        return [*pieces, bos, f"[INST] {texts[-1]} [/INST]{self.after_inst}"]


_PYTHON = re.compile(r"(?i)(?<![a-z])python(?![a-z\]])")  # and not [PYTHON]
_TAGGED = "Your code should start with a [PYTHON] tag and end with a [/PYTHON] tag."


class CodeLlamaTemplate(Llama2Template):
    """Code Llama Instruct's template: Llama 2's, with Python code between tags, as it was fine-tuned to write it.

    Rozière et al., "Code Llama", arXiv 2308.12950, appendix "Self training prompts". Its questions end so.
    """

    def render(self, tokenizer: Any, system: str, messages: Sequence[Message]) -> list[Piece]:
        """As Llama 2's; a question about Python is told where its code is to stand."""
        last = messages[-1]
        if _PYTHON.search(last.content):
            last = Message(last.role, f"{last.content.strip()}\n{_TAGGED}")
        return super().render(tokenizer, system, [*messages[:-1], last])


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """The Jinja template that a tokenizer carries, rendered by transformers in its sandbox.

    Where it knows no system prompt, that begins the first message. `thinking` sets the template's own switch for it.
    """

    name: str = "chat"
    markers: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()
    thinking: ThinkingMode = "auto"

    def render(self, tokenizer: Any, system: str, messages: Sequence[Message]) -> list[Piece]:
        """One piece of text. Raises BadRequest for a tokenizer without a template and one that does not render."""
        check_turns(messages)
        if not tokenizer.chat_template:
            raise BadRequest("the tokenizer carries no chat template: choose another (template='plain')")
        turns = [(message.role, message.content) for message in messages]
        switch = self._switch(tokenizer)
        if not system:
            return [self._closed(_rendered(tokenizer, turns, switch), tokenizer)]
        with suppress(BadRequest):
            text = _rendered(tokenizer, [("system", system), *turns], switch)
            if system in text and not _is_rendered(tokenizer, [("user", system), *turns], switch, text):
                return [self._closed(text, tokenizer)]
        text = _rendered(tokenizer, [("user", f"{system}\n\n{turns[0][1]}"), *turns[1:]], switch)
        return [self._closed(text, tokenizer)]

    def _switch(self, tokenizer: Any) -> dict[str, bool | str]:
        """The template's variables for thinking, as they are wanted."""
        carried = str(tokenizer.chat_template)
        switch = {} if self.thinking == "auto" else switched(carried, on=self.thinking == "on")
        if self.thinking == "on" and not switch and thought_tag(carried) is None:
            raise BadRequest("thinking is 'on', and the model's chat template has no switch for it: leave it out")
        return switch

    def _closed(self, text: str, tokenizer: Any) -> str:
        """The prompt; thoughts that are not wanted are closed at once where the template has no switch."""
        carried = str(tokenizer.chat_template)
        if self.thinking != "off" or cannot_be_off(carried):
            return text
        opened = opened_in(text)
        if opened is not None:
            return f"{text.rstrip()}\n\n{closing_of(opened)}\n\n"
        tag = None if self._switch(tokenizer) else thought_tag(carried)
        return text if tag is None else f"{text}{tag}\n\n{closing_of(tag)}\n\n"


def _rendered(tokenizer: Any, turns: Sequence[tuple[str, str]], switch: dict[str, bool | str]) -> str:
    conversation = [{"role": role, "content": content} for role, content in turns]
    try:
        text: str = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True, **switch)
    except Exception as error:  # a template can raise whatever it likes
        raise BadRequest(
            f"the tokenizer's chat template does not render ({' '.join(str(error).split())}): mend it, or choose "
            "another (template='plain')"
        ) from error
    return text


def _is_rendered(tokenizer: Any, turns: Sequence[tuple[str, str]], switch: dict[str, bool | str], text: str) -> bool:
    """Whether turns are rendered as `text`: as with a system prompt, where a template writes all roles alike."""
    try:
        return _rendered(tokenizer, turns, switch) == text
    except BadRequest:
        return False


@dataclass(frozen=True, slots=True)
class PlainTemplate:
    """For models that were trained on text alone: what was said, one below the other, and where the answer begins."""

    name: str = "plain"
    markers: tuple[str, ...] = ()
    stops: tuple[str, ...] = tuple(f"\n{wording.question}" for wording in PROMPT_TEXTS.values())

    def render(self, tokenizer: Any, system: str, messages: Sequence[Message]) -> list[Piece]:
        """The BOS, if there is one, and one piece of text."""
        check_turns(messages)
        answer = prompt_texts(messages[-1].content).answer
        said = [f"{answer} {m.content}" if m.role == "assistant" else m.content for m in messages]
        text = "\n".join([*([f"{system}\n"] if system else []), *said, answer])
        bos = tokenizer.bos_token_id
        return [text] if bos is None else [bos, text]


_CODE_TAGS = ("[PYTHON]", "[/PYTHON]", "[TESTS]", "[/TESTS]")
_ELYZA_SYSTEM = "あなたは誠実で優秀な日本人のアシスタントです。"

TEMPLATES: dict[str, PromptTemplate] = {
    "llama-2": Llama2Template(),
    "code-llama": CodeLlamaTemplate("code-llama", markers=(*Llama2Template().markers, *_CODE_TAGS)),
    # https://huggingface.co/elyza/ELYZA-japanese-Llama-2-7b-instruct: its prompt ends with a space
    "elyza": Llama2Template("elyza", default_system=_ELYZA_SYSTEM, after_inst=" "),
    "chat": ChatTemplate(),
    "plain": PlainTemplate(),
}
"""Templates by name; add your own under another."""

# Code Llama 70B and ELYZA's Llama 3 carry other templates of their own
_BY_NAME = (
    ("elyza", re.compile(r"elyza.*(llama-?2|codellama).*instruct", re.IGNORECASE)),
    ("code-llama", re.compile(r"code-?_?llama-?_?(7|13|34)b.*instruct", re.IGNORECASE)),
    ("llama-2", re.compile(r"llama-?_?2.*chat", re.IGNORECASE)),
)


def choose_template(wanted: str | PromptTemplate | None, model: str, tokenizer: Any) -> PromptTemplate:
    """Choose the template for a model.

    Args:
        wanted: A template or its name; None chooses by the model's name and the template that its tokenizer carries.
        model: The model's name.
        tokenizer: The model's tokenizer.

    Returns:
        The template.

    Raises:
        BadRequest: For a name that is no template's.
    """
    if wanted is None:
        return TEMPLATES[_family(model, tokenizer)]
    if not isinstance(wanted, str) and hasattr(wanted, "markers"):
        return wanted
    if not isinstance(wanted, str) or wanted not in TEMPLATES:
        raise BadRequest(f"there is no template {wanted!r}: use {', '.join(TEMPLATES)}")
    return TEMPLATES[wanted]


def _family(model: str, tokenizer: Any) -> str:
    carried = str(tokenizer.chat_template or "")
    if carried and "[INST]" not in carried:
        return "chat"
    name = "/".join(model.replace("\\", "/").rstrip("/").split("/")[-2:])
    for family, pattern in _BY_NAME:
        if pattern.search(name):
            return family
    if not carried:
        return "plain"
    return "llama-2" if "<<SYS>>" in carried else "chat"


def check_turns(messages: Sequence[Message]) -> None:
    """Check that user and assistant take turns, the user first and last.

    Args:
        messages: What was said, oldest first.

    Raises:
        BadRequest: If they do not.
    """
    roles = [message.role for message in messages]
    wrong = next((i for i, role in enumerate(roles) if role != ("user", "assistant")[i % 2]), None)
    if wrong is not None:
        raise BadRequest(
            f"message {wrong + 1} is the {roles[wrong]}'s: user and assistant take turns, and the user begins"
        )
    if len(roles) % 2 == 0:
        raise BadRequest(f"the conversation of {len(roles)} messages does not end with the user's: add the question")
