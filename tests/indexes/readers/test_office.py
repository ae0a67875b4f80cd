"""Slides and sheets, made by the libraries for them and by hand: text, headings, rows, charts."""

import re
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import pptx
import pytest
from docx.oxml import parse_xml
from made_office import workbook
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.oxml.xmlchemy import OxmlElement
from saved_file import parts_of, saved, zipped

from indexes.chunking.chunker import chunk_document

MC = "http://schemas.openxmlformats.org/markup-compatibility/2006"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"


def test_pptx(read, outline, parts, hashing):
    file = pptx.Presentation()
    first = file.slides.add_slide(file.slide_layouts[1])
    first.shapes.title.text = "題名"
    first.placeholders[1].text = "point_one\nline\vbroken"
    first.notes_slide.notes_text_frame.text = "What to say"
    file.slides.add_slide(file.slide_layouts[6])
    third = file.slides.add_slide(file.slide_layouts[5])
    third.shapes.title.text = "Numbers"
    table = third.shapes.add_table(2, 2, 0, 1_000_000, 9, 9).table
    for i, text in enumerate(["Year", "Sales_total", "2025", "12"]):
        table.cell(i // 2, i % 2).text = text
    chart = CategoryChartData()
    chart.categories = ["East"]
    chart.add_series("S1", (1.5,))
    third.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 2_000_000, 9, 9, chart)
    document = read("talk.pptx", saved(file))
    assert [page.strip() for page in document.text.split("\f")] == [
        "題名\npoint_one\nline broken\n\nNotes:\nWhat to say",
        "",
        "Numbers\nYear | Sales_total\n2025 | 12\n\nChart\n\nCategory | S1\nEast | 1.5",
    ]
    assert outline(document) == [(1, "題名"), (3, "Notes:"), (1, "Numbers"), (3, "Chart")]
    assert [part.split("\n")[0] for part in parts(document)][:2] == ["Year | Sales_total", "2025 | 12"]
    assert document.title == "題名"
    pages = [passage.chunk.page for passage in chunk_document(document, hashing)]
    assert pages == sorted(pages)
    assert set(pages) == {1, 3}


def test_pptx_pictures_are_known_by_what_was_written_about_them(read, tmp_path):
    pixel = Path(tmp_path / "pixel.png")
    pixel.write_bytes(
        bytes.fromhex(
            "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000a49444154789c6300010000050001"
            "0d0a2db40000000049454e44ae426082"
        )
    )
    file = pptx.Presentation()
    slide = file.slides.add_slide(file.slide_layouts[6])
    for top, text in enumerate(["", "売上のグラフ"]):
        slide.shapes.add_picture(str(pixel), 0, top)._element.nvPicPr.cNvPr.set("descr", text)
    assert read("a.pptx", saved(file)).text == "売上のグラフ"


def chart_of(kind: XL_CHART_TYPE, data) -> tuple[pptx.presentation.Presentation, object]:
    file = pptx.Presentation()
    slide = file.slides.add_slide(file.slide_layouts[6])
    return file, slide.shapes.add_chart(kind, 0, 0, 9, 9, data).chart


def test_pptx_charts_say_what_their_points_say(read):
    """A point that is an error does not cost the file; categories that look like numbers stay as they are."""
    data = CategoryChartData()
    data.categories = ["007", "Feb", "Mar"]
    data.add_series("Visitors", (120, 0.1 + 0.2, 5))
    data.add_series("Boats", (1, None, 3))
    file, chart = chart_of(XL_CHART_TYPE.LINE, data)
    chart.has_title = True
    chart.chart_title.text_frame.text = "Harbour"
    value = chart._chartSpace.xpath("//c:val//c:v")[2]
    value.text = "#N/A"
    assert read("a.pptx", saved(file)).text == (
        "Chart: Harbour\n\nCategory | Visitors | Boats\n007 | 120 | 1\nFeb | 0.3 |\nMar | #N/A | 3"
    )


def test_pptx_scatter_charts_have_a_table_for_each_series(read):
    data = XyChartData()
    for name, points in (("A", [(1, 10), (2.5, 20)]), ("B", [(7, 70)])):
        series = data.add_series(name)
        for x, y in points:
            series.add_data_point(x, y)
    file, _ = chart_of(XL_CHART_TYPE.XY_SCATTER, data)
    assert read("a.pptx", saved(file)).text == ("Chart\n\nCategory | A\n1 | 10\n2.5 | 20\n\nCategory | B\n7 | 70")


def test_pptx_shapes_in_groups_without_a_place_and_with_alternatives(read, outline):
    file = pptx.Presentation()
    slide = file.slides.add_slide(file.slide_layouts[5])
    slide.shapes.title.text, slide.shapes.title.top = "Last on the slide", 9_000_000
    group = slide.shapes.add_group_shape().shapes
    for top, text in ((900, "lower"), (100, "upper")):
        group.add_textbox(0, top, 9, 9).text_frame.text = text
    nowhere = slide.shapes.add_textbox(0, 500, 9, 9)
    nowhere.text_frame.text = "nowhere"
    nowhere._element.spPr.remove(nowhere._element.spPr.find(f"{{{DRAWING}}}xfrm"))
    table = slide.shapes.add_table(1, 1, 0, 5_000, 9, 9)
    table.table.cell(0, 0).text = "cell"
    table._element.remove(table._element.xfrm)
    other = slide.shapes.add_textbox(0, 7_000, 9, 9)
    other.text_frame.text = "chosen"
    element = other._element
    alternatives = parse_xml(f'<mc:AlternateContent xmlns:mc="{MC}"><mc:Choice Requires="a14"/></mc:AlternateContent>')
    element.addprevious(alternatives)
    alternatives[0].append(element)
    document = read("a.pptx", saved(file))
    assert document.text.split("\n") == ["Last on the slide", "nowhere", "cell", "upper", "lower", "chosen"]
    assert outline(document) == [(1, "Last on the slide")]


def test_pptx_whose_last_slide_is_empty(read):
    file = pptx.Presentation()
    for text in ("words", ""):
        file.slides.add_slide(file.slide_layouts[6]).shapes.add_textbox(0, 0, 9, 9).text_frame.text = text
    document = read("a.pptx", saved(file))
    assert document.text == "words\n\n\f"
    assert document.pages == (0, len(document.text))


def test_xlsx(read, outline, parts):
    rows = [
        ["code", "N/A", "value", None, "day"],
        ["NA", 123456789012, 3.14159265358979, "x" * 80, date(2026, 1, 2)],
        [],
        ["a|b\nc", 0.1 + 0.2, True, None, datetime(2026, 1, 2, 3, 4)],
        ["# no heading", 1e-9, -0.5],
    ]
    file = workbook(rows)
    file.active.title = "売上"
    file.create_sheet("empty")
    file.create_sheet("far")["C5"] = "away"
    document = read("a.xlsx", saved(file))
    assert [line for line in document.text.split("\n") if line] == [
        "売上",
        "code | N/A | value |  | day",
        f"NA | 123456789012 | 3.14159265358979 | {'x' * 80} | 2026-01-02",
        "a|b c | 0.3 | TRUE |  | 2026-01-02 03:04:00",
        "# no heading | 1e-09 | -0.5",
        "empty",
        "far",
        "|  | away",
    ]
    assert outline(document) == [(2, "売上"), (2, "empty"), (2, "far")]
    assert len(parts(document)) == 5


def test_xlsx_with_formulas_that_no_program_has_computed(read):
    book = workbook([["lamp", 3], ["oil", "=B1*2"], ["sum", "=SUM(B1:B2)"], ["", "=1"], ["", "=2"]])
    book.active.title = "Stock"
    document = read("a.xlsx", saved(book))
    assert document.text == "Stock\n\nlamp | 3\noil\nsum"
    [warning] = document.warnings
    assert warning.startswith("sheet 'Stock': 4 formulas have no computed value in the file (B2, B3, B4, …)")


def test_xlsx_with_formulas_that_were_computed(read):
    book = workbook([["a", "=1+1", '=""']])
    computed = b'<c r="B1"><f>1+1</f><v>2</v></c><c r="C1" t="str"><f>""</f><v></v></c>'
    made = {name: re.sub(rb'<c r="B1".*</c>', computed, part) for name, part in parts_of(book).items()}
    document = read("a.xlsx", zipped(made))
    assert (document.text, document.warnings) == ("Sheet\n\na | 2", ())


def test_xlsx_without_furigana_and_whatever_size_it_claims(read):
    made = parts_of(workbook([["東京"]]))
    sheet = made["xl/worksheets/sheet1.xml"].decode().replace('ref="A1"', 'ref="A1:XFD1048576"')
    sheet = sheet.replace('"A1:A1"', '"A1:XFD1048576"').replace(
        "</t>", "</t><rPh sb='0' eb='2'><t>トウキョウ</t></rPh>"
    )
    assert "XFD1048576" in sheet
    assert "トウキョウ" in sheet
    made["xl/worksheets/sheet1.xml"] = sheet.encode()
    assert read("a.xlsx", zipped(made)).text.split() == ["Sheet", "東京"]


def test_no_library_for_office_files_is_loaded_where_files_are_searched():
    loaded = "import sys, indexes; print([name for name in ('pptx', 'openpyxl', 'lxml') if name in sys.modules])"
    path = f"import sys; sys.path[:] = {sys.path!r}; "
    done = subprocess.run([sys.executable, "-c", path + loaded], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("0.0%", 0.125, "12.5%"),
        ("0%", -0.07, "-7%"),
        ("00000", 42, "00042"),
        ('"第"0"号"', 7, "第7号"),
        ("第0回", 3, "第3回"),
        ("000\\-0000", 1600022, "160-0022"),
        ("[<=999]000;[<=9999]000\\-00;000\\-0000", 600001, "060-0001"),
        ('#,##0"円"', 1234567890123456, "1234567890123456円"),
        ("[$¥-411]#,##0", 1200.5, "¥1200.5"),
        ('"¥"#,##0;[Red]"¥"-#,##0', -1200, "-¥1200"),
        ("#,##0", 1234, "1234"),
        ('0,"千円"', 5000, "5000"),
        ("0.00E+00", 12345.5, "12345.5"),
        ("[h]:mm", timedelta(hours=30, minutes=5), "30:05:00"),
        ('[$-411]ggge"年"m"月"d"日"', date(2024, 4, 1), "令和6年4月1日 (2024-04-01)"),
        ("[$-411]ge.m.d;@", datetime(2019, 4, 30, 9, 5), "平成31年4月30日 (2019-04-30 09:05:00)"),
        ("ggge", 43586, "令和元年5月1日 (2019-05-01)"),
        ("ggge", -1, "-1"),
        ("aaa", date(2024, 4, 1), "月"),
        ("[$-411](aaaa);@", date(2024, 4, 7), "日曜日"),
        ('0"増";0"減";"同じ"', 3, "3増"),
        ('0"増";0"減";"同じ"', -3, "3減"),
        ('0"増";0"減";"同じ"', 0, "同じ"),
        ('[=1]"男";[=2]"女";General', 2, "女"),
        ('[=1]"男";[=2]"女";General', 3.5, "3.5"),
        ("[<=999]000;[<=9999]000\\-00;000\\-0000", 60, "060"),
        ("#,##0;(#,##0)", -12, "-12"),
        ('@"様"', "山田", "山田様"),
        ('0"円";;;"〒"@" 迄"', "山田", "〒山田 迄"),
        ('@"様"', 3, "3"),
        ('0"円";;;"〒"@" 迄"', 3, "3円"),
        ("@", "山田", "山田"),
    ],
)
def test_numbers_of_a_sheet_are_shown_with_what_their_format_adds(code, value, shown, read):
    book = workbook([["科目", "値"], ["旅費", value]])
    book.active["B2"].number_format = code
    assert read("a.xlsx", saved(book)).text.splitlines()[-1] == f"旅費 | {shown}"


def test_numbers_that_powerpoint_counts_are_in_front_of_their_paragraphs(read):
    file = pptx.Presentation()
    frame = file.slides.add_slide(file.slide_layouts[6]).shapes.add_textbox(0, 0, 9, 9).text_frame
    lines = [
        *(("one", 0, "arabicPeriod", ""), ("sub", 1, "alphaLcParenR", ""), ("sub", 1, "alphaLcParenR", "")),
        *(("two", 0, "arabicPeriod", ""), ("no number", 0, "", ""), ("again", 0, "arabicPeriod", "")),
        *(("丸", 0, "circleNumDbPlain", "3"), ("丸", 0, "circleNumDbPlain", "3"), ("both", 0, "romanUcParenBoth", "")),
    ]
    for text, level, kind, start in lines:
        paragraph = frame.add_paragraph()
        paragraph.text, paragraph.level = text, level
        if kind:
            at = {"startAt": start} if start else {}
            paragraph._p.get_or_add_pPr().append(OxmlElement("a:buAutoNum"))
            for name, value in ({"type": kind} | at).items():
                paragraph._p.pPr[-1].set(name, value)
    assert read("a.pptx", saved(file)).text.splitlines() == [
        *("1. one", "a) sub", "b) sub", "2. two", "no number", "1. again", "③ 丸", "④ 丸", "(I) both")
    ]


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        ("pptm", "ms-powerpoint.presentation.macroEnabled"),
        ("ppsx", "openxmlformats-officedocument.presentationml.slideshow"),
        ("potm", "ms-powerpoint.template.macroEnabled"),
    ],
)
def test_slide_shows_templates_and_slides_with_macros(suffix, kind, read):
    file = pptx.Presentation()
    file.slides.add_slide(file.slide_layouts[5]).shapes.title.text = "題名"
    made = parts_of(file)
    usual = b"openxmlformats-officedocument.presentationml.presentation"
    made["[Content_Types].xml"] = made["[Content_Types].xml"].replace(usual, kind.encode())
    assert read(f"a.{suffix}", zipped(made)).text == "題名"


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [("xlsm", "ms-excel.sheet.macroEnabled"), ("xltx", "openxmlformats-officedocument.spreadsheetml.template")],
)
def test_workbooks_with_macros_and_templates(suffix, kind, read):
    made = parts_of(workbook([["灯台", 3]]))
    usual = b"openxmlformats-officedocument.spreadsheetml.sheet"
    made["[Content_Types].xml"] = made["[Content_Types].xml"].replace(usual, kind.encode())
    assert read(f"a.{suffix}", zipped(made)).text == "Sheet\n\n灯台 | 3"
