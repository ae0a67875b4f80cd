"""Drafts of questions from an index, without a model: sentences of its documents with a word left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random

from indexes import CorpusIndex
from indexes.text import content_words, ends_sentence, on_one_line, script_language, sentence_spans
from longctx.evaluation.questions import Question

_LENGTHS = {"en": (40, 240), "ja": (14, 120)}  # characters of a sentence that says enough and is still one
_TELLING = 4  # words that a sentence must have beside the one that is left out
_FREQUENT = 4  # a word that a document has more often says little about one of its sentences
_SHORTEST = {"en": 4, "ja": 2}  # characters of a word that is left out, unless it is a number
_NO_PROSE = re.compile(r"[#|>*\-+=`~<{\[•・]|\d+[.)．）、]")  # how headings, tables, lists, quotations and code begin
_NUMBER = re.compile(r"(?<![\w.,/:-])\d[\d.,:]*\d(?![\w/-])|(?<![\w.,/:-])\d(?![\w.,/:-])")
_NUMBER_JA = re.compile(r"\d[\d.,]*\d|\d|[〇一二三四五六七八九十百千万億]{2,}")
_FORMS = {
    "en": ('Which word is missing: "{}"?', "____"),
    "ja": ("「{}」の＿＿は何ですか。", "＿＿"),
}


def draft_questions(index: CorpusIndex, count: int, seed: int = 0) -> tuple[Question, ...]:
    """Draft questions by quoting sentences with a telling word or number left out; they are to be edited.

    Sentences are taken from as many documents as there are; no document gives a second before every one gave a first.

    Args:
        index: The index.
        count: How many.
        seed: Another seed gives other sentences.

    Returns:
        The questions, with the word and the document; fewer than `count` if there are no more such sentences.
    """
    draw = Random(seed)  # noqa: S311 (a choice of sentences)
    sources = [document.source for document in index.documents()]
    draw.shuffle(sources)
    waiting: list[Iterator[Question]] = []
    questions: list[Question] = []
    seen = set[str]()

    def take(drafts: Iterator[Question]) -> bool:
        question = next((each for each in drafts if each.question not in seen), None)
        if question is not None:
            seen.add(question.question)
            questions.append(question)
        return question is not None

    for source in sources:  # a document is read when its turn comes
        if len(questions) == count:
            break
        drafts = _drafts(index.text(source), source, draw)
        if take(drafts):
            waiting.append(drafts)
    while waiting and len(questions) < count:
        waiting = [drafts for drafts in waiting if len(questions) < count and take(drafts)]
    return tuple(questions)


def _drafts(text: str, source: str, draw: Random) -> Iterator[Question]:
    """Questions of a document, in random order."""
    frequency = Counter(content_words(text))
    spans = [span for span in sentence_spans(text) if _is_telling(text[slice(*span)])]
    draw.shuffle(spans)
    for start, end in spans:
        sentence = on_one_line(text[start:end])
        if (word := _left_out(sentence, frequency)) is not None:
            form, blank = _FORMS[_language(sentence)]
            quoted = form.format(sentence.replace(word, blank))
            yield Question(quoted, (word,), source)


def _language(text: str) -> str:
    return "ja" if script_language(text) in ("ja", "zh") else "en"


def _is_telling(sentence: str) -> bool:
    shortest, longest = _LENGTHS[_language(sentence)]
    return (
        shortest <= len(sentence) <= longest
        and not _NO_PROSE.match(sentence)
        and ends_sentence(sentence)
        and "|" not in sentence
    )


def _left_out(sentence: str, frequency: Counter[str]) -> str | None:
    """The number, the name or else the rarest word to leave out; None if nothing in the sentence will do."""
    words, language = content_words(sentence), _language(sentence)
    if len(set(words)) <= _TELLING:
        return None
    numbers = (_NUMBER_JA if language == "ja" else _NUMBER).findall(sentence)
    return _once(sentence, numbers) or _once(sentence, _by_rarity(words, frequency, _SHORTEST[language]))


def _by_rarity(words: Sequence[str], frequency: Counter[str], shortest: int) -> list[str]:
    """Words that a document has seldom: names before others, then rare before frequent, long before short."""
    candidates = [word for word in words[1:] if len(word) >= shortest and 0 < frequency[word] < _FREQUENT]
    return sorted(candidates, key=lambda word: (not word[0].isupper(), frequency[word], -len(word)))


def _once(sentence: str, words: Sequence[str]) -> str | None:
    """The first of the words that stands in the sentence exactly once, and not within a longer word."""
    for word in words:
        around = rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])"
        if sentence.count(word) == 1 and re.search(around, sentence):
            return word
    return None
