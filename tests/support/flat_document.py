"""OpenDocument files, flat or zipped, with the elements that comments, charts and equations need."""

from __future__ import annotations

from saved_file import zipped

_URN = "urn:oasis:names:tc:opendocument:xmlns"
NAMES = " ".join(
    [f'xmlns:{name}="{_URN}:{name}:1.0"' for name in ("office", "text", "table", "style", "presentation", "chart")]
    + [f'xmlns:draw="{_URN}:drawing:1.0" xmlns:svg="{_URN}:svg-compatible:1.0" xmlns:meta="{_URN}:meta:1.0"']
    + ['xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xlink="http://www.w3.org/1999/xlink"']
    + ['xmlns:math="http://www.w3.org/1998/Math/MathML"']
)


def flat(body: str, before: str = '<?xml version="1.0" encoding="UTF-8"?>') -> str:
    """A file that is one XML document, with its title and a list style."""
    level = '<text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>'
    styles = (
        f'<office:automatic-styles><text:list-style style:name="L">{level}</text:list-style></office:automatic-styles>'
    )
    meta = "<office:meta><dc:title>The lamp</dc:title><meta:initial-creator>K</meta:initial-creator></office:meta>"
    return f"{before}\n<office:document {NAMES}>{meta}{styles}<office:body>{body}</office:body></office:document>"


def zipped_document(body: str, **objects: str) -> bytes:
    """The same as a zip file, with objects beside it."""
    content = f"<office:document-content {NAMES}><office:body>{body}</office:body></office:document-content>"
    return zipped({"content.xml": content, **{f"{name}/content.xml": content for name, content in objects.items()}})


def table(*rows: tuple[str, ...], name: str = "") -> str:
    """A table of cells, which are XML; text alone is a paragraph."""
    cells = ("".join(f"<table:table-cell>{_paragraph(text)}</table:table-cell>" for text in row) for row in rows)
    inside = "".join(f"<table:table-row>{row}</table:table-row>" for row in cells)
    return f'<table:table table:name="{name}">{inside}</table:table>'


def comment(text: str, author: str = "") -> str:
    """An annotation."""
    by = f"<dc:creator>{author}</dc:creator>" if author else ""
    return f"<office:annotation>{by}<dc:date>2026-11-23T09:30:00</dc:date><text:p>{text}</text:p></office:annotation>"


def _paragraph(text: str) -> str:
    return text if text.startswith("<") else f"<text:p>{text}</text:p>"
