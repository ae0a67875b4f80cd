"""Charts and diagrams of Office files, which are kept in parts of their own."""

import docx
import openpyxl
import pptx
from docx.opc.part import Part
from docx.oxml import parse_xml
from made_office import workbook
from openpyxl.chart import BarChart, Reference
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from saved_file import parts_of, saved, zipped

RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
COMPATIBILITY = "http://schemas.openxmlformats.org/markup-compatibility/2006"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"


def shape(*paragraphs: str, kind: str = "") -> str:
    inside = "".join(f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>" for text in paragraphs)
    return f"<d:pt{kind}><d:t><a:bodyPr/>{inside}</d:t></d:pt>"


DATA = (
    f'<d:dataModel xmlns:d="{DRAWING}/diagram" xmlns:a="{DRAWING}/main"><d:ptLst>{shape("灯台")}'
    + shape("Light the lamp", "at six")
    + shape("no", kind=' type="pres"')
    + shape("")
    + "</d:ptLst></d:dataModel>"
).encode()


def refers(identifier: str) -> str:
    return f'<d:relIds xmlns:d="{DRAWING}/diagram" xmlns:r="{RELATIONSHIPS}" r:dm="{identifier}"/>'


def chart_part() -> bytes:
    file = pptx.Presentation()
    data = CategoryChartData()
    data.categories = ["Jan"]
    data.add_series("kg", (1.5,))
    kind = XL_CHART_TYPE.COLUMN_CLUSTERED
    chart = file.slides.add_slide(file.slide_layouts[6]).shapes.add_chart(kind, 0, 0, 9, 9, data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Oil"
    return chart.part.blob


def test_charts_and_diagrams_of_a_word_document_follow_their_paragraphs(read, outline):
    file = docx.Document()
    for number, (content, kind) in enumerate(((chart_part(), "chart"), (DATA, "diagramData"), (b"", "image"))):
        name = docx.opc.packuri.PackURI(f"/word/beside{number}.xml")
        identifier = file.part.relate_to(
            Part(name, "application/xml", content, file.part.package), f"{RELATIONSHIPS}/{kind}"
        )
        chart = f'<c:chart xmlns:c="{DRAWING}/chart" xmlns:r="{RELATIONSHIPS}" r:id="{identifier}"/>'
        element = chart if kind == "chart" else refers(identifier if kind == "diagramData" else "none")
        file.add_paragraph(f"before {number}").add_run()._r.append(parse_xml(element))
    document = read("a.docx", saved(file))
    assert document.text == (
        "before 0\n\nChart: Oil\n\nCategory | kg\nJan | 1.5\n\nbefore 1\n\n灯台\nLight the lamp at six\n\nbefore 2"
    )
    assert outline(document) == [(3, "Chart: Oil")]


def test_a_diagram_on_a_slide(read):
    file = pptx.Presentation()
    slide = file.slides.add_slide(file.slide_layouts[5])
    slide.shapes.title.text = "Lamp"
    name = pptx.opc.packuri.PackURI("/ppt/diagrams/data1.xml")
    part = pptx.opc.package.Part(name, "application/xml", file.part.package, DATA)
    frame = slide.shapes.add_table(1, 1, 0, 9_000_000, 9, 9)._element
    inside = frame.graphic.graphicData
    inside.remove(inside[0])
    inside.append(parse_xml(refers(slide.part.relate_to(part, f"{RELATIONSHIPS}/diagramData"))))
    assert read("a.pptx", saved(file)).text == "Lamp\n灯台\nLight the lamp at six"


def test_the_title_of_a_chart_on_a_sheet_follows_the_rows(read):
    book: openpyxl.Workbook = workbook([["item", "kg"], ["oil", 3], ["wick", 4]])
    for title in ("Stock in kg", None):
        chart = BarChart()
        chart.title = title
        chart.add_data(Reference(book.active, min_col=2, min_row=1, max_row=3), titles_from_data=True)
        book.active.add_chart(chart, "D1")
    assert read("a.xlsx", saved(book)).text == "Sheet\n\nitem | kg\noil | 3\nwick | 4\n\nChart: Stock in kg"


def test_what_is_drawn_for_older_programs_alone_is_not_read(read):
    book = workbook([["item", "kg"]])
    book.active.add_chart(BarChart(), "D1")
    parts = parts_of(book)
    text = "<xdr:sp><xdr:txBody><a:p><a:r><a:t>{0}</a:t></a:r></a:p></xdr:txBody></xdr:sp>"
    names = f'xmlns:mc="{COMPATIBILITY}" xmlns:a="{DRAWING}/main" xmlns:xdr="{DRAWING}/spreadsheetDrawing"'
    shown, other = (text.format(each) for each in ("Oil", "This shape represents a slicer."))
    both = (
        f"<mc:AlternateContent><mc:Choice>{shown}</mc:Choice><mc:Fallback>{other}</mc:Fallback></mc:AlternateContent>"
    )
    parts["xl/drawings/drawing1.xml"] = f"<xdr:wsDr {names}>{both}</xdr:wsDr>".encode()
    assert read("a.xlsx", zipped(parts)).text == "Sheet\n\nitem | kg\n\nOil"


def test_words_on_both_sides_of_a_line_break_in_a_box_stay_apart(read):
    book = workbook([["item", "kg"]])
    book.active.add_chart(BarChart(), "D1")
    parts = parts_of(book)
    names = f'xmlns:a="{DRAWING}/main" xmlns:xdr="{DRAWING}/spreadsheetDrawing"'
    text = "<a:p><a:r><a:t>Fill the</a:t></a:r><a:br/><a:r><a:t>north lamp</a:t></a:r></a:p>"
    box = f"<xdr:sp><xdr:txBody>{text}</xdr:txBody></xdr:sp>"
    parts["xl/drawings/drawing1.xml"] = f"<xdr:wsDr {names}>{box}</xdr:wsDr>".encode()
    assert read("a.xlsx", zipped(parts)).text == "Sheet\n\nitem | kg\n\nFill the north lamp"


def test_titles_of_axes_and_of_charts_that_are_a_sheet_are_read(read):
    book: openpyxl.Workbook = workbook([["item", "kg"], ["oil", 3], ["wick", 4]])
    for sheet, title in ((book.active, "Stock"), (book.create_chartsheet(), "Stock of the year")):
        chart = BarChart()
        chart.title, chart.x_axis.title, chart.y_axis.title = title, "Item", "Kilograms"
        chart.add_data(Reference(book.active, min_col=2, min_row=1, max_row=3), titles_from_data=True)
        sheet.add_chart(chart)
    assert read("a.xlsx", saved(book)).text.split("\n\n")[2:] == [
        "Chart: Stock\nItem\nKilograms",
        "Chart: Stock of the year\nItem\nKilograms",
    ]
    file = pptx.Presentation()
    data = CategoryChartData()
    data.categories = ["Jan"]
    data.add_series("kg", (1.5,))
    shapes = file.slides.add_slide(file.slide_layouts[6]).shapes
    axis = shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 9, 9, data).chart.value_axis
    axis.axis_title.text_frame.text = "Kilograms"
    assert read("a.pptx", saved(file)).text == "Chart\nKilograms\n\nCategory | kg\nJan | 1.5"


def test_a_picture_in_a_word_document_has_its_alternative_text(read):
    file = docx.Document()
    drawing = f"{DRAWING}/wordprocessingDrawing"
    for text in (
        "売上の\nグラフ",
        "A lamp Description automatically generated",
        "Two boats AI-generated content may be incorrect.",
    ):
        element = parse_xml(f'<wp:docPr xmlns:wp="{drawing}" id="1" name="Picture 1"/>')
        element.set("descr", text)
        file.add_paragraph("before").add_run()._r.append(element)
    word_art = parse_xml('<v:textpath xmlns:v="urn:schemas-microsoft-com:vml" string="DRAFT"/>')
    file.add_paragraph("after").add_run()._r.append(word_art)
    assert read("a.docx", saved(file)).text == "before\n売上の グラフ\n\nbefore\n\nbefore\n\nafter\nDRAFT"
