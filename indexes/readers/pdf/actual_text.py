"""The text that a PDF states for what it draws (`/ActualText`), in the place of what the glyphs would give.

Marks in a page's content, or elements of the document's structure, may say which text they stand for: letters for a
ligature or a drawing, a soft hyphen for a hyphen, an old character for a variant of it. The content is written anew,
with that text in a font of its own.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pypdf.generic import ArrayObject, ContentStream, DictionaryObject, FloatObject, NameObject
from pypdf.generic._utils import decode_pdfdocencoding

from indexes.readers.pdf.content import OPENS, SHOWS, Operation, resolved, rewrite
from indexes.readers.pdf.content_fonts import STATED, Fonts

_ACTUAL = "/ActualText"
_SIZE = 10.0  # of the text for a drawing, in points
_MOST_LOST = 3  # characters that an empty text stands for: more are hardly meant to be nothing
_MOST_NODES, _MOST_MARKS = 10_000, 10_000  # of the structure, and on a page


class StatedText(NamedTuple):
    """The text that a mark or an element of a document's structure states.

    Attributes:
        text: The text.
        is_further: Whether it is the rest of an element whose text the first of its marks has.
    """

    text: str
    is_further: bool = False


class Structure:
    """The structure of a tagged document, whose elements may state the text of what they hold.

    Args:
        catalog: The document's root, which may lack a structure.
    """

    def __init__(self, catalog: Any) -> None:
        self._rows: dict[int, Any] = {}  # by the number of a page, the elements of its marks
        root = resolved(catalog.get("/StructTreeRoot"))
        nodes, seen = [resolved(root.get("/ParentTree")) if isinstance(root, DictionaryObject) else None], 0
        while nodes and seen < _MOST_NODES:
            node, seen = nodes.pop(), seen + 1
            if isinstance(node, DictionaryObject):
                kids, numbers = resolved(node.get("/Kids")), resolved(node.get("/Nums"))
                nodes += [resolved(kid) for kid in kids] if isinstance(kids, ArrayObject) else []
                pairs = numbers if isinstance(numbers, ArrayObject) else []
                self._rows.update((int(pairs[i]), pairs[i + 1]) for i in range(0, len(pairs) - 1, 2))

    def whole(self, form: Any) -> list[Operation]:
        """Return the mark of the text that the structure states for all of a form; none if it states none."""
        number = resolved(form.get("/StructParent"))
        element = resolved(self._rows.get(number)) if isinstance(number, int) else None
        return [] if _stated(element) is None else [([NameObject("/Span"), element], b"BDC")]

    def texts(self, page: Any) -> dict[int, StatedText]:
        """Return the texts that elements of the structure state for marks on a page or in a form, by their numbers."""
        number = resolved(page.get("/StructParents"))
        row = resolved(self._rows.get(number)) if isinstance(number, int) else None
        found: dict[int, StatedText] = {}
        met: set[int] = set()
        for mark, each in enumerate(row[:_MOST_MARKS] if isinstance(row, ArrayObject) else ()):
            element = resolved(each)
            text = _stated(element)
            if text is None and isinstance(element, DictionaryObject):
                element = resolved(element.get("/P"))
                text = _stated(element)
            if text is not None:
                found[mark] = StatedText("" if id(element) in met else text, id(element) in met)
                met.add(id(element))
        return found


def put_actual_text(page: Any, structure: Structure) -> None:
    """Put the stated text into the content of a page and of the forms on it, if it differs from what is drawn.

    Args:
        page: The page, whose fonts have been given a meaning; it is changed.
        structure: The structure of the document.
    """

    def rewriting(owner: Any, resources: DictionaryObject, content: ContentStream) -> list[Operation] | None:
        stated, by_number, whole = _properties(resources), structure.texts(owner), structure.whole(owner)
        if not (stated or by_number or whole or _ACTUAL.encode() in content.get_data()):
            return None
        rewriter = _Rewriter(Fonts(resources), stated, by_number)
        operations = rewriter.operations([*whole, *content.operations] if whole else content.operations)
        if not rewriter.has_changed:
            return None
        owner[NameObject("/Resources")] = rewriter.fonts.resources()
        return operations

    rewrite(page, rewriting)


def _properties(resources: DictionaryObject) -> dict[str, str]:
    """The texts that the marks of the content refer to by name."""
    named = resolved(resources.get("/Properties"))
    found = named.items() if isinstance(named, DictionaryObject) else ()
    texts = ((name, _stated(resolved(each))) for name, each in found)
    return {name: text for name, text in texts if text is not None}


def _stated(mark: Any) -> str | None:
    """The text that a mark states; None if it states none."""
    value = resolved(mark.get(_ACTUAL)) if isinstance(mark, DictionaryObject) else None
    if isinstance(value, bytes):
        is_wide = value.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE))
        if is_wide or value.startswith(codecs.BOM_UTF8):
            return value.decode("utf-16" if is_wide else "utf-8-sig", "replace")
        return decode_pdfdocencoding(value)
    return value if isinstance(value, str) else None


class _Span:
    """Marked content that states its text: where it begins in the content, and how many marks are open in it."""

    def __init__(self, stated: StatedText, start: int) -> None:
        self.text, self.is_further = stated
        self.start = start
        self.open = 1
        self.drawn = ""
        self.width = 0.0  # of what is shown first


class _Rewriter:
    """The content with the stated texts.

    Args:
        fonts: The fonts.
        stated: The texts that marks refer to by name.
        by_number: Those that the structure of the document states for marks, by their numbers.
    """

    def __init__(self, fonts: Fonts, stated: dict[str, str], by_number: dict[int, StatedText]) -> None:
        self.fonts = fonts
        self.has_changed = False
        self._stated = stated
        self._by_number = by_number
        self._out: list[Operation] = []
        self._font: tuple[Any, float] | None = None  # its name and size
        self._kept: list[tuple[Any, float] | None] = []
        self._in_text = False
        self._span: _Span | None = None

    def operations(self, operations: Sequence[Operation]) -> list[Operation]:
        """Rewrite the content.

        Args:
            operations: The operations.

        Returns:
            The operations, of which those differ that draw what is not the stated text.
        """
        for operands, operator in operations:
            self._follow(operands, operator)
            span = self._span
            if span is None and operator in OPENS:
                stated = self._text_of(operands)
                self._span = None if stated is None else _Span(stated, len(self._out))
            elif span is not None:
                span.open += (operator in OPENS) - (operator == b"EMC")
                if operator in SHOWS and self._font is not None:
                    text, width = self.fonts.shown(self._font[0], operands)
                    span.width = span.width if span.drawn.strip() else width
                    span.drawn += text
                if span.open == 0:
                    self._end(span)
            self._out.append((operands, operator))
        if self._span is not None:
            self._end(self._span)
        return self._out

    def _follow(self, operands: Any, operator: bytes) -> None:
        if operator == b"Tf" and len(operands) > 1:
            self._font = (operands[0], operands[1])
        elif operator == b"q":
            self._kept.append(self._font)
        elif operator == b"Q" and self._kept:
            self._font = self._kept.pop()
        elif operator in (b"BT", b"ET"):
            self._in_text = operator == b"BT"

    def _text_of(self, operands: Any) -> StatedText | None:
        mark = operands[1] if len(operands) > 1 else None
        text = self._stated.get(mark) if isinstance(mark, NameObject) else _stated(mark)
        if text is not None:
            return StatedText(text)
        return self._by_number.get(mark.get("/MCID", -1)) if isinstance(mark, DictionaryObject) else None

    def _end(self, span: _Span) -> None:
        """End marked content, and put its text in the place of what it draws, unless that is the same."""
        self._span = None
        stated, drawn = "".join(span.text.split()), "".join(span.drawn.split())
        is_lost = not stated and len(drawn) > _MOST_LOST and not span.is_further
        if stated != drawn and not is_lost:
            self._out[span.start :] = self._replaced(self._out[span.start :], span)
            self.has_changed = True

    def _replaced(self, operations: list[Operation], span: _Span) -> Iterator[Operation]:
        """The operations with the text where the first of them shows some, or else draws something."""
        is_said = False
        for operands, operator in operations:
            if operator not in SHOWS and operator != b"Do":
                yield operands, operator
                continue
            if operator == b'"' and len(operands) > 1:
                yield operands[:1], b"Tw"
                yield operands[1:2], b"Tc"
            if operator in (b"'", b'"'):
                yield [], b"T*"
            if not is_said:
                yield from self._said(span, in_text=operator != b"Do")
                is_said = True
        if not is_said:
            yield from self._said(span, in_text=self._in_text)

    def _said(self, span: _Span, *, in_text: bool) -> Iterator[Operation]:
        """The text, in its font; then the font is as it was."""
        if not span.text:
            return
        name, size = self._font or (None, FloatObject(_SIZE))
        width = span.width or 500.0 * len(span.text)
        if not in_text:
            yield [], b"BT"
        yield [STATED, size], b"Tf"
        yield [self.fonts.encoded(span.text, width)], b"Tj"
        if name is not None:
            yield [name, size], b"Tf"
        if not in_text:
            yield [], b"ET"
