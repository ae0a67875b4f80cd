"""Office documents, made by the libraries for them and by hand: text, headings, rows, slides."""

import io
import subprocess
import sys
import zipfile
from datetime import date, datetime
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE

from indexes.chunking import chunk_document
from indexes.readers import end_isolation

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def saved(file) -> bytes:
    stream = io.BytesIO()
    file.save(stream)
    return stream.getvalue()


def word_of(*elements: str) -> docx.document.Document:
    """A document whose body is this XML."""
    file = docx.Document()
    for element in elements:
        file.element.body.insert(len(file.element.body) - 1, parse_xml(element))
    return file


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def test_docx(read, outline, parts):
    file = docx.Document()
    file.add_heading("Report", 0)
    file.add_heading("First", 1)
    paragraph = file.add_paragraph("Some ")
    paragraph.add_run("bold").bold = True
    paragraph.add_run(" snake_case *text*")
    table = file.add_table(2, 3)
    for row, cells in enumerate([("a", "b", "c"), ("1", "", "三")]):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    file.add_heading("Deeper", 3)
    file.add_paragraph("重要", style="List Bullet").add_run("な点").bold = True
    file.core_properties.author, file.core_properties.subject = "山田", "Sales"
    document = read("a.docx", saved(file))
    assert document.text == (
        "Report\n\nFirst\n\nSome bold snake_case *text*\n\na | b | c\n1 |  | 三\n\nDeeper\n\n* 重要な点"
    )
    assert outline(document) == [(1, "Report"), (1, "First"), (3, "Deeper")]
    assert [part.split("\n")[0] for part in parts(document)] == ["a | b | c", "1 |  | 三"]
    assert document.title == "Report"
    assert document.metadata == {"author": "山田", "subject": "Sales"}


def test_docx_headings_by_japanese_style_outline_level_and_base(read, outline):
    identifiers = ("1", "o2", "b1", "loop")
    paragraphs = (f'<w:p {W}><w:pPr><w:pStyle w:val="{i}"/></w:pPr>{run("style " + i)}</w:p>' for i in identifiers)
    file = word_of(*paragraphs, f'<w:p {W}><w:pPr><w:outlineLvl w:val="8"/></w:pPr>{run("direct")}</w:p>')
    for identifier, inside in zip(
        identifiers,
        (
            '<w:name w:val="見出し 1"/>',
            '<w:name w:val="Mine"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr>',
            '<w:name w:val="Based"/><w:basedOn w:val="1"/>',
            '<w:name w:val="Loop"/><w:basedOn w:val="loop"/>',
        ),
        strict=True,
    ):
        style = f'<w:style {W} w:type="paragraph" w:styleId="{identifier}">{inside}</w:style>'
        file.styles.element.append(parse_xml(style))
    file.core_properties.title = "From the properties"
    document = read("a.docx", saved(file))
    assert outline(document) == [(1, "style 1"), (2, "style o2"), (1, "style b1"), (6, "direct")]
    assert document.title == "From the properties"


def test_docx_text_within_other_elements(read):
    """What mammoth passes over is read; what the author deleted, and furigana, is not."""
    ruby = f"<w:r><w:ruby><w:rt>{run('とうきょう')}</w:rt><w:rubyBase>{run('東京')}</w:rubyBase></w:ruby></w:r>"
    file = word_of(
        f"<w:p {W}>{run('彼は')}{ruby}{run('へ行った。')}</w:p>",
        f"<w:p {W}>{run('kept')}<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>"
        f"<w:moveFrom>{run('moved')}</w:moveFrom><w:ins>{run(' and new')}</w:ins><w:moveTo>{run(', here')}</w:moveTo></w:p>",
        f"<w:p {W}><w:customXml>{run('custom')}</w:customXml><w:fldSimple>{run(' field')}</w:fldSimple></w:p>",
    )
    assert read("a.docx", saved(file)).text == "彼は東京へ行った。\n\nkept and new, here\n\ncustom field"


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


def test_xlsx(read, outline, parts):
    file = openpyxl.Workbook()
    sheet = file.active
    sheet.title = "売上"
    for row in (
        ["code", "N/A", "value", None, "day"],
        ["NA", 123456789012, 3.14159265358979, "x" * 80, date(2026, 1, 2)],
        [],
        ["a|b\nc", 0.1 + 0.2, True, None, datetime(2026, 1, 2, 3, 4)],
        ["# no heading", 1e-9, -0.5],
    ):
        sheet.append(row)
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


def test_xlsx_without_furigana_and_whatever_size_it_claims(read):
    file = openpyxl.Workbook()
    file.active["A1"] = "東京"
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(file))) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            part = (
                source.read(name).replace(b'"A1:A1"', b'"A1:XFD1048576"').replace(b'ref="A1"', b'ref="A1:XFD1048576"')
            )
            furigana = "</t><rPh sb='0' eb='2'><t>トウキョウ</t></rPh>".encode()
            target.writestr(name, part.replace(b"</t>", furigana) if "sheet1" in name else part)
    made = zipfile.ZipFile(out).read("xl/worksheets/sheet1.xml").decode()
    assert "XFD1048576" in made
    assert "トウキョウ" in made
    assert read("a.xlsx", out.getvalue()).text.split() == ["Sheet", "東京"]


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx"])
def test_without_the_extra(name, refusal, tmp_path, monkeypatch):
    (tmp_path / "markitdown.py").write_text("raise ModuleNotFoundError('no', name='markitdown')")
    monkeypatch.syspath_prepend(tmp_path)
    end_isolation()  # the next reads with this path
    try:
        assert refusal(name, b"PK") == f'markitdown is needed to read .{name[2:]}: pip install "longctx[office]"'
    finally:
        end_isolation()


def test_nothing_of_markitdown_is_loaded_where_files_are_searched():
    loaded = (
        "import sys, indexes; print([name for name in ('markitdown', 'openpyxl', 'magika') if name in sys.modules])"
    )
    path = f"import sys; sys.path[:] = {sys.path!r}; "
    done = subprocess.run([sys.executable, "-c", path + loaded], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
