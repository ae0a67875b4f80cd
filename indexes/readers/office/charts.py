"""Charts as tables of the values that they were last drawn with, which their XML contains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from indexes.readers.lines import Lines
from indexes.readers.office.drawing_text import drawn_paragraphs

_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
CHART = f"{_C}chart"  # which names the part with the chart
CHART_PART = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_CATEGORIES = ("cat", "xVal")
BOXES = "chartUserShapes"  # the kind of the part with what is drawn on a chart
_VALUES = ("val", "yVal", "bubbleSize")


def add_chart(lines: Lines, chart_space: Any, drawn: Iterable[Any] = ()) -> None:
    """Add a chart under a heading: a row for each category, with a column for each series.

    Args:
        lines: Where to add it.
        chart_space: The root of the chart's XML.
        drawn: The roots of the parts with what is drawn on it, of the kind `BOXES`.
    """
    tables: dict[tuple[tuple[int, str], ...], list[tuple[str, dict[int, str]]]] = {}
    for series in chart_space.iter(f"{_C}ser"):
        name = " ".join(text.text or "" for text in series.iterfind(f"{_C}tx//{_C}v"))
        categories = next((points for tag in _CATEGORIES if (points := _points(series.find(_C + tag)))), {})
        columns = [
            (name, {index: _number(text) for index, text in points.items()})
            for tag in _VALUES
            if (points := _points(series.find(_C + tag)))
        ]
        tables.setdefault(tuple(categories.items()), []).extend(columns)
    lines.blank()
    lines.heading(chart_title(chart_space) or "Chart", 3)
    lines.add("\n".join(axis_titles(chart_space)))
    for labelled, columns in tables.items():
        lines.blank()
        lines.row(["Category", *(name for name, _ in columns)])
        labels = dict(labelled)
        for index in sorted(labels.keys() | {index for _, points in columns for index in points}):
            lines.row([labels.get(index, ""), *(points.get(index, "") for _, points in columns)])
    lines.blank()
    if words := chart_labels(chart_space, drawn):
        lines.add("\n".join(words))
        lines.blank()


def chart_title(chart_space: Any) -> str:
    """Return what stands above a chart, such as `Chart: Oil`; empty if it has no title.

    Args:
        chart_space: The root of the chart's XML.

    Returns:
        The line.
    """
    words = _title(chart_space.find(f"{_C}chart"))
    return f"Chart: {words}" if words else ""


def axis_titles(chart_space: Any) -> list[str]:
    """Return what stands beside the axes of a chart, such as `Litres`.

    Args:
        chart_space: The root of the chart's XML.

    Returns:
        The titles.
    """
    axes = list(chart_space.iterfind(f"{_C}chart/{_C}plotArea/*"))
    units = (unit for axis in axes for unit in axis.iterchildren(f"{_C}dispUnits"))
    return list(dict.fromkeys(filter(None, [*map(_title, axes), *map(_unit, units)])))


def chart_labels(chart_space: Any, drawn: Iterable[Any] = ()) -> list[str]:
    """Return what somebody wrote beside the points of a chart, and in boxes on it.

    Args:
        chart_space: The root of the chart's XML.
        drawn: The roots of the parts with what is drawn on it.

    Returns:
        A line for each label and each paragraph.
    """
    labels = [" ".join(drawn_paragraphs(label)) for label in chart_space.iterfind(f".//{_C}dLbl/{_C}tx")]
    boxes = [paragraph for root in drawn for paragraph in drawn_paragraphs(root)]
    return list(filter(None, map(str.strip, [*labels, *boxes])))


def _unit(units: Any) -> str:
    """What the numbers of an axis are counted in, such as millions."""
    label, built_in = units.find(f"{_C}dispUnitsLbl/{_C}tx"), units.find(f"{_C}builtInUnit")
    written = "" if label is None else " ".join(drawn_paragraphs(label)).strip()
    return written or ("" if built_in is None else built_in.get("val", ""))


def _title(element: Any) -> str:
    title = None if element is None else element.find(f"{_C}title")
    return "" if title is None else "".join(each.text or "" for each in title.iter(f"{_A}t", f"{_C}v")).strip()


def _points(source: Any) -> dict[int, str]:
    """The values of a series by their indices; of categories in several levels, all of them, the outermost first."""
    if source is None:
        return {}
    levels = source.findall(f".//{_C}lvl")
    inner = _of_level(levels[0] if levels else source)
    for level in levels[1:]:
        outer, last = _of_level(level), ""
        for index in sorted(inner.keys() | outer.keys()):
            last = outer.get(index, last)  # which stands once for all that it spans
            inner[index] = " ".join(filter(None, (last, inner.get(index, ""))))
    return inner


def _of_level(level: Any) -> dict[int, str]:
    return {int(point.get("idx", 0)): point.findtext(f"{_C}v") or "" for point in level.iter(f"{_C}pt")}


def _number(text: str) -> str:
    """A number with the digits that Excel has; other text, such as `#N/A`, as it is."""
    try:
        return f"{float(text):.15g}"
    except ValueError:
        return text
