"""The fonts of a page of a PDF: what its content shows in them, and a further one for text that is put there."""

from __future__ import annotations

from typing import Any

from pypdf._text_extraction import get_text_operands
from pypdf.generic import ArrayObject, ByteStringObject, DictionaryObject, FloatObject, NameObject, NumberObject
from pypdf.generic._font import Font

from indexes.readers.pdf.content import resolved

STATED = NameObject("/longctxActualText")
_PLACE = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]


class Fonts:
    """The fonts of some content, and a further one whose codes are UTF-16.

    Args:
        resources: The resources of the page or the form.
    """

    def __init__(self, resources: DictionaryObject) -> None:
        self._resources = resources
        fonts = resolved(resources.get("/Font"))
        self._fonts = fonts if isinstance(fonts, DictionaryObject) else DictionaryObject()
        self._known: dict[Any, Font | None] = {}
        self._widths: dict[str, float] = {}

    def shown(self, name: Any, operands: Any) -> tuple[str, float]:
        """Return what an operator shows in a font, and its width in thousandths of the font's size."""
        if name not in self._known:
            font = resolved(self._fonts.get(name))
            self._known[name] = Font.from_font_resource(font) if isinstance(font, DictionaryObject) else None
        font, text, width = self._known[name], "", 0.0
        given = operands[-1] if operands else b""
        for piece in given if isinstance(given, list) else [given]:
            if isinstance(piece, int | float):
                width -= piece
            elif font is not None and isinstance(piece, str | bytes):
                codes, _, across = get_text_operands([piece], _PLACE, _PLACE, font, (0,))  # type: ignore[list-item]
                text += "".join(font.character_map.get(code, code) for code in codes)
                width += across
        return text, width

    def encoded(self, text: str, width: float) -> ByteStringObject:
        """Return a text in the further font, in which it is about that wide."""
        for character in text:
            self._widths.setdefault(character, max(width / len(text), 1.0))
        return ByteStringObject(text.encode("utf-16-be", "replace"))

    def resources(self) -> DictionaryObject:
        """Return the resources with the further font."""
        before = resolved(self._fonts.get(STATED))  # of a page that was rewritten already
        known: Any = before if isinstance(before, DictionaryObject) else None
        widths = ArrayObject(known["/DescendantFonts"][0]["/W"] if known else ())
        for character, width in self._widths.items():
            widths += [NumberObject(ord(character)), ArrayObject([FloatObject(width)])]
        below = {"/Type": "/Font", "/Subtype": "/CIDFontType2", "/BaseFont": STATED}
        descendant = DictionaryObject({NameObject(key): NameObject(value) for key, value in below.items()})
        descendant[NameObject("/W")] = widths
        above = {"/Type": "/Font", "/Subtype": "/Type0", "/BaseFont": STATED, "/Encoding": "/UniJIS-UTF16-H"}
        font = DictionaryObject({NameObject(key): NameObject(value) for key, value in above.items()})
        font[NameObject("/DescendantFonts")] = ArrayObject([descendant])
        return DictionaryObject(
            {**self._resources, NameObject("/Font"): DictionaryObject({**self._fonts, STATED: font})}
        )
