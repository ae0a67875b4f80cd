"""The haystack: a user's text or generated prose, as sentences for the tasks and as token ids for perplexity."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from indexes.errors import UnreadableFile
from indexes.readers import read_bytes, read_document
from indexes.text import script_language, sentence_spans
from longctx.errors import BadRequest
from longctx.probe.cloze import Cloze, find_clozes
from longctx.probe.generated_prose import filler_sentences
from longctx.probe.task_texts import LANGUAGES
from longctx.prompts import TokenIds

_SHORTEST_SENTENCE = 8  # tokens of a generated sentence, in any tokenizer


@dataclass(frozen=True, slots=True)
class Haystack:
    """A text to hide needles in; `name` is None and the text empty where prose is generated."""

    name: str | None
    content: str

    @property
    def language(self) -> str:
        """'ja' or 'en', by the letters of the text."""
        return "ja" if script_language(self.content) == "ja" else "en"

    @property
    def sha256(self) -> str:
        """A hash of the content."""
        return hashlib.sha256(self.content.encode()).hexdigest()

    def sentences(self, language: str, draw: random.Random) -> Iterator[str]:
        """Sentences without end: a user's text goes on at its beginning after its end.

        Args:
            language: The language of generated prose.
            draw: Chooses where to begin.

        Returns:
            The sentences, each with the white space before it.
        """
        if self.name is None:
            space = LANGUAGES[language].space
            return (space + sentence for sentence in filler_sentences(language, draw.randrange(2**32)))
        ends = [end for _, end in sentence_spans(self.content)]
        sentences = [self.content[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        start = draw.randrange(len(sentences))
        return cycle(sentences[start:] + sentences[:start])

    def clozes(self, least: int) -> tuple[Cloze, ...]:
        """Sentences to ask about, `least` or more. Raises BadRequest where a user's text has fewer."""
        clozes = find_clozes(self.content)
        if len(clozes) < least:
            raise BadRequest(
                f"{self.name} has {len(clozes)} sentences with a word or number that stands nowhere else in it, and "
                f"the task reading needs {least}: give a longer text, or other tasks (--tasks needle,perplexity)"
            )
        return clozes

    def token_ids(self, tokenizer: Any, tokens: int, seed: int) -> TokenIds:
        """The last `tokens` tokens, the same ones at the end for any number of them. Raises BadRequest if too short."""
        content = self.content
        if self.name is None:  # the first sentence comes last, so that a longer text has more before the same end
            sentences = islice(filler_sentences(self.language, seed), tokens // _SHORTEST_SENTENCE + 1)
            content = LANGUAGES[self.language].space.join(reversed(list(sentences)))
        ids = tokenizer(content, add_special_tokens=False, verbose=False)["input_ids"]
        if len(ids) < tokens:
            raise BadRequest(
                f"{self.name} has {len(ids)} tokens, and {tokens} are needed: "
                "give a longer text, shorter lengths or fewer windows, or no text to have one made up"
            )
        return tuple(ids[-tokens:])


def read_haystack(file: Path | None) -> Haystack:
    """Read a user's text in any format that `longctx ingest` reads; None is for generated prose. Raises BadRequest."""
    if file is None:
        return Haystack(None, "")
    try:
        return Haystack(file.name, read_document(file, read_bytes(file)).text)
    except UnreadableFile as error:
        raise BadRequest(f"--text {file}: {error}") from error
