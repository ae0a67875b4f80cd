"""Drawings in SVG that stand in a web page: the words in them, label by label."""

from __future__ import annotations

from typing import Any

from indexes.readers.html.page_parts import is_not_shown, names

_LABELS = names("text foreignobject")
_LEFT_OUT = names("clippath defs desc marker mask metadata pattern script style symbol title")
_IN_LINE = names("a b code em i small span strong sub sup textpath tspan u")


class SvgText:
    """The labels of a drawing, whose elements a parser passes on as it goes."""

    def __init__(self) -> None:
        self._open: list[str] = []  # the elements in the drawing, from the outermost
        self._hidden = 0  # the depth from which on nothing is shown; 0 where something is
        self._label = 0  # the depth of the label that is open; 0 outside of labels
        self._words: list[str] = []
        self._labels: list[str] = []

    def start(self, tag: str, attributes: Any) -> None:
        """Begin an element."""
        self._open.append(tag)
        if not self._hidden and (tag in _LEFT_OUT or attributes.get("display") == "none" or is_not_shown(attributes)):
            self._hidden = len(self._open)
        elif not self._label and tag in _LABELS:
            self._label = len(self._open)
        if tag not in _IN_LINE or (tag == "tspan" and not {"x", "y", "dy"}.isdisjoint(attributes)):
            self._words.append(" ")  # a line of its own

    def data(self, text: str) -> None:
        """Add text, perhaps in several pieces."""
        if self._label and not self._hidden:
            self._words.append(text)

    def end(self, tag: str) -> bool:
        """End an element. Returns whether it was the drawing itself."""
        if not self._open:
            return True
        depth = len(self._open)
        self._open.pop()
        self._hidden = 0 if depth == self._hidden else self._hidden
        if tag not in _IN_LINE:
            self._words.append(" ")
        if depth == self._label:
            self._label = 0
            self._labels.append(" ".join("".join(self._words).split()))
            self._words.clear()
        return False

    def labels(self) -> list[str]:
        """Return the labels that hold words or numbers, in their order."""
        return [label for label in self._labels if any(map(str.isalnum, label))]
