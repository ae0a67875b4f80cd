"""The haystack: prose as tokens, sentence by sentence. Knows files and tokens; knows no tasks and no model."""

from __future__ import annotations

import hashlib
import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, chain
from pathlib import Path
from typing import Protocol

from indexes.errors import UnreadableFile
from indexes.readers import read_bytes, read_document
from indexes.text import script_language, sentence_spans
from longctx.errors import BadRequest
from longctx.probe.generated_prose import filler_sentences
from longctx.probe.prompts import Prompting, TokenIds
from longctx.probe.task_texts import LANGUAGES

_AT_ONCE = 64  # sentences that are made up at a time
_LONGEST_SENTENCE = 1024  # tokens


@dataclass(frozen=True, slots=True)
class Text:
    """A text to hide needles in; `name` is None and the text empty for one that is to be made up."""

    name: str | None
    content: str

    @property
    def language(self) -> str:
        """'ja' or 'en', as its letters say."""
        return "ja" if script_language(self.content) == "ja" else "en"

    @property
    def sha256(self) -> str:
        """A hash of the content."""
        return hashlib.sha256(self.content.encode()).hexdigest()


def read_text(file: Path | None) -> Text:
    """Read a user's text, in any format that `longctx ingest` reads; None is for prose made up. Raises BadRequest."""
    if file is None:
        return Text(None, "")
    try:
        return Text(file.name, read_document(file, read_bytes(file)).text)
    except UnreadableFile as error:
        raise BadRequest(f"--text {file}: {error}") from error


class Source(Protocol):
    """Prose in the tokens of one model."""

    def prose(self, tokens: int, draw: random.Random) -> list[TokenIds]:
        """Sentences that make up exactly `tokens` tokens, the last one cut short; `draw` chooses which."""

    def ending(self, tokens: int, before: int) -> TokenIds:
        """The `tokens` tokens that end `before` tokens from the end, the same end whatever their number."""


class Book:
    """A user's text: `tokens` of them in `sentences`, each with the white space before it."""

    def __init__(self, sentences: list[TokenIds]) -> None:
        self.sentences = sentences
        *self._starts, self.tokens = accumulate(map(len, sentences), initial=0)

    def prose(self, tokens: int, draw: random.Random) -> list[TokenIds]:
        """See Source."""
        starts = bisect_right(self._starts, self.tokens - tokens)
        assert starts  # the text's length has been checked
        return cut(iter(self.sentences[draw.randrange(starts) :]), tokens)

    def ending(self, tokens: int, before: int) -> TokenIds:
        """See Source."""
        end = self.tokens - before
        return tuple(chain.from_iterable(self.sentences))[end - tokens : end]


class MadeUp:
    """Prose that is made up, as much as is asked for."""

    def __init__(self, language: str, prompting: Prompting, seed: int) -> None:
        self._language, self._prompting, self._seed = language, prompting, seed

    def prose(self, tokens: int, draw: random.Random) -> list[TokenIds]:
        """See Source."""
        return cut(self._sentences(draw.randrange(2**32)), tokens)

    def ending(self, tokens: int, before: int) -> TokenIds:
        """See Source: the sentences are put together from the last to the first, so that there is always one before."""
        taken = cut(self._sentences(self._seed), tokens + before + _LONGEST_SENTENCE)
        ids = tuple(chain.from_iterable(reversed(taken[:-1])))
        return ids[len(ids) - before - tokens : len(ids) - before]

    def _sentences(self, seed: int) -> Iterator[TokenIds]:
        sentences, space = filler_sentences(self._language, seed), LANGUAGES[self._language].space
        while True:
            yield from self._prompting.following(space + next(sentences) for _ in range(_AT_ONCE))


def open_source(text: Text, language: str, prompting: Prompting, *, needed: int, seed: int) -> Source:
    """A text as tokens, `needed` of them or more; what is made up is in `language`. Raises BadRequest if too short."""
    if text.name is None:
        return MadeUp(language, prompting, seed)
    ends = [end for _, end in sentence_spans(text.content)]
    pieces = [text.content[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    book = Book(prompting.following(pieces))
    if book.tokens < needed:
        raise BadRequest(
            f"{text.name} has {book.tokens} tokens, and {needed} are needed: "
            "give a longer text, shorter lengths or fewer windows, or no text to have one made up"
        )
    return book


def cut(sentences: Iterator[TokenIds], tokens: int) -> list[TokenIds]:
    """The first of the sentences, as many as make up `tokens` tokens; the last one is cut short."""
    taken: list[TokenIds] = []
    while tokens > 0:
        sentence = next(sentences)[:tokens]
        taken.append(sentence)
        tokens -= len(sentence)
    return taken
