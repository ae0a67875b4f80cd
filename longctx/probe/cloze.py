"""Sentences of a user's text with a word to ask for, chosen without a model.

What makes a good question is hard to say in general. Here the missing word must stand once in the whole text, so that
no other passage gives it away, and numbers and names come before other words, since they cannot be guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from indexes.text import folded, on_one_line, sentence_spans

_MOST = 100  # sentences: enough to draw from
_ENOUGH = 20  # of these, no common words are asked for, which can be guessed more easily
# of a sentence in UTF-8, where a kana or kanji has three and says about as much as three letters
_BYTES = range(40, 400)
_SENTENCE = re.compile(r"[^\W\d_a-z][^|]*[.!?。！？][\"'”’」』)）]?", re.DOTALL)  # no heading, list item or table row
_LETTER = r"A-Za-zÀ-ÖØ-öø-ÿ"
# In the order of preference. Digits touch neither letters nor other digits; kanji may stand right behind them.
_TELLING = re.compile(
    rf"""(?P<number>(?<![{_LETTER}\d.,:/-])\d[\d.,]*\d(?![{_LETTER}\d:/-])|[〇一二三四五六七八九十百千万]{{2,}}[一-鿿]*)
       | (?P<name>(?<=[^.!?\s]\s)[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ]{{3,}}(?![{_LETTER}'’-])|[ァ-ヺー]{{3,}})
       | (?P<word>(?<=\s)[a-zß-öø-ÿ]{{7,}}(?![{_LETTER}'’-])|[一-鿿々]{{2,}})
    """,
    re.VERBOSE,
)
_KINDS = tuple(_TELLING.groupindex)


@dataclass(frozen=True, slots=True)
class Cloze:
    """A sentence, and the word of it that a question leaves out.

    Attributes:
        sentence: The sentence.
        answer: The word or number; it stands in the sentence once.
    """

    sentence: str
    answer: str

    def blanked(self, blank: str) -> str:
        """The sentence on one line, with a blank in the place of the answer."""
        return on_one_line(self.sentence.replace(self.answer, blank))


@lru_cache(4)
def find_clozes(text: str) -> tuple[Cloze, ...]:
    """Find sentences with a word that stands nowhere else in the text.

    Args:
        text: The text, in English or Japanese.

    Returns:
        Up to a hundred, one of a sentence, those that lack a number or a name first. The same text gives the same ones.
    """
    whole = folded(text)
    counts = Counter(folded(word.group()) for word in _TELLING.finditer(text))
    sentences = [text[start:end] for start, end in sentence_spans(text)]
    candidates = [
        (_KINDS.index(str(word.lastgroup)), word.group(), sentence)
        for sentence in sentences
        if len(sentence.encode()) in _BYTES and _SENTENCE.fullmatch(sentence)
        for word in _TELLING.finditer(sentence)
        if counts[folded(word.group())] == 1
    ]
    Random(0).shuffle(candidates)
    found: dict[str, Cloze] = {}
    for kind, word, sentence in sorted(candidates, key=lambda candidate: candidate[0]):
        if len(found) >= (_ENOUGH if _KINDS[kind] == "word" else _MOST):
            break
        if sentence not in found and whole.count(folded(word)) == 1:  # inside a longer word counts, too
            found[sentence] = Cloze(sentence, word)
    return tuple(found.values())
