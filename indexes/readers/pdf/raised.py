"""Raised numbers on a page of a PDF: 10 with a raised 6 is `10^6`, and a word with the number of a note `lamp^2`.

The content is written anew, with a `^` before such numbers. What is raised or lowered by `Ts` is put on its line, which
pypdf would lay out as a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pypdf.generic import ContentStream, DictionaryObject, NameObject

from indexes.readers.base import superscript
from indexes.readers.pdf.content import SHOWS, Operation, rewrite
from indexes.readers.pdf.content_fonts import STATED, Fonts
from indexes.readers.pdf.tables import Shown

_Matrix = tuple[float, float, float, float, float, float]
_IDENTITY: _Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
_SMALLER = 0.85  # of the size of the text before it: how large raised text is at most
_LEAST, _MOST = 0.15, 0.7  # of that size: by how much it is raised
_NEAR = 0.4  # of that size: between the two
_LOST = 300  # of a thousandth: the width of a letter whose font does not say it


class _Piece(NamedTuple):
    """Some text on its line: where it begins and ends, and the size of its font."""

    text: str
    x: float
    end: float
    y: float
    size: float


def may_be_raised(shown: Iterable[Shown]) -> bool:
    """Return whether some of what is shown is smaller and higher than what is shown before it, as raised text is."""
    return any(_is_above(after.y - before.y, after.size, before.size) for before, after in pairwise(shown))


def mark_raised(page: Any) -> None:
    """Put a `^` before the raised numbers on a page and the forms on it.

    Args:
        page: The page, whose fonts have been given a meaning; it is changed.
    """

    def rewriting(owner: Any, resources: DictionaryObject, content: ContentStream) -> list[Operation]:
        fonts = Fonts(resources)
        operations = list(_marked(content.operations, fonts))
        owner[NameObject("/Resources")] = fonts.resources()
        return operations

    rewrite(page, rewriting)


def _is_above(rise: float, size: float, size_before: float) -> bool:
    return size < _SMALLER * size_before and _LEAST * size_before < rise < _MOST * size_before


def _marked(operations: Sequence[Operation], fonts: Fonts) -> Iterator[Operation]:
    """The operations, with a further one before each raised number, and nothing raised by `Ts`."""
    state = _State()
    on_line = raised = _Piece("", 0.0, 0.0, 0.0, 0.0)
    for operands, operator in operations:
        state.follow(operands, operator)
        if operator in SHOWS and state.font is not None:
            piece = state.shown(*fonts.shown(state.font[0], operands))
            goes_on = abs(piece.y - raised.y) < 1 and piece.size < _SMALLER * on_line.size and _is_next(raised, piece)
            if piece.text.strip() and (goes_on or _is_raised(on_line, piece)):
                if not goes_on and superscript(piece.text, on_line.text) != piece.text and operator in (b"Tj", b"TJ"):
                    yield [STATED, state.font[1]], b"Tf"
                    yield [fonts.encoded("^", 1.0)], b"Tj"
                    yield list(state.font), b"Tf"
                raised = piece
            elif piece.text.strip():
                on_line = piece
        if operator != b"Ts":
            yield operands, operator


def _is_raised(before: _Piece, piece: _Piece) -> bool:
    return _is_above(piece.y - before.y, piece.size, before.size) and _is_next(before, piece)


def _is_next(before: _Piece, piece: _Piece) -> bool:
    return before.x < piece.x and abs(piece.x - before.end) < _NEAR * before.size


class _State:
    """Where text is shown, and in which font.

    Attributes:
        font: Its name and size.
    """

    def __init__(self) -> None:
        self.font: tuple[Any, Any] | None = None
        self._rise = self._leading = 0.0
        self._page = _IDENTITY
        self._line = self._next = _IDENTITY  # where the line begins, and where the next text does
        self._kept: list[tuple[_Matrix, tuple[Any, Any] | None, float, float]] = []

    def follow(self, operands: Any, operator: bytes) -> None:
        """Take an operation."""
        if operator == b"Tf" and len(operands) > 1:
            self.font = (operands[0], operands[1])
        elif operator == b"q":
            self._kept.append((self._page, self.font, self._rise, self._leading))
        elif operator == b"Q" and self._kept:
            self._page, self.font, self._rise, self._leading = self._kept.pop()
        elif operator == b"cm":
            self._page = _product(_matrix(operands), self._page)
        elif operator == b"TL":
            self._leading = float(operands[0])
        elif operator == b"Ts":
            self._rise = float(operands[0])
        else:
            self._begin_line(operands, operator)

    def _begin_line(self, operands: Any, operator: bytes) -> None:
        if operator == b"BT":
            self._line = self._next = _IDENTITY
        elif operator == b"Tm":
            self._line = self._next = _matrix(operands)
        elif operator in (b"Td", b"TD"):
            self._leading = -float(operands[1]) if operator == b"TD" else self._leading
            self._move(float(operands[0]), float(operands[1]))
        elif operator in (b"T*", b"'", b'"'):
            self._move(0.0, -self._leading)

    def shown(self, text: str, width: float) -> _Piece:
        """Show text that is so wide, in thousandths of the size of the font; the next text begins behind it."""
        size = float(self.font[1]) if self.font else 0.0
        width = (width if width > 0 else _LOST * len(text)) / 1000 * size
        place = _product((1.0, 0.0, 0.0, 1.0, 0.0, self._rise), _product(self._next, self._page))
        self._next = _product((1.0, 0.0, 0.0, 1.0, width, 0.0), self._next)
        end = _product(self._next, self._page)[4]
        return _Piece(text, place[4], end, place[5], size * abs(place[3]))

    def _move(self, x: float, y: float) -> None:
        self._line = self._next = _product((1.0, 0.0, 0.0, 1.0, x, y), self._line)


def _matrix(operands: Any) -> _Matrix:
    a, b, c, d, e, f = map(float, operands)
    return a, b, c, d, e, f


def _product(first: _Matrix, second: _Matrix) -> _Matrix:
    a, b, c, d, e, f = first
    g, h, i, j, k, m = second
    return a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m
