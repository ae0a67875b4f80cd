"""Citation marks such as [1] in a model's answer, and its sentences, checked against the passages that it was given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from indexes.text import SENTENCE_ENDS, sentence_spans
from longctx.answering.evidence import SUPPORTED, UNSUPPORTED_BELOW, Evidence, Support
from longctx.prompts import PromptEcho, is_refusal
from longctx.types import MarkedBy

# What is code is left alone: a[3] is no mark, and so are tags that a family writes code between.
_CODE = r"(?P<code>```.*?(?:```|\Z)|\[PYTHON\].*?(?:\[/PYTHON\]|\Z)|`[^`\n]*(?:[`\n]|\Z))"
_MARK = r"(?P<glued>(?<=[A-Za-z0-9_]))?[\[［【](?P<numbers>\d{1,4}(?:\s*[,、]\s*\d{1,4})*)[\]］】]"
_MARKS = re.compile(f"{_CODE}|{_MARK}", re.DOTALL)
_NUMBER = re.compile(r"\d+")
_UNFINISHED = re.compile(r"[\[［【][\d\s,、]*\Z")
_MAY_END = frozenset(SENTENCE_ENDS + "\"'”’)]」』）】")
# A sentence that announces a list is neither supported nor not.
_LEADS_IN = re.compile(r"(?:[:：]|(?:以下|次)の(?:通り|とおり)\w{0,6}[。．.]?|\bas follows\W*)\Z")
# What comes next may make this the beginning of a sentence: a number of a list item, or an opening bracket.
_MAY_BEGIN = re.compile(r"(?:\n[ \t　]*\d+[.)．）]?|\s[\"'“‘(\[「『*_`]+)\Z")
_LETTER = re.compile(r"\w")
_FOR_VALUE = re.compile(  # a mark where the answer ought to be: "The version is [1].", バージョンは[1]です。
    rf"(?:\b(?:is|are|was|were|by|named|called)\s+|[はが]\s*){_MARK}\s*(?:です|でした|である|だ)?[.。．]?\s*\Z",
    re.IGNORECASE,
)
CLEARLY = 0.25  # by so much another passage must hold more of a sentence than the one that is marked
_FEWEST_TERMS = 3  # a sentence with fewer says too little to be called unsupported
# A sentence that goes on is looked at again with each piece while it is this short, and then only when an eighth has
# come: so the work grows with the length of the answer, also of one without a full stop.
_SHORT, _SHARE = 512, 8

UNSUPPORTED = "[?]"
"""The mark of a sentence that no passage supports."""


class CitedText:
    """An answer as it is generated, with its marks and sentences checked.

    A mark that refers to no passage becomes [9?]. A mark whose passage does not hold what the sentence says is put
    right where another passage does. A sentence without a mark gets that of the passage that supports it, and one that
    no passage supports gets [?].

    Lines at its beginning that repeat the prompt are left out, with the label of the answer.

    Args:
        evidence: The passages that the model was given.
        question: The question.

    Attributes:
        marks: The passages that marks refer to, in the order of their first marks, and who set the mark.
        unsupported: The sentences that no passage supports.
    """

    def __init__(self, evidence: Evidence, question: str = "") -> None:
        self._echo = PromptEcho(question)
        self.marks: dict[int, MarkedBy] = {}
        self.unsupported: list[str] = []
        self._evidence = evidence
        self._finished: list[str] = []  # sentences as the model wrote them
        self._open = ""  # the sentence that is not finished
        self._waiting: list[str] = []  # pieces of it that have not been looked at
        self._waiting_length = 0  # in characters
        self._shown: list[str] = []  # what has been returned
        self._shown_of_open = 0  # how many characters of it are of the open sentence

    @property
    def text(self) -> str:
        """The checked text so far."""
        return "".join(self._shown)

    @property
    def words(self) -> str:
        """What the model wrote so far, without marks."""
        words = " ".join(_MARKS.sub(lambda found: " " if self._is_mark(found) else found[0], self._raw).split())
        return words if _LETTER.search(words) else ""

    @property
    def _raw(self) -> str:
        """What the model wrote so far."""
        return "".join((*self._finished, self._open, *self._waiting))

    @property
    def lacks_value(self) -> bool:
        """Whether the answer is a sentence that ends in a mark where it ought to say something."""
        return _FOR_VALUE.search(self._raw) is not None

    def add(self, piece: str) -> str:
        """Add a piece of the answer.

        Args:
            piece: What the model generated.

        Returns:
            Text that no further piece can change. A mark that may go on is held back, and so is the end of a sentence,
            where a mark may have to be put.
        """
        self._waiting.append(self._echo.add(piece))
        self._waiting_length += len(self._waiting[-1])
        if self._waiting_length * _SHARE < len(self._open) - _SHORT:
            return ""
        self._take_in()
        unfinished = _UNFINISHED.search(self._open)
        return self._settle(self._open[: unfinished.start() if unfinished else None], finished=False)

    def finish(self) -> str:
        """End the answer; returns the text that was held back."""
        self._waiting.append(self._echo.finish())
        self._take_in()
        return self._settle(self._open, finished=True)

    def _take_in(self) -> None:
        self._open += "".join(self._waiting)
        self._waiting.clear()
        self._waiting_length = 0

    def _settle(self, rest: str, *, finished: bool) -> str:
        blanked = _MARKS.sub(self._blank, rest)
        starts = [start for start, _ in sentence_spans(blanked)]
        cuts = [0, *starts[1:], *([len(rest)] if finished else [])]
        shown = []
        for begin, end in pairwise(cuts):
            shown.append(self._sentence(rest[begin:end], blanked[begin:end])[self._shown_of_open :])
            self._shown_of_open = 0
        self._finished.append(rest[: cuts[-1]])
        self._open = self._open[cuts[-1] :]
        # a sentence that goes on: its words and the marks among them
        words = _without_end(blanked[cuts[-1] :])
        text = self._with_marks(rest[cuts[-1] :][: len(words)], words)
        shown.append(text[self._shown_of_open :])
        self._shown_of_open = max(self._shown_of_open, len(text))
        self._shown += shown
        return "".join(shown)

    def _marks_in(self, text: str) -> Iterator[re.Match[str]]:
        return (found for found in _MARKS.finditer(text) if self._is_mark(found))

    def _is_mark(self, found: re.Match[str]) -> bool:
        """Whether this is a mark: not code, and behind a letter, where it may be an index, only that of a passage."""
        if found["numbers"] is None:
            return False
        return found["glued"] is None or all(map(self._is_passage, map(int, _NUMBER.findall(found["numbers"]))))

    def _is_passage(self, number: int) -> bool:
        return 1 <= number <= len(self._evidence.passages)

    def _blank(self, found: re.Match[str]) -> str:
        """Spaces for a mark, and letters for code, in which no sentence ends."""
        return (" " if self._is_mark(found) else "x") * len(found[0])

    def _sentence(self, sentence: str, blanked: str) -> str:
        """A finished sentence with its marks checked, and with a mark where it has none."""
        marks = list(self._marks_in(sentence))
        checked = self._with_marks(sentence, blanked)
        words = blanked.strip()
        if not words or "code" in {m.lastgroup for m in _MARKS.finditer(sentence)}:
            return checked
        support = None if is_refusal(words) else self._evidence.support(words)
        if support is None:
            return checked
        if _LEADS_IN.search(words):
            return checked
        if max(support.most, support.said) < UNSUPPORTED_BELOW and support.terms >= _FEWEST_TERMS:
            self.unsupported.append(words)
            return _with_mark(checked, UNSUPPORTED)
        if not marks and support.most >= SUPPORTED:
            self.marks.setdefault(support.best, "added")
            return _with_mark(checked, f"[{support.best}]")
        return checked

    def _with_marks(self, text: str, blanked: str) -> str:
        """A text with its marks checked, each against the words between the mark before it and itself."""
        checked, begin, said = "", 0, ""
        support = None
        for mark in self._marks_in(text):
            words = blanked[begin : mark.start()].strip() or blanked[: mark.start()].strip()
            if words != said:  # marks that follow one another are of the same words
                said, support = words, self._evidence.support(words)
            checked += text[begin : mark.start()] + self._mark(mark, support)
            begin = mark.end()
        return checked + text[begin:]

    def _mark(self, mark: re.Match[str], support: Support | None) -> str:
        """A mark, checked: as it is, put right, or with a question mark behind each number that is no passage's."""
        numbers = [int(number) for number in _NUMBER.findall(mark["numbers"])]
        real = [number for number in numbers if self._is_passage(number)]
        if support is not None and len(numbers) == 1 and support.most >= SUPPORTED:
            held = support.shares[real[0] - 1] if real else 0.0
            if held < support.most - CLEARLY:
                self.marks.setdefault(support.best, "corrected")
                return _NUMBER.sub(str(support.best), mark[0])
        for number in real:
            self.marks.setdefault(number, "model")
        if len(real) == len(numbers):
            return mark[0]
        return _NUMBER.sub(lambda n: n[0] if self._is_passage(int(n[0])) else f"{n[0]}?", mark[0])


def _without_end(text: str) -> str:
    """A text without what is at its end and may turn out to be behind a mark that is still to be put."""
    begins = _MAY_BEGIN.search(text)
    end = begins.start() if begins else len(text)
    while end and (text[end - 1].isspace() or text[end - 1] in _MAY_END):
        end -= 1
    return text[:end]


def _with_mark(sentence: str, mark: str) -> str:
    """A sentence with a mark before its full stop, in place of one that was cut short."""
    words = sentence.rstrip()
    if unfinished := _UNFINISHED.search(words):
        sentence = words = words[: unfinished.start()].rstrip()
    at = len(words.rstrip(SENTENCE_ENDS))
    return f"{sentence[:at]} {mark}{sentence[at:]}"
