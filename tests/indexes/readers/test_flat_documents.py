"""OpenDocument files that are one XML document, and what is embedded in OpenDocument files."""

import pytest
from flat_document import NAMES, flat, table, zipped_document

EQUATION = (
    f"<math:math {NAMES}><math:semantics><math:mrow><math:mi>E</math:mi><math:mo>=</math:mo><math:msup><math:mi>c"
    "</math:mi><math:mn>2</math:mn></math:msup></math:mrow><math:annotation>no</math:annotation></math:semantics>"
    "</math:math>"
)
CHART = (
    f"<office:document {NAMES}><office:body><office:chart><chart:chart><chart:title><text:p>Oil</text:p>"
    f"</chart:title>{table(('', 'kg'), ('Jan', '1.5'))}</chart:chart></office:chart></office:body>"
    "</office:document>"
)
EMBEDDED = ("an embedded document or object is not read: save them as files of their own",)


def frame(inside: str) -> str:
    return f"<draw:frame>{inside}<draw:image/></draw:frame>"


def test_a_flat_text_is_read_as_a_zipped_one(read, outline):
    body = (
        '<office:text><text:h text:outline-level="2">Oil</text:h><text:list text:style-name="L"><text:list-item><text:p>'
        f"first</text:p></text:list-item></text:list><text:p>One<text:s/>two</text:p>{table(('a', 'b'))}</office:text>"
    )
    document = read("a.fodt", flat(body))
    assert document.text == "Oil\n\n1. first\n\nOne two\n\na | b"
    assert outline(document) == [(2, "Oil")]
    assert (document.title, document.metadata) == ("The lamp", {"author": "K"})


def test_a_flat_spreadsheet_and_a_flat_presentation(read, outline):
    rows = table(("item", "kg"), ("oil", "3"), ("wick", "4"), name="Stock")
    document = read("a.fods", flat(f"<office:spreadsheet>{rows}</office:spreadsheet>"))
    assert (document.text, outline(document)) == ("Stock\n\nitem | kg\noil | 3\nwick | 4", [(2, "Stock")])
    assert document.tables[0].header == "item | kg"
    page = f"<draw:page>{frame('<draw:text-box><text:p>灯台</text:p></draw:text-box>')}</draw:page>"
    assert read("a.fodp", flat(f"<office:presentation>{page * 2}</office:presentation>")).pages == (0, 6)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "shift_jis"])
def test_a_flat_document_is_in_the_encoding_that_it_declares(encoding, read):
    data = flat("<office:text><text:p>灯台</text:p></office:text>", f'<?xml version="1.0" encoding="{encoding}"?>')
    assert read("a.fodt", data.encode(encoding)).text == "灯台"


def test_a_flat_document_may_have_the_name_of_a_zipped_one(read):
    assert read("a.odt", flat("<office:text><text:p>灯台</text:p></office:text>")).text == "灯台"


def test_pictures_in_a_flat_document_are_no_text_however_large(read):
    picture = frame(f"<office:binary-data>{'QUJD' * 3_000_000}</office:binary-data>")
    assert read("a.fodt", flat(f"<office:text><text:p>{picture}end</text:p></office:text>")).text == "end"


def test_flat_documents_that_are_damaged_or_none(read, refusal):
    body = "<office:text><text:p>oil & wick</text:p></office:text>"
    document = read("a.fodt", flat(body))
    assert document.text.split()[0] == "oil"
    assert document.warnings[0].startswith("it is damaged, and its text not or not wholly read: ")
    assert refusal("a.fodt", "<office/>") == "an OpenDocument file with no document in it"
    assert refusal("a.fodt", "text") == "not a .fodt, .fods or .fodp, or a broken one"
    assert "over 5 characters" in refusal("a.fodt", flat(body), max_text=5)
    bomb = "<office:spreadsheet><table:table><table:table-row table:number-rows-repeated='1000000'><table:table-cell>"
    bomb += f"<text:p>{'x' * 99}</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet>"
    assert refusal("a.fods", flat(bomb)) == "its text has over 10,000,000 characters, which is the limit"


def test_equations_and_charts_in_open_documents_are_read_and_other_objects_named(read, outline):
    by_name = "".join(
        f'<text:p>x{frame(f"""<draw:object xlink:href="./{name}"><text:p/></draw:object>""")}y</text:p>'
        for name in "ABC"
    )
    document = read("a.odt", zipped_document(f"<office:text>{by_name}</office:text>", A=EQUATION, B=CHART))
    assert document.text == "xE=c^2y\n\nxy\n\nChart: Oil\n\n| kg\nJan | 1.5\n\nxy"
    assert (outline(document), document.warnings) == ([(3, "Chart: Oil")], EMBEDDED)
    inside = "".join(f"<text:p>x{frame(f'<draw:object>{each}</draw:object>')}y</text:p>" for each in (EQUATION, CHART))
    more = f"<text:p>x{frame('<draw:object-ole/>')}y</text:p>"
    flat_one = read("a.fodt", flat(f"<office:text>{inside}{more}</office:text>"))
    assert (flat_one.text, flat_one.warnings) == (document.text, EMBEDDED)


def test_what_is_drawn_on_an_open_document_sheet_follows_its_rows(read):
    box = frame("<draw:text-box><text:p>in a box</text:p></draw:text-box>")
    chart = frame(f"<draw:object>{CHART}</draw:object>")
    rows = table(("item", f"<text:p>3</text:p>{chart}"), ("oil", "4"), name="Stock").replace(
        "<table:table-row>", f"<table:shapes>{box}</table:shapes><table:table-row>", 1
    )
    document = read("a.ods", zipped_document(f"<office:spreadsheet>{rows}</office:spreadsheet>"))
    assert document.text == "Stock\n\nitem | 3\noil | 4\n\nChart: Oil\n\nin a box"


def test_what_was_deleted_from_an_open_document_sheet_is_left_out(read):
    deleted = "<table:tracked-changes><table:cell-content-change><table:change-track-table-cell><text:p>no</text:p>"
    deleted += "</table:change-track-table-cell></table:cell-content-change></table:tracked-changes>"
    body = f"<office:spreadsheet>{deleted}{table(('lamp',), name='Stock')}</office:spreadsheet>"
    assert read("a.ods", zipped_document(body)).text == "Stock\n\nlamp"
