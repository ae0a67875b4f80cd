"""Office files with a flaw: what is sound is read, and what is not is said."""

import io
import zipfile

import docx
import pptx
import pytest
import xlsxwriter
from docx.oxml import parse_xml
from made_office import workbook
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from saved_file import parts_of, saved, zipped

STRICT = {
    b"http://schemas.openxmlformats.org/%s/2006/" % name: b"http://purl.oclc.org/ooxml/%s/" % name
    for name in (b"spreadsheetml", b"presentationml", b"drawingml", b"officeDocument")
}
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def document() -> docx.document.Document:
    file = docx.Document()
    file.add_paragraph("The lamp is lit.")
    return file


def slides(*titles: str) -> pptx.presentation.Presentation:
    file = pptx.Presentation()
    for title in titles:
        file.slides.add_slide(file.slide_layouts[5]).shapes.title.text = title
    return file


def two_sheets():
    file = workbook([["Boat", "Fee"], ["Dory", 12]])
    file.create_sheet("Second").append(["Skiff"])
    return file


@pytest.mark.parametrize(("name", "file"), [("a.xlsx", two_sheets()), ("a.pptx", slides("Skiff", "Dory", "Boat"))])
def test_strict_open_xml(name, file, read):
    parts = parts_of(file)
    for part, content in parts.items():
        for usual, strict in STRICT.items():
            content = content.replace(usual, strict)
        parts[part] = content
    assert read(name, zipped(parts)).text == read(name, saved(file)).text
    assert "Skiff" in read(name, saved(file)).text


@pytest.mark.parametrize(
    ("file", "part", "content", "warning"),
    [
        (document(), "word/styles.xml", b"<broken", "its part 'word/styles.xml' is broken and left out"),
        (document(), "word/numbering.xml", b"", "its part 'word/numbering.xml' is broken and left out"),
        (two_sheets(), "xl/styles.xml", b"<broken", "its formats are damaged, and dates may be shown as numbers"),
        (two_sheets(), "xl/styles.xml", b"<styleSheet><fills><fill x='1'/></fills></styleSheet>", None),
        (two_sheets(), "docProps/core.xml", b"<broken", "its formats are damaged"),
    ],
)
def test_a_broken_part_does_not_cost_the_text(file, part, content, warning, read):
    name = {"word": "a.docx", "xl": "a.xlsx", "docProps": "a.xlsx"}[part.partition("/")[0]]
    found = read(name, zipped(parts_of(file) | {part: content}))
    assert found.text == read(name, saved(file)).text
    assert [each.startswith(warning) for each in found.warnings] == [True] if warning else True


def test_a_damaged_picture_does_not_cost_the_text(read):
    parts = parts_of(document()) | {"word/media/image1.png": b"a picture"}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    found = read("a.docx", out.getvalue().replace(b"a picture", b"a pictyre"))
    assert (found.text, found.warnings) == (
        "The lamp is lit.",
        ("its part 'word/media/image1.png' is broken and left out",),
    )


def test_a_broken_sheet_does_not_cost_the_others(read, refusal):
    parts = parts_of(two_sheets())
    sheet = parts["xl/worksheets/sheet1.xml"]
    for broken in (sheet[: sheet.rindex(b"<c ")], sheet.replace(b"<v>12</v>", b"<v>twelve</v>")):
        found = read("a.xlsx", zipped(parts | {"xl/worksheets/sheet1.xml": broken}))
        assert found.text == "Sheet\n\nBoat | Fee\n\nSecond\n\nSkiff"
        assert found.warnings[0].startswith("sheet 'Sheet' is damaged, and its rows not or not wholly read: ")
    del parts["xl/worksheets/sheet2.xml"]
    assert read("a.xlsx", zipped(parts)).warnings == ("1 of its sheets is not in the file",)
    assert refusal("a.xlsx", zipped(parts | {"xl/worksheets/sheet1.xml": b"<broken"})).startswith("a broken .xlsx")


def test_a_broken_slide_does_not_cost_the_others(read, refusal):
    parts = parts_of(slides("One", "Two", "Three"))
    found = read("a.pptx", zipped(parts | {"ppt/slides/slide2.xml": b"<broken"}))
    assert [page.strip() for page in found.text.split("\f")] == ["One", "", "Three"]
    assert [found.text[start:][:3] for start in found.pages] == ["One", "\n\f\n", "Thr"]
    assert found.warnings[0] == "its part 'ppt/slides/slide2.xml' is broken and left out"
    assert found.warnings[1].startswith("slide 2 is damaged, and its text not or not wholly read: ")
    broken = {name: b"<broken" for name in parts if name.startswith("ppt/slides/slide")}
    assert refusal("a.pptx", zipped(parts | broken)).startswith("a broken .pptx")


def test_a_broken_chart_does_not_cost_its_slide(read):
    file = slides("One")
    chart = CategoryChartData()
    chart.categories = ["East"]
    chart.add_series("S1", (1.5,))
    file.slides[0].shapes.add_chart(XL_CHART_TYPE.PIE, 0, 0, 9, 9, chart)
    file.slides[0].shapes.add_textbox(0, 9, 9, 9).text_frame.text = "Below"
    parts = parts_of(file)
    [name] = (name for name in parts if name.startswith("ppt/charts/chart"))
    for content in (parts[name].replace(b'idx="0"', b'idx="x"'), b"<broken"):
        found = read("a.pptx", zipped(parts | {name: content}))
        assert (found.text.split()[0], found.text.split()[-1]) == ("One", "Below")
        assert found.warnings[-1].startswith("slide 1 is damaged, and its text not or not wholly read: ")


def test_what_is_embedded_is_said(read):
    file = document()
    file.part.relate_to(file.part.package.main_document_part, "http://x/relationships/aFChunk")
    [warning] = read("a.docx", saved(file)).warnings
    assert warning == "an embedded document or object is not read: save them as files of their own"


def test_form_fields_of_older_documents(read):
    file = docx.Document()
    box = '<w:checkBox><w:default w:val="0"/>{}</w:checkBox>'
    choice = '<w:ddList>{}<w:listEntry w:val="Bronze"/><w:listEntry w:val="Brass"/></w:ddList>'
    for text, data in {
        "Lit: ": box.format("<w:checked/>"),
        "Sold: ": box.format(""),
        "Lamp: ": choice.format('<w:result w:val="1"/>'),
        "Rope: ": choice.format(""),
    }.items():
        field = f'<w:fldChar {W} w:fldCharType="begin"><w:ffData>{data}</w:ffData></w:fldChar>'
        file.add_paragraph(text).add_run()._r.append(parse_xml(field))
    assert read("a.docx", saved(file)).text == "Lit: ☒\n\nSold: ☐\n\nLamp: Brass\n\nRope: Bronze"


def test_a_raised_number_does_not_become_part_of_the_number_before(read):
    file = docx.Document()
    paragraph = file.add_paragraph("10")
    paragraph.add_run("6").font.superscript = True
    paragraph.add_run(" m")
    paragraph.add_run("2").font.superscript = True
    assert read("a.docx", saved(file)).text == "10^6 m2"
    shown = slides("10")
    raised = shown.slides[0].shapes.title.text_frame.paragraphs[0].add_run()
    raised.text = "6"
    raised.font._element.set("baseline", "30000")
    assert read("a.pptx", saved(shown)).text == "10^6"


def test_escaped_characters_and_text_boxes_of_a_sheet(read):
    parts = parts_of(workbook([["Boat_x000D_", "Fee"], ["Dory_x000D_\nred", 12]]))
    rels = "http://schemas.openxmlformats.org/{}relationships"
    link = f'<Relationship Id="rId1" Type="{rels.format("officeDocument/2006/")}/drawing" Target="../drawings/drawing1.xml"/>'
    a, xdr = ("http://schemas.openxmlformats.org/drawingml/2006/" + name for name in ("main", "spreadsheetDrawing"))
    text = "<a:p><a:r><a:t>The north </a:t></a:r><a:r><a:t>beacon</a:t></a:r></a:p><a:p/><a:p><a:r><a:t>Lit at six</a:t></a:r></a:p>"
    document = read(
        "a.xlsx",
        zipped(
            parts
            | {
                "xl/worksheets/_rels/sheet1.xml.rels": f'<Relationships xmlns="{rels.format("package/2006/")}">{link}</Relationships>',
                "xl/drawings/drawing1.xml": f'<x:wsDr xmlns:x="{xdr}" xmlns:a="{a}"><x:sp><x:txBody>{text}</x:txBody></x:sp></x:wsDr>',
            }
        ),
    )
    assert document.text == "Sheet\n\nBoat | Fee\nDory red | 12\n\nThe north beacon\n\nLit at six"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'type="title"', b'type="bogus"'),
        (b"<p:spPr/>", b'<p:spPr><a:xfrm><a:off x="1.5" y="here"/><a:ext cx="" cy="-1"/></a:xfrm></p:spPr>'),
    ],
)
def test_a_shape_of_an_unknown_kind_or_at_no_place_does_not_cost_its_slide(old, new, read):
    parts = parts_of(slides("Skiff"))
    name = "ppt/slides/slide1.xml"
    assert old in parts[name]
    document = read("a.pptx", zipped(parts | {name: parts[name].replace(old, new)}))
    assert (document.text, document.warnings) == ("Skiff", ())


@pytest.mark.parametrize(
    ("name", "file", "part", "text"),
    [
        ("a.docx", document(), "word/document.xml", b"The lamp"),
        ("a.pptx", slides("Skiff"), "ppt/slides/slide1.xml", b"Skiff"),
        ("a.xlsx", workbook([["Boat", "Fee"], ["Dory", 12]]), "xl/worksheets/sheet1.xml", b"<row"),
    ],
)
@pytest.mark.parametrize("flaw", [b"\x01", b"& ", b"cut off"])
def test_a_flaw_in_the_xml_of_a_text_costs_no_more_than_what_it_hides(name, file, part, text, flaw, read):
    parts = parts_of(file)
    content = parts[part]
    assert text in content
    before = text if name == "a.xlsx" else b"</" + content.partition(text)[2].partition(b"</")[2][:3]
    flawed = content[:-20] if flaw == b"cut off" else content.replace(before, flaw + before, 1)
    document = read(name, zipped(parts | {part: flawed}))
    assert {"a.docx": "lamp is lit", "a.pptx": "Skiff", "a.xlsx": "Dory"}[name] in document.text
    assert "is damaged, and its " in document.warnings[0]


def test_names_of_parts_with_backslashes(read):
    parts = {name.replace("/", "\\"): part for name, part in parts_of(document()).items()}
    assert read("a.docx", zipped(parts)).text == "The lamp is lit."


def test_merged_cells_that_are_none_do_not_cost_their_sheet(read):
    parts = parts_of(workbook([["Boat", "Fee"], ["Dory", 12]]))
    sheet = "xl/worksheets/sheet1.xml"
    merged = b'</sheetData><mergeCells><mergeCell ref="A1:ZZZZ9"/></mergeCells>'
    document = read("a.xlsx", zipped(parts | {sheet: parts[sheet].replace(b"</sheetData>", merged)}))
    assert document.text.endswith("Boat | Fee\nDory | 12")
    assert "is damaged" in document.warnings[0]


def test_texts_that_cells_share_and_that_are_not_in_the_file_cost_those_cells_alone(read, refusal):
    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream, {"in_memory": True})
    book.add_worksheet().write_row(0, 0, ["oil", "wick", 3])
    book.close()
    with zipfile.ZipFile(stream) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"]
    parts["xl/worksheets/sheet1.xml"] = sheet.replace(b"<v>1</v>", b"<v>7</v>")
    document = read("a.xlsx", zipped(parts))
    assert (document.text, document.warnings) == (
        "Sheet1\n\noil |  | 3",
        ("sheet 'Sheet1': the text of 1 cell is not in the file",),
    )
    del parts["xl/sharedStrings.xml"]
    assert read("a.xlsx", zipped(parts)).text == "Sheet1\n\n|  | 3"
    parts["xl/worksheets/sheet1.xml"] = sheet.replace(b"<v>3</v>", b"")
    assert refusal("a.xlsx", zipped(parts)) == "a broken .xlsx: the texts of its cells are not in the file"
