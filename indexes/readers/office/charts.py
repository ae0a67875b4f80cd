"""Charts as tables of the values that they were last drawn with, which their XML contains."""

from __future__ import annotations

from typing import Any

from indexes.readers.lines import Lines

_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
CHART = f"{_C}chart"  # which names the part with the chart
CHART_PART = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_CATEGORIES = ("cat", "xVal")
_VALUES = ("val", "yVal", "bubbleSize")


def add_chart(lines: Lines, chart_space: Any) -> None:
    """Add a chart under a heading: a row for each category, with a column for each series.

    Args:
        lines: Where to add it.
        chart_space: The root of the chart's XML.
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
    titles = map(_title, chart_space.iterfind(f"{_C}chart/{_C}plotArea/*"))
    return list(dict.fromkeys(filter(None, titles)))


def _title(element: Any) -> str:
    title = None if element is None else element.find(f"{_C}title")
    return "" if title is None else "".join(each.text or "" for each in title.iter(f"{_A}t", f"{_C}v")).strip()


def _points(source: Any) -> dict[int, str]:
    """The values of a series by their indices; of categories in several levels, the innermost."""
    if source is None:
        return {}
    level = source.find(f".//{_C}lvl")
    points = (source if level is None else level).iter(f"{_C}pt")
    return {int(point.get("idx", 0)): point.findtext(f"{_C}v") or "" for point in points}


def _number(text: str) -> str:
    """A number with the digits that Excel has; other text, such as `#N/A`, as it is."""
    try:
        return f"{float(text):.15g}"
    except ValueError:
        return text
