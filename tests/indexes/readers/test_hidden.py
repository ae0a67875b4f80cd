"""What is hidden or deleted in a document: text is left out, rows, columns, sheets and slides are read; both is said."""

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml
from flat_document import NAMES, table
from saved_file import saved, zipped

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
MATH = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
DELETED = f'<w:del {W} w:id="1" w:author="Holm"/>'


def left_out(count: int) -> tuple[str, ...]:
    return (f"hidden text is left out ({count} characters): show it, and save the file",)


def test_text_that_a_style_of_word_hides_is_left_out(read):
    file = docx.Document()
    hides = "<w:rPr><w:vanish/></w:rPr>"
    for name, inside, kind in (
        ("Hidden", hides, "paragraph"),
        ("Based", '<w:basedOn w:val="Hidden"/>', "paragraph"),
        ("Word", hides, "character"),
    ):
        style = f'<w:style {W} w:type="{kind}" w:styleId="{name}"><w:name w:val="{name}"/>{inside}</w:style>'
        file.styles.element.append(parse_xml(style))
    for text, style in (("seen", "Normal"), ("secret", "Hidden"), ("secret", "Based"), ("after", "Normal")):
        file.add_paragraph(text, style=style)
    file.paragraphs[0].add_run(" secret", style="Word")
    shown = file.add_paragraph("", style="Hidden").add_run("shown again")
    shown.font.hidden = False
    document = read("a.docx", saved(file))
    assert (document.text, document.warnings) == ("seen\n\nafter\n\nshown again", left_out(18))


def test_paragraphs_without_a_style_are_hidden_where_the_documents_own_hides(read):
    file = docx.Document()
    file.styles["Normal"].font.hidden = True
    file.add_paragraph("secret").style = None
    file.add_paragraph("secret").add_run(" seen").font.hidden = False
    assert read("a.docx", saved(file)).text == "seen"


def test_deleted_cells_and_deleted_parts_of_equations_are_left_out(read):
    file = docx.Document()
    cells = file.add_table(1, 3).rows[0].cells
    for cell, text in zip(cells, ("one", "gone", "three"), strict=True):
        cell.text = text
    cells[1]._tc.get_or_add_tcPr().append(parse_xml(DELETED.replace("w:del ", "w:cellDel ")))
    run = "<m:r><m:t>{}</m:t></m:r>"
    equation = f"<m:oMath {MATH} {W}><w:del w:id='2'>{run.format('gone')}</w:del>{run.format('a=b')}</m:oMath>"
    file.add_paragraph()._p.append(parse_xml(equation))
    document = read("a.docx", saved(file))
    assert (document.text, document.warnings) == ("one | three\n\na=b", ())


def test_hidden_rows_columns_and_sheets_of_a_workbook_are_read_and_named(read):
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["Boat", "Fee", "Note"], ["Alma", 3, "a"], ["Berta", 4, "b"]):
        sheet.append(row)
    sheet.row_dimensions[3].hidden = sheet.row_dimensions[9].hidden = True
    sheet.column_dimensions.group("C", "XFD", hidden=True)
    lists = book.create_sheet("Lists")
    lists.append(["Gold"])
    lists.sheet_state = "veryHidden"
    book.create_sheet("Empty").sheet_state = "hidden"
    document = read("a.xlsx", saved(book))
    assert document.text.split("\n\n")[1::2] == ["Boat | Fee | Note\nAlma | 3 | a\nBerta | 4 | b", "Gold"]
    assert document.warnings == (
        "sheet 'Sheet': 1 row and 1 column that are hidden are read all the same",
        "sheet 'Lists' is hidden, and read all the same",
    )


def open_document(body: str, styles: str = "") -> bytes:
    inside = f"<office:automatic-styles>{styles}</office:automatic-styles><office:body>{body}</office:body>"
    return zipped({"content.xml": f"<office:document-content {NAMES}>{inside}</office:document-content>"})


def style(name: str, family: str, inside: str) -> str:
    return f'<style:style style:name="{name}" style:family="{family}">{inside}</style:style>'


NOT_SHOWN = '<style:text-properties text:display="none"/>'
SECRET = "<text:p>secret</text:p>"


@pytest.mark.parametrize(
    "hidden",
    [
        f'<text:section text:display="none">{SECRET}</text:section>',
        f'<text:section text:display="condition" text:is-hidden="true">{SECRET}</text:section>',
        '<text:p><text:hidden-paragraph text:is-hidden="true"/>secret</text:p>',
        '<text:p><text:hidden-text text:is-hidden="true">secret</text:hidden-text></text:p>',
        '<text:p><text:variable-set text:display="none">secret</text:variable-set></text:p>',
        '<text:p><text:span text:style-name="based">secret</text:span></text:p>',
        '<text:p text:style-name="P">secret</text:p>',
    ],
)
def test_hidden_text_of_an_open_document_is_left_out(hidden, read):
    styles = style("H", "text", NOT_SHOWN) + style("P", "paragraph", NOT_SHOWN)
    styles += style("based", "text", "").replace(" style:family", ' style:parent-style-name="H" style:family')
    document = read("a.odt", open_document(f"<office:text>{hidden}<text:p>seen</text:p></office:text>", styles))
    assert (document.text, document.warnings) == ("seen", left_out(6))


def test_what_an_open_document_could_hide_and_shows_is_read(read):
    body = (
        f'<text:section text:display="condition" text:is-hidden="false">{SECRET}</text:section>'
        '<text:p><text:hidden-paragraph text:is-hidden="false"/>no secret</text:p>'
    )
    document = read("a.odt", open_document(f"<office:text>{body}</office:text>"))
    assert (document.text, document.warnings) == ("secret\n\nno secret", ())


def test_hidden_rows_columns_and_sheets_of_an_open_document_are_read_and_named(read):
    rows = table(("Boat", "Fee"), ("Alma", "3"), ("Berta", "4"), name="Boats")
    before, _, last = rows.rpartition("<table:table-row")
    rows = before.replace(
        "<table:table-row", '<table:table-column/><table:table-column table:visibility="collapse"/><table:table-row', 1
    )
    rows += f'<table:table-row table:visibility="filter"{last}'
    lists = table(("Gold",), name="Lists").replace("<table:table ", '<table:table table:style-name="T" ')
    styles = style("T", "table", '<style:table-properties table:display="false"/>')
    document = read("a.ods", open_document(f"<office:spreadsheet>{rows}{lists}</office:spreadsheet>", styles))
    assert document.text == "Boats\n\nBoat | Fee\nAlma | 3\nBerta | 4\n\nLists\n\nGold"
    assert document.warnings == (
        "sheet 'Boats': 1 row and 1 column that are hidden are read all the same",
        "sheet 'Lists' is hidden, and read all the same",
    )


def test_hidden_slides_are_read_and_hidden_shapes_are_not(read):
    file = pptx.Presentation()
    for text in ("One", "Two"):
        slide = file.slides.add_slide(file.slide_layouts[5])
        slide.shapes.title.text = text
    slide.element.set("show", "0")
    box = slide.shapes.add_textbox(0, 0, 9, 9)
    box.text_frame.text = "secret"
    box._element.nvSpPr.cNvPr.set("hidden", "1")
    document = read("a.pptx", saved(file))
    assert document.text.split() == ["One", "Two"]
    assert document.warnings == (*left_out(6), "slide 2 is hidden, and read all the same")
    hides = style("D", "drawing-page", '<style:drawing-page-properties presentation:visibility="hidden"/>')
    page = "<draw:page><draw:frame><draw:text-box><text:p>One</text:p></draw:text-box></draw:frame></draw:page>"
    pages = page + page.replace("<draw:page>", '<draw:page draw:style-name="D">').replace("One", "Two")
    document = read("a.odp", open_document(f"<office:presentation>{pages}</office:presentation>", hides))
    assert document.text.split() == ["One", "Two"]
    assert document.warnings == ("slide 2 is hidden, and read all the same",)


def test_hidden_and_moved_text_of_rtf_is_left_out(read):
    document = read("a.rtf", r"{\rtf1 seen {\v secret}{\deleted gone}{\mvf gone}{\mvt moved}}")
    assert (document.text, document.warnings) == ("seen moved", left_out(6))
