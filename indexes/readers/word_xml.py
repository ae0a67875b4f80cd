"""The XML of a Word document, put so that mammoth, which markitdown reads it with, loses no text and no heading.

mammoth passes over elements that it does not know, with all that is in them. It knows a heading by its style's English
name.
"""

from __future__ import annotations

import re
from typing import Any

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
# What stands around text: base text of furigana, text that was moved here, and results of fields.
_WRAPPERS = tuple(_W + name for name in ("ruby", "rubyBase", "moveTo", "customXml", "fldSimple"))
_NO_TEXT = (  # furigana itself, and pictures, which would be unpacked and encoded for nothing
    _W + "rt",
    "{http://schemas.openxmlformats.org/drawingml/2006/main}blip",
    "{urn:schemas-microsoft-com:vml}imagedata",
)
_HEADING_STYLE = re.compile(r"(?:heading|見出し)\s*([1-9])", re.IGNORECASE)
_TITLE_STYLES = frozenset({"title", "表題", "タイトル"})
_STYLES_DEEP = 20  # a style is based on another, and in a hostile file on itself
_DEEPEST_HEADING = 6  # in HTML and Markdown


def repaired(part: bytes, styles: bytes | None) -> bytes:
    """One part with its text unwrapped and its headings in the styles Heading1 to Heading6; the title is a Heading1.

    `styles` is the document's word/styles.xml. Raises lxml's XMLSyntaxError, also for nesting deeper than 256.
    """
    from lxml import etree

    root = _parse(part)
    etree.strip_elements(root, *_NO_TEXT, etree.Entity, with_tail=False)
    etree.strip_tags(root, *_WRAPPERS)
    levels = _heading_styles(_parse(styles)) if styles else {}
    for paragraph in root.iter(f"{_W}p"):
        level = _outline_level(paragraph) or levels.get(_value(paragraph, "pPr", "pStyle") or "")
        if level is not None:
            _set_style(paragraph, f"Heading{max(1, min(level, _DEEPEST_HEADING))}")
    return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=True))


def _parse(part: bytes) -> Any:
    from lxml import etree

    return etree.fromstring(part, etree.XMLParser(resolve_entities=False, no_network=True))


def _heading_styles(styles: Any) -> dict[str, int]:
    """The level of each style that makes a paragraph a heading, by the style's id; 0 for the title."""
    levels: dict[str, int] = {}
    bases: dict[str, str] = {}
    for style in styles.iter(f"{_W}style"):
        name, identifier = _value(style, "name") or "", style.get(f"{_W}styleId") or ""
        named = _HEADING_STYLE.match(name)
        outline = _outline_level(style)
        if name.lower() in _TITLE_STYLES:
            levels[identifier] = 0
        elif named or outline:
            levels[identifier] = int(named[1]) if named else outline
        bases[identifier] = _value(style, "basedOn") or ""
    for identifier in bases:
        base = identifier
        for _ in range(_STYLES_DEEP):
            if base in levels:
                levels.setdefault(identifier, levels[base])
                break
            base = bases.get(base, "")
    return levels


def _outline_level(element: Any) -> int:
    """1 to 9, or 0 for body text."""
    level = _value(element, "pPr", "outlineLvl") or ""
    return int(level) + 1 if level in tuple("012345678") else 0


def _value(element: Any, *path: str) -> str | None:
    found = element.find("/".join(_W + name for name in path))
    return None if found is None else found.get(f"{_W}val")


def _set_style(paragraph: Any, style: str) -> None:
    from lxml import etree

    properties = paragraph.find(f"{_W}pPr")  # it is there: the level is from it
    for old in properties.findall(f"{_W}pStyle"):
        properties.remove(old)
    etree.SubElement(properties, f"{_W}pStyle").set(f"{_W}val", style)
