"""Evidence: which passages support a sentence, and how much of a question they bear on, by content words."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from indexes import Chunk, SearchHit
from indexes.text import (
    content_terms,
    content_words,
    inflected_terms,
    on_one_line,
    script_language,
    sentence_spans,
)
from longctx.answering.telling_headings import Span, below, is_markdown, telling
from longctx.reasons import Reason
from longctx.types import Citation, Message

SUPPORTED = 0.6  # of what a sentence says is in a passage that supports it
UNSUPPORTED_BELOW = 0.35  # and so little of what a sentence says means that no passage supports it
_MOST_IDF = 4.0  # a rare word counts no more than one that a chunk in 50 contains: most questions paraphrase
# Of a question, by its content terms, that is worth a passage more. Two questions of XQuAD in one (every third article)
# have both passages in the prompt in .987 of the cases, with .2 in .940, and without this in .879; of JSQuAD's in .839,
# .812 and .604. A single question then has 2.4 passages for 2.1, and 2.5 for 2.4.
_NEW = 0.1
_DOUBTFUL = 0.45  # of a question's words in one passage: below it, only an answer that a passage supports counts
_IRRELEVANT = 0.2  # and below it not even that of this passage
# Without a model, a question is refused if so little of it is in one passage. Chosen on every third article of XQuAD
# and JSQuAD; of the questions of the others, .022 (Japanese) and .033 (English) are refused, and .851 and .765 of them
# where their article is left out. In English, where the best sentence's cosine counts, too: .017 and .877.
_BESIDE, _BESIDE_IN_JAPANESE, _BESIDE_WITH_COSINE = 0.42, 0.52, 1.33
_COSINE_WEIGHT = 2.0
# Of a Japanese verb or adjective there: 壊れる is 故障, and 重さ 重量, where nouns stay themselves.
_INFLECTED_WEIGHT = 0.5
_ENOUGH_WORDS = 3  # content words of a question that say what it is about
# and those that say only in what form it is to be answered
_FORM = frozenset(
    re.findall(
        r"\S+",
        "list name give show tell explain describe write bullet bullets point points table sentence sentences please "
        "こと 箇条 書き 挙げる 述べる 書く 示す 説明 一覧 表 文",
    )
)
_SHORT_WEIGHT = 0.3  # of a Japanese bigram and of a single character, beside a word
_CODE = re.compile(r"`(?=[^`\n]*[_()\[\]=./-])([^`\n]{3,})`")  # `f(x)`, `--flag`; not a word in backticks
_NUMBER_WEIGHT = 3.0  # who copies a sentence gets its words right, and who makes one up its numbers wrong


@dataclass(frozen=True, slots=True)
class Support:
    """How well the passages support a sentence.

    Attributes:
        shares: For each passage, how much of what the sentence says beyond the question it holds, from 0 to 1.
        best: The number of the passage that supports it best, from 1; among equals, the one that bears on the question
            most.
        terms: How many content terms were compared.
        said: The share that the best message of the conversation holds.
    """

    shares: Sequence[float]
    best: int
    terms: int
    said: float = 0.0

    @property
    def most(self) -> float:
        """The share that the best passage holds."""
        return self.shares[self.best - 1]


def standing_out(
    question: Mapping[str, float], hits: Sequence[SearchHit], cutoff: float, language: str = "en"
) -> list[bool]:
    """Choose the passages that a prompt for one fact needs.

    They are those that score well enough, and those that hold a tenth of the question that no better one of these
    holds: to a question that asks for two things, each passage may answer half.

    Args:
        question: The inverse document frequency of each content term of the question, in the index.
        hits: The passages found, best first.
        cutoff: The share of the best one's score that is enough, from 0 to 1.
        language: The language to stem the passages' words in, as those of the question were.

    Returns:
        For each passage, whether it is one of them.
    """
    weights = _weights(question)
    needed = _NEW * sum(weights.values())
    best = max((hit.score for hit in hits), default=0.0)
    enough = cutoff * best if best > 0 else -math.inf  # a reranker's scores can be negative
    chosen: list[bool] = []
    missing = set(weights)
    for hit in hits:
        new = missing & _terms(hit.chunk, language) if missing else set[str]()
        adds = bool(new) and sum(weights[term] for term in new) >= needed
        chosen.append(hit.score >= enough or adds)
        if chosen[-1]:
            missing -= new
    return chosen


def _weights(question: Mapping[str, float]) -> dict[str, float]:
    """How much each content term of a question counts."""
    return {
        term: min(each, _MOST_IDF) * (_SHORT_WEIGHT if term.startswith("_") else 1.0) for term, each in question.items()
    }


def _terms(passage: Chunk | Citation, language: str) -> Set[str]:
    return content_terms(f"{passage.title}\n{passage.table_header}\n{passage.text}", language)


class Evidence:
    """The passages of a prompt, to compare with a question and with the sentences of its answer.

    Args:
        question: The inverse document frequency of each content term of the question, in the index.
        passages: The passages.
        history: The messages before the question, which may be answered from, too.
        language: The language to stem the passages' words in, as those of the question were.
        values: The terms that passages hold beside their words, by the places of the passages from 0.

    Attributes:
        passages: The passages.
    """

    def __init__(
        self,
        question: Mapping[str, float],
        passages: Sequence[Citation],
        history: Sequence[Message] = (),
        language: str = "en",
        values: Mapping[int, Set[str]] = MappingProxyType({}),
    ) -> None:
        self._question = _weights(question)
        self._values = values
        self.passages = passages
        self._history = history
        self._language = language
        self._supports: dict[str, Support | None] = {}  # while a sentence streams, its marks are judged again and again

    @cached_property
    def _bags(self) -> Sequence[Set[str]]:
        bags = [_terms(passage, self._language) for passage in self.passages]
        return [bag | self._values.get(place, frozenset()) for place, bag in enumerate(bags)]

    @cached_property
    def _said(self) -> Sequence[Set[str]]:
        return [content_terms(message.content) for message in self._history]

    @cached_property
    def _languages(self) -> Sequence[str | None]:
        return [script_language(passage.text) for passage in self.passages]

    @cached_property
    def coverages(self) -> Sequence[float]:
        """For each passage, how much of the question's content terms it holds, from 0 to 1."""
        return self._shares(self._question)

    def _shares(self, wanted: Mapping[str, float]) -> Sequence[float]:
        total = sum(wanted.values()) or 1.0
        return [sum(wanted[term] for term in bag & wanted.keys()) / total for bag in self._bags]

    def is_doubtful(self, query: str) -> bool:
        """Whether the passages may not answer a question: each holds too few of its words.

        Args:
            query: The question, as it was searched for.

        Returns:
            False also where words cannot tell: for a question without content words, and where every passage is in
            another language.
        """
        if not content_words(query) or script_language(query) not in self._languages:
            return False
        return max(self.coverages) < _DOUBTFUL

    def is_beside(self, query: str, cosine: float | None) -> bool:
        """Whether the passages found do not bear on a question: each holds too few of its words.

        Args:
            query: The question, as it was searched for.
            cosine: The cosine of the best sentence to the question by the default encoder; None where it does not know
                the language, or another encoder is used.

        Returns:
            False for a question without content words, which nothing can be said about.
        """
        if not self._question:
            return False
        if cosine is not None:
            return max(self.coverages, default=0.0) + _COSINE_WEIGHT * cosine < _BESIDE_WITH_COSINE
        inflected = inflected_terms(query)
        weights = {
            term: each * _INFLECTED_WEIGHT if term in inflected else each for term, each in self._question.items()
        }
        most = max(self._shares(weights), default=0.0)
        return most < (_BESIDE if script_language(query) is None else _BESIDE_IN_JAPANESE)

    def objection(self, query: str, words: str, marked: Collection[int]) -> Reason | None:
        """What speaks against the answer to a doubtful question.

        Args:
            query: The question, as it was searched for.
            words: The answer, without marks.
            marked: The numbers of the passages that it cites.

        Returns:
            The reason why it is none; None if a passage supports it and, unless the question has only one or two
            content words, bears on the question. None also where it may come from a passage in another language, and
            where it names code that stands in a passage.
        """
        support, language = self._support_of_most(words), script_language(query)
        if support is None or support.most < SUPPORTED:
            if any(code in passage.text for code in _CODE.findall(words) for passage in self.passages):
                return None
            cited = [self._languages[number - 1] for number in marked] or self._languages
            return Reason("unsupported") if {*cited} == {language} else None
        pairs = zip(support.shares, self._languages, strict=True)
        elsewhere = any(share >= SUPPORTED and other != language for share, other in pairs)
        about = [word for word in content_words(query) if word.casefold() not in _FORM]
        if elsewhere or len(about) < _ENOUGH_WORDS or self.coverages[support.best - 1] >= _IRRELEVANT:
            return None
        return Reason("beside")

    def _support_of_most(self, words: str) -> Support | None:
        """The support of an answer: of its words together, or, where it draws on several passages, of its sentences."""
        support = self.support(words)
        if support is None or support.most >= SUPPORTED:
            return support
        sentences = [self.support(words[start:end]) for start, end in sentence_spans(words)]
        supported = [each for each in sentences if each is not None and each.most >= SUPPORTED]
        if 2 * len(supported) <= len(sentences):
            return support
        return max(supported, key=lambda each: self.coverages[each.best - 1])

    def quotation(self, among: Sequence[int], question: str) -> tuple[int, str]:
        """The sentence that holds most of the question's words, below the heading that says what is asked for, if any.

        Args:
            among: The numbers of the passages to quote from; empty for all.
            question: The question.

        Returns:
            The number of the passage, and the sentence; an empty one if none holds any of the words.
        """
        best, number, quoted = 0.0, 0, ""
        for each in among or range(1, len(self.passages) + 1):
            text = self.passages[each - 1].text
            outline: tuple[Span, ...] = ()
            for start, end in sentence_spans(text):
                sentence = text[start:end]
                if is_markdown(sentence):
                    outline = below(outline, (start, end), text)
                    continue
                terms = content_terms(sentence)
                score = sum(self._question[term] for term in terms & self._question.keys())
                if score > best:
                    above = telling(outline, text, question, sentence)
                    heading = "" if above is None else text[slice(*above)]
                    best, number, quoted = score, each, on_one_line(f"{heading} {sentence}")
        return number, quoted

    def support(self, sentence: str) -> Support | None:
        """Compare a sentence with every passage.

        Args:
            sentence: The sentence, without marks.

        Returns:
            The support; None where nothing can be said: for a sentence without content words, and for one that shares
            too few words with any passage while some are in another language.
        """
        if sentence not in self._supports:
            self._supports[sentence] = self._compare(sentence)
        return self._supports[sentence]

    def _compare(self, sentence: str) -> Support | None:
        said = content_terms(sentence)
        if not (said and self.passages):
            return None
        new = said - self._question.keys() or said
        total = _sum(new)
        shares = [_sum(new & bag) / total for bag in self._bags]
        best = max(range(len(shares)), key=lambda i: (shares[i], self.coverages[i], -i))
        said_before = max((_sum(new & bag) / total for bag in self._said), default=0.0)
        support = Support(shares, best + 1, len(new), said_before)
        if support.most < SUPPORTED and {*self._languages} != {script_language(sentence)}:
            return None
        return support


def _weight(term: str) -> float:
    if len(term) == 1 or term.startswith("_"):
        return _SHORT_WEIGHT
    return _NUMBER_WEIGHT if any(map(str.isdigit, term)) else 1.0


def _sum(terms: Iterable[str]) -> float:
    return sum(map(_weight, terms))
