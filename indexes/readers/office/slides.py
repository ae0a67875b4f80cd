"""The slides of a .pptx, by python-pptx."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

import pptx
from pptx.exc import InvalidXmlError

from indexes.errors import UnreadableFile
from indexes.readers.base import add_struck, first_warnings, reason_of, superscript
from indexes.readers.comments import Comment
from indexes.readers.hidden import is_read_anyway, left_out
from indexes.readers.lines import Lines
from indexes.readers.merged_cells import MergedCells, TableCell
from indexes.readers.number_formats import formatted_number
from indexes.readers.office.alternative_text import alternative_text
from indexes.readers.office.charts import BOXES, add_chart
from indexes.readers.office.diagrams import DIAGRAM, DIAGRAM_DATA, diagram_words
from indexes.readers.office.equations import M, equation_text
from indexes.readers.office.ooxml import chosen, embedding_warnings
from indexes.readers.running_text import NUMBER
from indexes.readers.symbols import is_symbol_font, symbols
from indexes.readers.zip_files import parse_xml

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_ALTERNATIVES = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"
_TRUE, _FALSE = ("1", "true"), ("0", "false")
_RUNNING = ("dt", "ftr", "hdr", "sldNum")  # placeholders of a slide's date, footer and number
_BESIDE_NOTES = (*_RUNNING, "sldImg")
_FIRST = float("-inf")
_LINE_BREAK = "_x000B_"
_NUMBERS = (  # how the names of PowerPoint's kinds of numbers begin, and what Word calls them
    ("alphaLc", "lowerLetter"),
    ("alphaUc", "upperLetter"),
    ("romanLc", "lowerRoman"),
    ("romanUc", "upperRoman"),
    ("circleNum", "decimalEnclosedCircle"),
    ("arabicDb", "decimalFullWidth"),
    ("ea1", "japaneseCounting"),
    ("thaiNum", "thaiNumbers"),
    ("thaiAlpha", "thaiLetters"),
    ("hindiNum", "hindiNumbers"),
    ("arabic1", "arabicAlpha"),
    ("arabic2", "arabicAbjad"),
    ("hebrew2", "hebrew1"),
)


def slide_lines(data: bytes, most: int) -> Lines:
    """Return the lines of a presentation: for each slide a page with its title, its shapes and its notes.

    Args:
        data: The file's bytes.
        most: The most characters of text.

    Returns:
        The lines, with a warning for each damaged slide.

    Raises:
        UnreadableFile: There is too much text.
        MemoryError: It takes more memory than there is.
        RecursionError: It is nested too deeply.
    """
    lines = Lines(most)
    presentation = pptx.Presentation(BytesIO(data))
    authors = _authors(presentation.part)
    slides = presentation.element.sldIdLst  # `presentation.slides` raises if one of them is missing
    warnings: list[str] = []
    failed = hidden = 0
    for number, identifier in enumerate(slides if slides is not None else (), start=1):
        lines.page()
        damage: list[str] = []
        try:
            slide = presentation.part.related_slide(identifier.rId)
            if slide.element.get("show") in _FALSE:
                warnings.append(is_read_anyway(f"slide {number}"))
            hidden += _without_hidden_shapes(slide.element)
            _add_slide(lines, slide, damage)
            for comment in _comments(slide.part, authors):
                lines.add(comment.line())
            kinds = (each.reltype.rpartition("/")[2] for each in slide.part.rels.values())
            warnings += embedding_warnings(kinds, f"slide {number}: ")
        except (UnreadableFile, MemoryError, RecursionError):
            raise
        except Exception as error:  # whatever a broken slide provokes; it does not cost the others
            failed += 1
            if failed == len(slides):
                raise
            damage.append(reason_of(error))
        what = f"slide {number} is damaged, and its text not or not wholly read"
        warnings += (f"{what}: {why}" for why in damage[:1])
    lines.warnings += left_out(hidden)
    lines.warnings += first_warnings(warnings, "warnings about slides")
    return lines


def _add_slide(lines: Lines, slide: Any, damage: list[str]) -> None:
    """Add a slide, and to `damage` what was wrong with shapes that are left out."""
    _choose_alternatives(slide.element)
    _add_shapes(lines, slide.shapes, _title(slide), damage)
    _add_running(lines, slide, damage)
    shapes = slide.notes_slide.element.iter(f"{_P}sp") if slide.has_notes_slide else ()
    notes = [text for shape in shapes if not _is_running(shape, _BESIDE_NOTES) for text in _paragraphs(shape)]
    if any(notes):
        lines.blank()
        lines.heading("Notes:", 3)
        lines.add("\n".join(notes))


def _without_hidden_shapes(slide: Any) -> int:
    """Remove the shapes that are hidden from a slide, and return how many characters they had."""
    named = (each for each in slide.iter(f"{_P}cNvPr") if each.get("hidden") in _TRUE)
    hidden = [shape for each in named if (shape := each.getparent().getparent()).tag != f"{_P}spTree"]
    length = sum(len((text.text or "").strip()) for shape in hidden for text in shape.iter(f"{_A}t"))
    for shape in hidden:
        if shape.getparent() is not None:
            shape.getparent().remove(shape)
    return length


def _add_running(lines: Lines, slide: Any, damage: list[str]) -> None:
    """Add the footer of a slide, and what its layout and its master show on each slide, unless a slide before did."""
    for shape in slide.element.iter(f"{_P}sp"):
        if _is_running(shape):
            lines.running(_running_text(shape))
    try:
        above = slide
        for name in ("slide_layout", "slide_master"):
            if above.element.get("showMasterSp") in _FALSE:
                return
            above = getattr(above, name)
            _choose_alternatives(above.element)
            for shape in above.element.cSld.spTree:
                if next(shape.iter(f"{_P}ph"), None) is None:
                    lines.running(_running_text(shape))
    except (UnreadableFile, MemoryError, RecursionError):
        raise
    except KeyError:  # a slide without a layout, which some programs make
        return
    except Exception as error:  # whatever a broken layout provokes
        damage.append(reason_of(error))


def _running_text(shape: Any) -> str:
    """The text of a shape, with `NUMBER` for the number of the slide and today's date."""
    for field in shape.iter(f"{_A}fld"):
        if field.get("type", "").startswith(("slidenum", "datetime")):
            for text in field.iter(f"{_A}t"):
                text.text = NUMBER
    return "\n".join(_paragraphs(shape))


def _is_running(shape: Any, kinds: tuple[str, ...] = _RUNNING) -> bool:
    """Whether a shape is the placeholder of a date, a footer or a number, or of another of these kinds."""
    placeholder = shape.find(f"{_P}nvSpPr/{_P}nvPr/{_P}ph")
    return placeholder is not None and placeholder.get("type") in kinds


def _authors(part: Any) -> dict[str, str]:
    """The names of those who wrote comments, by their ids: of older and newer versions of PowerPoint."""
    roots = [parse_xml(each.blob) for each in _related(part, "commentAuthors", "authors")]
    found = [author for root in roots for author in root.iter("{*}cmAuthor", "{*}author")]
    return {author.get("id", ""): author.get("name", "") for author in found}


def _comments(part: Any, authors: dict[str, str]) -> Iterator[Comment]:
    """The comments on a slide, and the replies to them."""
    for each in _related(part, "comments"):
        for comment in parse_xml(each.blob).iter("{*}cm", "{*}reply"):
            plain, rich = comment.find(f"{_P}text"), comment.find("{*}txBody")
            text = (plain.text or "") if plain is not None else "" if rich is None else " ".join(_paragraphs(rich))
            yield Comment(text, authors.get(comment.get("authorId", ""), ""))


def _related(part: Any, *kinds: str) -> Iterator[Any]:
    """The parts that a part refers to, of those kinds."""
    for each in part.rels.values():
        if each.reltype.rpartition("/")[2] in kinds and not each.is_external:
            yield each.target_part


def _title(slide: Any) -> Any:
    """The element of the title; None for a slide without one. A placeholder of an unknown kind loses the kind."""
    for placeholder in slide.element.iter(f"{_P}ph"):
        try:
            _ = placeholder.type
        except ValueError:
            del placeholder.attrib["type"]
    title = slide.shapes.title
    return None if title is None else title.element


def _choose_alternatives(slide: Any) -> None:
    """Replace alternative contents by one of them: python-pptx skips shapes that have some."""
    for alternatives in list(slide.iter(_ALTERNATIVES)):
        parent = alternatives.getparent()
        for element in list(chosen(alternatives)):
            alternatives.addprevious(element)
        parent.remove(alternatives)


def _add_shapes(lines: Lines, shapes: Iterable[Any], title: Any, damage: list[str]) -> None:
    """Add shapes, the title first wherever it is on the slide, since the rest belongs under it."""
    for shape in sorted(shapes, key=lambda shape: (shape.element is not title, *_position(shape))):
        try:
            _add_shape(lines, shape, title, damage)
            # A shape's name is PowerPoint's own; its description (alternative text) is a person's.
            if description := alternative_text(_description(shape.element)):
                lines.add(description)
        except (UnreadableFile, MemoryError, RecursionError):
            raise
        except Exception as error:  # whatever a broken shape provokes; it does not cost the others
            damage.append(reason_of(error))


def _add_shape(lines: Lines, shape: Any, title: Any, damage: list[str]) -> None:
    element = shape.element
    if element.tag == f"{_P}grpSp":
        _add_shapes(lines, shape.shapes, title, damage)
    elif element.tag == f"{_P}graphicFrame" and shape.has_chart:
        drawn = (parse_xml(each.blob) for each in _related(shape.chart.part, BOXES))
        add_chart(lines, shape.chart.element, drawn)
    elif element.tag == f"{_P}graphicFrame" and (diagram := next(element.iter(DIAGRAM), None)) is not None:
        data = shape.part.related_part(diagram.get(DIAGRAM_DATA))
        lines.add("\n".join(diagram_words(parse_xml(data.blob))))
    elif element.tag == f"{_P}graphicFrame":
        merged = MergedCells()
        for row in element.iter(f"{_A}tr"):
            lines.row(*merged.row(_cells(row)))
        for box in element.iter(f"{_A}txBody"):  # in a canvas
            if box.getparent().tag != f"{_A}tc":
                lines.add("\n".join(_paragraphs(box)))
    elif element.tag == f"{_P}pic" or _is_running(element):
        return  # see `_add_running`
    elif element is title:
        lines.heading("\n".join(_paragraphs(element)), 1)
    else:
        lines.add("\n".join(_paragraphs(element)))


def _description(shape: Any) -> str:
    """What is said of a shape that is no placeholder of a footer, beside its own text."""
    named = shape.find(f"*/{_P}cNvPr")
    text = "" if named is None or _is_running(shape) else named.get("descr", "")
    return "" if text.strip() == "".join(each.text or "" for each in shape.iter(f"{_A}t")).strip() else text


def _cells(row: Any) -> list[TableCell]:
    """The cells of a row, without those that one to the left of them covers."""
    return [
        TableCell("\n".join(_paragraphs(cell)), _integer(cell.get("gridSpan")), cell.get("vMerge") in _TRUE)
        for cell in row.iterchildren(f"{_A}tc")
        if cell.get("hMerge") not in _TRUE
    ]


def _integer(text: str | None, default: int = 1) -> int:
    return int(text) if text and re.fullmatch("[1-9][0-9]{0,3}", text) else default


def _position(shape: Any) -> tuple[float, float]:
    """The order from top to bottom, then from left to right; a shape without a position comes first."""
    try:
        top, left = shape.top, shape.left
    except (InvalidXmlError, KeyError, ValueError):  # neither it nor its layout says where it is, or not in numbers
        return _FIRST, _FIRST
    return _FIRST if top is None else top, _FIRST if left is None else left


def _paragraphs(element: Any) -> list[str]:
    """The paragraphs of a shape, with the numbers that PowerPoint counts."""
    counts: dict[int, tuple[tuple[str, str], int]] = {}  # by level: the kind of numbers, and the last one
    out = []
    for paragraph in element.iter(f"{_A}p"):
        text = _text(paragraph)
        properties = paragraph.find(f"{_A}pPr")
        level = 0 if properties is None else _integer(properties.get("lvl"), 0)
        numbers = None if properties is None else properties.find(f"{_A}buAutoNum")
        counts = {each: count for each, count in counts.items() if each <= level} if text.strip() else counts
        if numbers is not None and text.strip():
            kind = (numbers.get("type", ""), numbers.get("startAt", ""))
            before = counts.get(level)
            number = before[1] + 1 if before is not None and before[0] == kind else _integer(kind[1])
            counts[level] = (kind, number)
            text = _label(kind[0], number) + text
        elif text.strip():
            counts.pop(level, None)
        out.append(text)
    return out


def _label(kind: str, number: int) -> str:
    """A number as PowerPoint's kinds of them show it, such as `arabicParenR`: 1)."""
    shown = formatted_number(number, next((name for begin, name in _NUMBERS if kind.startswith(begin)), "decimal"))
    if kind.endswith("ParenBoth"):
        return f"({shown}) "
    return shown + {"ParenR": ") ", "Period": ". "}.get(kind[-6:], " ")


def _text(element: Any) -> str:
    parts: list[str] = []
    for child in element:
        if child.tag == f"{_A}t":
            parts.append((child.text or "").replace(_LINE_BREAK, " "))
        elif child.tag == f"{_A}br":
            parts.append(" ")
        elif child.tag == f"{M}oMath":
            parts.append(equation_text(child))
        elif (properties := child.find(f"{_A}rPr")) is not None:
            _add_run(parts, _in_its_font(_text(child), properties), properties)
        else:
            parts.append(_text(child))
    return "".join(parts)


def _add_run(parts: list[str], text: str, properties: Any) -> None:
    """Add a run of text, as it is set."""
    if properties.get("baseline", "") > "0":
        text = superscript(text, "".join(parts))
    if properties.get("strike", "noStrike") != "noStrike":
        add_struck(parts, text)
    else:
        parts.append(text)


def _in_its_font(text: str, properties: Any) -> str:
    """A text whose font may be one of symbols; one that is for symbols alone has no letters of ASCII."""
    for name, least in (("latin", "\0"), ("sym", "\x80")):
        font = properties.find(f"{_A}{name}")
        if font is not None and is_symbol_font(typeface := font.get("typeface", "")):
            return "".join(symbols(typeface, each) if each >= least else each for each in text)
    return text
