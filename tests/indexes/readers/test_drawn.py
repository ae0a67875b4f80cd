"""What is drawn in Office files and beside their rows: charts, boxes, alternative texts, controls, prompts, lists."""

import io

import docx
import openpyxl
import pptx
import pytest
import xlsxwriter
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from flat_document import NAMES, table, zipped_document
from made_office import workbook
from openpyxl.worksheet.datavalidation import DataValidation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from saved_file import parts_of, saved, zipped

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"
C = f'xmlns:c="{DRAWING}/chart" xmlns:a="{DRAWING}/main" xmlns:r="{OFFICE}/relationships"'
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
MC = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'


def paragraph(text: str) -> str:
    return f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>"


def points(*values: str) -> str:
    return "".join(f'<c:pt idx="{number}"><c:v>{value}</c:v></c:pt>' for number, value in enumerate(values) if value)


CHART = (
    f"<c:chartSpace {C}><c:chart><c:plotArea><c:barChart><c:ser>"
    f"<c:dLbls><c:dLbl><c:tx><c:rich>{paragraph('the record')}</c:rich></c:tx></c:dLbl></c:dLbls>"
    f"<c:cat><c:multiLvlStrRef><c:multiLvlStrCache><c:lvl>{points('Q1', 'Q2', 'Q1')}</c:lvl>"
    f"<c:lvl>{points('2025', '', '2026')}</c:lvl></c:multiLvlStrCache></c:multiLvlStrRef></c:cat>"
    f"<c:val><c:numRef><c:numCache>{points('1', '2', '3')}</c:numCache></c:numRef></c:val></c:ser></c:barChart>"
    '<c:valAx><c:dispUnits><c:builtInUnit val="millions"/></c:dispUnits></c:valAx></c:plotArea></c:chart>'
    "</c:chartSpace>"
)
CHART_LINES = "Chart\nmillions\n\nCategory |\n2025 Q1 | 1\n2025 Q2 | 2\n2026 Q1 | 3\n\nthe record"
BOXES = f"<c:userShapes {C}><c:sp><c:txBody>{paragraph('Strike')}{paragraph('in May')}</c:txBody></c:sp></c:userShapes>"


def part(file: docx.document.Document, name: str, content: str) -> Part:
    return Part(PackURI(f"/word/{name}.xml"), "application/xml", content.encode(), file.part.package)


def draw(file: docx.document.Document, owner: Part, run) -> None:
    """Put the chart into a run, which is in that part."""
    chart = part(file, "charts/chart1", CHART)
    chart.relate_to(part(file, "drawings/drawing1", BOXES), f"{OFFICE}/relationships/chartUserShapes")
    identifier = owner.relate_to(chart, f"{OFFICE}/relationships/chart")
    run._r.append(parse_xml(f'<c:chart {C} r:id="{identifier}"/>'))


def test_a_chart_has_its_levels_units_labels_and_boxes(read):
    file = docx.Document()
    draw(file, file.part, file.add_paragraph("body").add_run())
    assert read("a.docx", saved(file)).text == f"body\n\n{CHART_LINES}\nStrike\nin May"


def test_a_chart_in_a_header_is_that_of_the_header(read):
    file = docx.Document()
    file.add_paragraph("body")
    header = file.sections[0].header
    draw(file, header.part, header.paragraphs[0].add_run("head"))
    lines = [*filter(None, CHART_LINES.replace(" |\n", "\n").split("\n")), "Strike", "in May"]
    assert read("a.docx", saved(file)).text.split("\n") == ["body", "", "head", *lines]


def test_a_chart_in_a_footnote_is_that_of_the_notes(read):
    file = docx.Document()
    file.add_paragraph("body").add_run()._r.append(parse_xml(f'<w:footnoteReference {W} w:id="7"/>'))
    note = f'<w:p><w:r><w:t>note</w:t><c:chart {C} r:id="rId1"/></w:r></w:p>'
    notes = part(file, "footnotes", f'<w:footnotes {W}><w:footnote w:id="7">{note}</w:footnote></w:footnotes>')
    assert notes.relate_to(part(file, "charts/chart1", CHART), f"{OFFICE}/relationships/chart") == "rId1"
    file.part.relate_to(notes, f"{OFFICE}/relationships/footnotes")
    assert read("a.docx", saved(file)).text == f"body[1]\n\n[1] note\n\n{CHART_LINES}"


def test_boxes_on_charts_of_slides_and_sheets_are_read(read):
    file = pptx.Presentation()
    data = CategoryChartData()
    data.categories = ["Jan"]
    data.add_series("kg", (1.5,))
    slide = file.slides.add_slide(file.slide_layouts[6])
    chart = slide.shapes.add_chart(XL_CHART_TYPE.PIE, 0, 0, 9, 9, data).chart.part
    name = pptx.opc.packuri.PackURI("/ppt/drawings/drawing1.xml")
    boxes = pptx.opc.package.Part(name, "application/xml", chart.package, BOXES.encode())
    chart.relate_to(boxes, f"{OFFICE}/relationships/chartUserShapes")
    assert read("a.pptx", saved(file)).text.endswith("Jan | 1.5\n\nStrike\nin May")
    book = workbook([["item", "kg"]])
    book.active.add_chart(openpyxl.chart.BarChart(), "D1")
    parts = parts_of(book)
    parts["xl/charts/chart1.xml"] = CHART.encode()
    parts["xl/drawings/drawing9.xml"] = BOXES.encode()
    parts["xl/charts/_rels/chart1.xml.rels"] = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r"'
        f' Type="{OFFICE}/relationships/chartUserShapes" Target="../drawings/drawing9.xml"/></Relationships>'
    ).encode()
    assert read("a.xlsx", zipped(parts)).text == "Sheet\n\nitem | kg\n\nmillions\nthe record\nStrike\nin May"


def test_what_is_written_beside_a_chart_of_an_open_document_is_read(read):
    chart = f"<chart:subtitle><text:p>in kg</text:p></chart:subtitle>{table(('', 'kg'), ('Jan', '1.5'))}"
    document = f"<office:document {NAMES}><office:body><office:chart><chart:chart>{chart}</chart:chart></office:chart>"
    document += "</office:body></office:document>"
    body = f"<office:text><text:p><draw:frame><draw:object>{document}</draw:object></draw:frame></text:p></office:text>"
    assert read("a.odt", zipped_document(body)).text == "Chart\nin kg\n\n| kg\nJan | 1.5"


def test_a_canvas_from_a_presentation_is_read(read):
    canvas = f'<lc:lockedCanvas xmlns:lc="{DRAWING}/lockedCanvas" {C}><a:sp><a:txSp><a:txBody>{paragraph("Oil")}{paragraph("low")}'
    canvas += "</a:txBody></a:txSp></a:sp></lc:lockedCanvas>"
    file = docx.Document()
    file.add_paragraph("body").add_run()._r.append(parse_xml(canvas))
    assert read("a.docx", saved(file)).text == "body\nOil\nlow"
    slides = pptx.Presentation()
    frame = slides.slides.add_slide(slides.slide_layouts[6]).shapes.add_table(1, 1, 0, 0, 9, 9)._element
    inside = frame.graphic.graphicData
    inside.replace(inside[0], parse_xml(canvas))
    assert read("a.pptx", saved(slides)).text == "Oil\nlow"


def test_of_alternatives_the_first_that_holds_something_is_read(read):
    text = "<w:r><w:t>shown</w:t></w:r>"
    both = (
        f'<mc:AlternateContent {MC} {W}><mc:Choice Requires="x"/><mc:Fallback>{{}}</mc:Fallback></mc:AlternateContent>'
    )
    file = docx.Document()
    file.add_paragraph("one ")._p.append(parse_xml(both.format(text)))
    file.element.body.insert(1, parse_xml(both.format(f"<w:p>{text}</w:p>")))
    assert read("a.docx", saved(file)).text == "one shown\n\nshown"
    slides = pptx.Presentation()
    box = slides.slides.add_slide(slides.slide_layouts[6]).shapes.add_textbox(0, 0, 9, 9)
    box.text_frame.text = "shown"
    element = box._element
    element.addprevious(parse_xml(both.format("")))
    element.getprevious()[1].append(element)
    assert read("a.pptx", saved(slides)).text == "shown"


def test_alternative_texts_of_shapes_and_tables_are_read(read):
    file = pptx.Presentation()
    shapes = file.slides.add_slide(file.slide_layouts[6]).shapes
    made = (shapes.add_shape(1, 0, 0, 9, 9), shapes.add_textbox(0, 9, 9, 9), shapes.add_table(1, 1, 0, 99, 9, 9))
    made[1].text_frame.text = "box"
    made[2].table.cell(0, 0).text = "cell"
    for shape, text in zip(made, ("A pump", "box", "Fees\nby boat"), strict=True):
        shape._element.xpath(".//p:cNvPr")[0].set("descr", text)
    machine = shapes.add_shape(1, 0, 999, 9, 9)
    machine._element.nvSpPr.cNvPr.set("descr", "A blue thing\n\nDescription automatically generated")
    assert [line for line in read("a.pptx", saved(file)).text.split("\n") if line] == [
        *("A pump", "box", "cell", "Fees by boat")
    ]
    vml = '<w:pict xmlns:v="urn:schemas-microsoft-com:vml" {}><v:shape alt="A pump"><v:imagedata/></v:shape></w:pict>'
    document = docx.Document()
    document.add_paragraph("body").add_run()._r.append(parse_xml(vml.format(W)))
    assert read("a.docx", saved(document)).text == "body\nA pump"


def test_alternative_texts_and_controls_on_a_sheet_are_read(read):
    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream, {"in_memory": True})
    sheet = book.add_worksheet()
    sheet.write(0, 0, "item")
    sheet.write_comment("A1", "Count again.", {"author": "Holm"})
    sheet.insert_textbox("C3", "box", {"description": "A pump"})
    sheet.insert_button("E5", {"caption": "Send the form"})
    book.close()
    text = read("a.xlsx", stream.getvalue()).text
    assert text == "Sheet1\n\nitem\nComment by Holm on A1 (item): Count again.\n\nA pump\n\nbox\n\nSend the form"


def test_further_boxes_among_the_notes_of_a_slide_are_read(read):
    file = pptx.Presentation()
    notes = file.slides.add_slide(file.slide_layouts[6]).notes_slide
    notes.notes_text_frame.text = "Speak up."
    box = parse_xml(
        f'<p:sp xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" {C}><p:nvSpPr><p:cNvPr id="9"'
        f' name="b"/><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/>{paragraph("Then wait.")}</p:txBody></p:sp>'
    )
    notes.shapes._spTree.append(box)
    assert read("a.pptx", saved(file)).text == "Notes:\nSpeak up.\nThen wait."


def test_prompts_and_lists_of_cells_are_read_once(read):
    book = workbook([["Boat", "Class"], ["Alma", "Gold"]])
    for place in ("B2:B9", "B20"):
        classes = DataValidation(type="list", formula1='"Gold,Silver ""S"""', promptTitle="Class", prompt="As paid.")
        classes.add(place)
        book.active.add_data_validation(classes)
    other = DataValidation(type="list", formula1="$A$1:$A$2")
    other.add("C1")
    book.active.add_data_validation(other)
    assert read("a.xlsx", saved(book)).text == (
        'Sheet\n\nBoat | Class\nAlma | Gold\nPrompt on B2:B9: Class: As paid.\nChoices on B2:B9: Gold, Silver "S"'
    )
    message = (
        '<table:help-message table:title="Class" table:display="true"><text:p>As paid.</text:p></table:help-message>'
    )
    checks = (
        "<table:content-validation table:name='v' table:condition='of:cell-content-is-in-list(\"Gold\";\"Silver\")'>"
    )
    checks = f"<table:content-validations>{checks}{message}</table:content-validation></table:content-validations>"
    rows = table(("Alma", "Gold"), name="Boats")
    rows = rows.replace(
        "<table:table-cell><text:p>Gold", '<table:table-cell table:content-validation-name="v"><text:p>Gold'
    )
    assert read("a.ods", zipped_document(f"<office:spreadsheet>{checks}{rows}</office:spreadsheet>")).text == (
        "Boats\n\nAlma | Gold\nPrompt on B1: Class: As paid.\nChoices on B1: Gold, Silver"
    )


@pytest.mark.parametrize(
    ("control", "shown"),
    [
        ('textarea form:current-value="Two\nlamps"', "Two lamps"),
        ('text form:value="Two"', "Two"),
        ('checkbox form:label="Lit" form:current-state="checked"', "☒ Lit"),
        ('radio form:label="Lit"', "☐ Lit"),
        ('password form:current-value="secret"', ""),
    ],
)
def test_controls_of_a_form_are_what_they_show(control, shown, read):
    names = 'xmlns:form="urn:oasis:names:tc:opendocument:xmlns:form:1.0"'
    forms = f'<office:forms><form:form {names}><form:{control} form:id="c"/></form:form></office:forms>'
    place = '<text:p>Lamps:<draw:control draw:control="c"/></text:p>'
    document = read("a.odt", zipped_document(f"<office:text>{forms}{place}</office:text>"))
    assert document.text == f"Lamps:\n{shown}".strip()


def test_raised_text_in_cells_is_told_apart(read):
    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream, {"in_memory": True})
    sheet, raised, bold = book.add_worksheet(), book.add_format({"font_script": 1}), book.add_format({"bold": True})
    sheet.write_rich_string(0, 0, "10", raised, "6", " units")
    sheet.write_rich_string(1, 0, bold, "bold", " and plain")
    sheet.write(2, 0, 3.5)
    book.close()
    assert read("a.xlsx", stream.getvalue()).text == "Sheet1\n\n10^6 units\nbold and plain\n3.5"
