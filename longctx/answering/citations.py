"""Citation marks such as [1] in a model's answer, checked against the passages that it was given."""

from __future__ import annotations

import re

# What is code is left alone: a[3] is no mark, and so are tags that a family writes code between.
_CODE = r"```.*?(?:```|\Z)|\[PYTHON\].*?(?:\[/PYTHON\]|\Z)|`[^`\n]*(?:[`\n]|\Z)"
_MARK = r"(?P<glued>(?<=[A-Za-z0-9_]))?[\[［【](?P<numbers>\d{1,4}(?:\s*[,、]\s*\d{1,4})*)[\]］】]"
_MARKS = re.compile(f"{_CODE}|{_MARK}", re.DOTALL)
_NUMBER = re.compile(r"\d+")
_UNFINISHED = re.compile(r"[\[［【][\d\s,、]*\Z")


class CitedText:
    """An answer as it is generated, with its marks checked. A mark that refers to no passage becomes [9?].

    Args:
        passages: How many passages the model was given.

    Attributes:
        text: The checked text so far.
        numbers: The passages that marks refer to, each once, in the order of their first marks.
    """

    def __init__(self, passages: int) -> None:
        self.numbers: list[int] = []
        self.text = ""
        self._passages = passages
        self._raw = ""

    def add(self, piece: str) -> str:
        """Add a piece of the answer.

        Args:
            piece: What the model generated.

        Returns:
            Text that no further piece can change: a mark that may go on is held back.
        """
        self._raw += piece
        unfinished = _UNFINISHED.search(self._raw)
        return self._settle(self._raw[: unfinished.start()] if unfinished else self._raw)

    def finish(self) -> str:
        """End the answer; returns the text that was held back."""
        return self._settle(self._raw)

    def _settle(self, raw: str) -> str:
        checked = _MARKS.sub(self._check, raw)
        new, self.text = checked[len(self.text) :], checked
        return new

    def _check(self, found: re.Match[str]) -> str:
        if found["numbers"] is None:
            return found[0]
        numbers = [int(number) for number in _NUMBER.findall(found["numbers"])]
        real = [number for number in numbers if 1 <= number <= self._passages]
        self.numbers += [number for number in dict.fromkeys(real) if number not in self.numbers]
        if len(real) == len(numbers) or found["glued"] is not None:
            return found[0]
        return _NUMBER.sub(lambda n: n[0] if 1 <= int(n[0]) <= self._passages else f"{n[0]}?", found[0])
