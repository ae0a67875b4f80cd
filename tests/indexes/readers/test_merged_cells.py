"""Merged cells, headers of several rows, and the tables of markup: every row has its header and what it is merged with."""

from __future__ import annotations

import docx
import pptx
import pytest
from made_office import fill_table, workbook
from saved_file import saved, zipped

from indexes.readers.base import ReadLimits
from indexes.readers.registry import read_here

ROWS = [["Type", "Boat", "Fee", ""], ["", "", "2025", "2026"], ["Sail", "Dinghy", "5", "6"], ["", "Yacht", "8", "9"]]
ROWS += [["Motor", "Launch", "10", "11"]]
AREAS = (((0, 0), (1, 0)), ((0, 1), (1, 1)), ((0, 2), (0, 3)), ((2, 0), (3, 0)))
MERGED = ("A1:A2", "B1:B2", "C1:D1", "A3:A4")
HTML = (
    "<table><tr><td rowspan=2>Type<td rowspan=2>Boat<td colspan=2>Fee<tr><td>2025<td>2026"
    "<tr><td rowspan=2>Sail<td>Dinghy<td>5<td>6<tr><td>Yacht<td>8<td>9<tr><td>Motor<td>Launch<td>10<td>11</table>"
)


def sheet() -> bytes:
    book = workbook([cell or None for cell in row] for row in ROWS)
    for cells in MERGED:
        book.active.merge_cells(cells)
    return saved(book)


def word() -> bytes:
    document = docx.Document()
    table = document.add_table(len(ROWS), 4)
    fill_table(table, ROWS)
    for (top, left), (bottom, right) in AREAS:
        table.cell(top, left).merge(table.cell(bottom, right))
    return saved(document)


def slides() -> bytes:
    show = pptx.Presentation()
    table = show.slides.add_slide(show.slide_layouts[6]).shapes.add_table(len(ROWS), 4, 0, 0, 99, 99).table
    fill_table(table, ROWS)
    for (top, left), (bottom, right) in AREAS:
        table.cell(top, left).merge(table.cell(bottom, right))
    return saved(show)


def open_document(rows: str, kind: str = "text") -> bytes:
    urn = "urn:oasis:names:tc:opendocument:xmlns:"
    names = f'xmlns:o="{urn}office:1.0" xmlns:t="{urn}table:1.0" xmlns:p="{urn}text:1.0"'
    table = f'<t:table t:name="Fees">{rows}</t:table>'
    return zipped({"content.xml": f"<o:d {names}><o:body><o:{kind}>{table}</o:{kind}></o:body></o:d>"})


def text_document() -> bytes:
    rows = ""
    for y, row in enumerate(ROWS):
        rows += "<t:table-row>"
        for x, text in enumerate(row):
            area = next(
                (each for each in AREAS if each[0] <= (y, x) <= each[1] and each[0][1] <= x <= each[1][1]), None
            )
            if area is None or area[0] == (y, x):
                (top, left), (bottom, right) = area or ((y, x), (y, x))
                spans = f't:number-rows-spanned="{bottom - top + 1}" t:number-columns-spanned="{right - left + 1}"'
                rows += f"<t:table-cell {spans}><p:p>{text}</p:p></t:table-cell>"
            else:
                rows += "<t:covered-table-cell/>"
        rows += "</t:table-row>"
    return open_document(rows)


@pytest.mark.parametrize(
    ("name", "make"),
    [("a.html", HTML.encode), ("a.xlsx", sheet), ("a.docx", word), ("a.pptx", slides), ("a.odt", text_document)],
)
def test_merged_cells_are_in_every_row_that_they_reach_into(name, make, read):
    document = read(name, make())
    [table] = document.tables
    assert table.header == "Type | Boat | Fee 2025 | Fee 2026"
    rows = document.text[table.start : table.end].split("\n")
    assert rows == ["Sail | Dinghy | 5 | 6", "Sail | Yacht | 8 | 9", "Motor | Launch | 10 | 11"]


def test_a_header_of_one_row_that_spans_columns_stays_one_row(read):
    page = (
        "<table><tr><td>Name<td colspan=2>Address<tr><td>Bob<td>Ash Lane<td>Hull<tr><td>Tom<td>Elm Row<td>Bath</table>"
    )
    assert [table.header for table in read("a.html", page).tables] == ["Name | Address |"]


def test_a_cell_merged_both_ways_covers_what_repeated_cells_of_open_document_stand_for(read):
    cell = "<t:table-cell{}><p:p>{}</p:p></t:table-cell>".format
    block = ' t:number-columns-spanned="2" t:number-rows-spanned="2"'
    rows = "<t:table-header-rows><t:table-row>" + "".join(cell("", name) for name in ("Day", "Early", "Late", "Boat"))
    rows += "</t:table-row></t:table-header-rows><t:table-row>" + cell("", "Monday") + cell(block, "closed")
    rows += "<t:covered-table-cell/>" + cell("", "Gig") + "</t:table-row><t:table-row>" + cell("", "Tuesday")
    rows += '<t:covered-table-cell t:number-columns-repeated="2"/>' + cell("", "Tern") + "</t:table-row>"
    for name, kind in (("a.odt", "text"), ("a.ods", "spreadsheet")):
        document = read(name, open_document(rows, kind))
        [table] = document.tables
        assert table.header == "Day | Early | Late | Boat"
        assert document.text[table.start : table.end] == "Monday | closed |  | Gig\nTuesday | closed |  | Tern"


def test_merged_cells_cannot_multiply_a_file():
    rows = "<tr>" + "".join(f"<td rowspan=9999>{'x' * 190}" for _ in range(200)) + "<td>a" + "<tr><td>b" * 5_000
    text = read_here(".html", f"<table>{rows}</table>".encode(), ReadLimits()).text
    assert len(text) < 10_000_000


GRID = "+------+-----+\n| Boat | Fee |\n| kind |     |\n+======+=====+\n| Sloop| 5   |\n+------+-----+\n| Yacht| 9   |\n+------+-----+\n"
SIMPLE = "====== ===\nLamp   Hours\n====== ===\nBronze 100\n\nBrass  200\n====== ===\n\n====== ===\nNone   300\n====== ===\n\nText\n"
LIST = """.. list-table:: Fees
   :widths: 20 10
   :header-rows: 1

   * - Boat
       kind
     - Fee
   * - Sloop
     - 5
   * - Yacht

       with a crew
     -

Text
"""
CSV = """.. csv-table:: Lamps
   :header: "Lamp, or kind", Hours

   Brass, 200
   "Tin, plain", 100

.. list-table::

   * - no header
     - and words
"""
ORG = "| Boat | Fee |\n|------+-----|\n| Sloop | 5 |\n| Yacht | 9 |\n\nText\n\n| Lamp | Hours |\n| Brass | 200 |\n| Tin | 100 |\n"
ADOC = "|===\n|Boat |Fee\n\n|Sloop\n|5\n\n|Yacht |9\n|===\n\n|===\n| Lamp | Hours\n| Brass | 200\n| Tin | 100\n|===\n"
LATEX = r"""\begin{tabular}{l|c{3cm}r} \toprule
 & \multicolumn{2}{c}{\textbf{Fee}} \\ \cmidrule(lr){2-3}
Boat & 2025 & 2026 \\ \midrule
Sloop \& co & 5 & 6 \\
Yacht & 8 & 9 \\ \bottomrule
\end{tabular}
"""


@pytest.mark.parametrize(
    ("name", "text", "headers", "last"),
    [
        ("a.rst", GRID, ["Boat kind | Fee"], "| Yacht| 9   |"),
        ("a.rst", SIMPLE, ["Lamp | Hours"], "Brass  200"),
        ("a.rst", LIST, ["Boat kind | Fee"], "     -"),
        ("a.rst", CSV, ["Lamp, or kind | Hours"], '"Tin, plain", 100'),
        ("a.org", ORG, ["Boat | Fee", "Lamp | Hours"], "| Tin | 100 |"),
        ("a.adoc", ADOC, ["Boat | Fee", "Lamp | Hours"], "| Tin | 100"),
        ("a.tex", LATEX, ["Boat | Fee 2025 | Fee 2026"], r"Yacht & 8 & 9 \\"),
        ("a.md", "|a|b|\n|---|---|\n|1|2|\n|-|-|\n|c|d|\n|---|---|\n|3|4|\n", ["|a|b|", "|c|d|"], "|3|4|"),
        (
            "a.csv",
            "Boat,Fee,Crew\nSloop,5,1\nLamp,Hours,Watts\nTin,1,3\n",
            ["Boat,Fee,Crew", "Lamp,Hours,Watts"],
            "Tin,1,3",
        ),
        ("a.csv", "Boat,Fee\nSloop,5\nGig,free\nYacht,9\n", ["Boat,Fee"], "Yacht,9"),
    ],
)
def test_the_tables_of_markup_and_of_text_have_their_headers(name, text, headers, last, read):
    document = read(name, text)
    assert document.text == text
    assert [table.header for table in document.tables] == headers
    assert document.text[: document.tables[-1].end].rstrip().endswith(last)
    assert {table.start for table in document.tables} <= set(document.breaks)


def test_a_table_that_is_not_closed_leaves_the_next_one_alone(read):
    """Of the tables of reStructuredText: the first has no last rule, and would go on to one far below."""
    document = read("a.rst", f"====== ===\nLamp   Hours\n====== ===\nBronze 100\n{GRID}\n====== ===\n")
    assert [table.header for table in document.tables] == ["Boat kind | Fee"]
    assert list(document.breaks) == sorted(set(document.breaks))


def test_a_title_over_all_columns_is_no_row(read):
    """As in the boxes of Wikipedia's pages, whose rows each begin with a name."""
    box = "<tr><th colspan=2>Whale Point</th></tr><tr><td colspan=2><img src=a.png></td></tr>"
    box += (
        "<tr><th>Height</th><td>42 m</td></tr><tr><th colspan=2>Light</th></tr><tr><th>First lit</th><td>1891</td></tr>"
    )
    document = read("a.html", f"<table>{box}</table>")
    assert (document.text, document.tables) == ("Whale Point\nHeight | 42 m\nLight |\nFirst lit | 1891", ())
    rows = "<tr><td colspan=2>Boats</td></tr><tr><td>Boat<td>Fee</tr><tr><td>Alma<td>3</tr><tr><td>Berta<td>4</tr>"
    [table] = read("a.html", f"<table>{rows}</table>").tables
    assert table.header == "Boat | Fee"
