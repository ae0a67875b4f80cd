"""What is drawn on a sheet: its text boxes, pictures, form controls, and words of its charts and diagrams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree

from indexes.readers.lines import Lines
from indexes.readers.office.alternative_text import alternative_text
from indexes.readers.office.charts import BOXES, axis_titles, chart_labels, chart_title
from indexes.readers.office.diagrams import diagram_words
from indexes.readers.office.drawing_text import drawn_paragraphs
from indexes.readers.office.ooxml import Package
from indexes.readers.zip_files import parse_xml

_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_S = "{*}"  # both namespaces of drawings on sheets
_VML = "{urn:schemas-microsoft-com:vml}"
_CLIENT_DATA = "{urn:schemas-microsoft-com:office:excel}ClientData"


def add_drawings(lines: Lines, package: Package, related: list[tuple[str, str]]) -> None:
    """Add what is drawn on a sheet.

    Args:
        lines: Where to add it.
        package: The workbook.
        related: The kinds and the names of the parts that the sheet refers to.
    """
    boxes: set[str] = set()
    for drawing in (part for kind, part in related if kind == "drawing" and part in package):
        for text in _drawn(package.root(drawing)):
            boxes.add(text.strip())
            lines.add(text)
        for kind, part in package.relationships(drawing):
            if kind in ("chart", "diagramData") and part in package:
                root = package.root(part)
                lines.blank()
                words = diagram_words(root) if kind == "diagramData" else _chart_words(package, part, root)
                lines.add("\n".join(filter(None, words)))
    drawings = (part for kind, part in related if kind == "vmlDrawing" and part in package)
    for label in (label for part in drawings for label in _labels(package.part(part))):
        lines.blank()
        lines.add("" if label in boxes else label)  # newer programs write it twice


def _drawn(root: Any) -> Iterator[str]:
    """The paragraphs of boxes, and the alternative texts, with an empty one above each box."""
    for alternative in list(root.iter(_FALLBACK)):  # for programs that do not know what is shown, such as slicers
        alternative.getparent().remove(alternative)
    for element in root.iter(f"{_S}txBody", f"{_S}cNvPr"):
        yield ""
        if element.tag.endswith("cNvPr"):
            yield alternative_text(element.get("descr", ""))
        else:
            yield from drawn_paragraphs(element)


def _chart_words(package: Package, name: str, chart: Any) -> list[str]:
    """The words of a chart, whose values the sheet's cells hold."""
    return [chart_title(chart), *axis_titles(chart), *chart_labels(chart, package.roots(name, BOXES))]


def _labels(xml: bytes) -> list[str]:
    """The labels of buttons, boxes to tick and the like, in the drawings that also hold comments."""
    try:
        root: Any = parse_xml(xml, recover=True)  # older programs write `<br>` in it
    except etree.XMLSyntaxError:
        return []
    shapes = () if root is None else root.iter(f"{_VML}shape")
    controls = (shape for shape in shapes if (data := shape.find(_CLIENT_DATA)) is not None and not _is_note(data))
    boxes = (box for shape in controls for box in shape.iter(f"{_VML}textbox"))
    return list(filter(None, (" ".join("".join(box.itertext()).split()) for box in boxes)))


def _is_note(data: Any) -> bool:
    return bool(data.get("ObjectType") == "Note")
