"""Headers and footers are read once, at the end, without the numbers of pages."""

import docx
import pptx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from docx.section import _Footer, _Header
from docx.shared import Pt
from flat_document import NAMES, flat
from made_office import workbook
from pptx.oxml import parse_xml as slide_xml
from pptx.oxml.ns import nsdecls as slide_names
from saved_file import saved, zipped

from indexes.readers.running_text import NUMBER, without_numbers


def field(code: str, *shown: str) -> str:
    """A field of a Word document, in runs."""
    kinds = ['<w:fldChar w:fldCharType="begin"/>', f"<w:instrText> {code} </w:instrText>"]
    kinds += ['<w:fldChar w:fldCharType="separate"/>', *(f"<w:t>{text}</w:t>" for text in shown)]
    return "".join(f"<w:r>{each}</w:r>" for each in (*kinds, '<w:fldChar w:fldCharType="end"/>'))


def add(header: _Header | _Footer, *paragraphs: str) -> None:
    """Fill a header with paragraphs of runs."""
    header.is_linked_to_previous = False
    for paragraph in paragraphs:
        text = paragraph if paragraph.startswith("<") else f'<w:r><w:t xml:space="preserve">{paragraph}</w:t></w:r>'
        header._element.append(parse_xml(f"<w:p {nsdecls('w')}>{text}</w:p>"))


def test_headers_of_a_word_document_come_last_and_once(read, outline):
    file = docx.Document()
    file.add_heading("The lamp", 1)
    file.add_paragraph("It is lit at dusk.")
    first, second = file.sections[0], file.add_section()
    file.add_paragraph("The oil is in the cellar.")
    for section in (first, second):
        add(section.header, "Kvitsøy Pilot Station", "The lamp")
        add(section.footer, "Tel. +47 51 73 00 00")
    second.different_first_page_header_footer = True
    add(second.first_page_header, "Part two")
    document = read("a.docx", saved(file))
    assert document.text == (
        "The lamp\n\nIt is lit at dusk.\n\nThe oil is in the cellar.\n\n"
        "Kvitsøy Pilot Station\n\nTel. +47 51 73 00 00\n\nPart two"
    )
    assert outline(document) == [(1, "The lamp")]


@pytest.mark.parametrize("is_shown", [False, True])
def test_headers_of_first_and_even_pages_are_read_where_there_are_such_pages(is_shown, read):
    file = docx.Document()
    file.add_paragraph("text")
    section = file.sections[0]
    add(section.first_page_header, "first")
    add(section.even_page_footer, "even")
    section.different_first_page_header_footer = file.settings.odd_and_even_pages_header_footer = is_shown
    assert read("a.docx", saved(file)).text == ("text\n\nfirst\n\neven" if is_shown else "text")


def test_numbers_of_pages_in_a_word_document_are_no_text(read):
    simple = '<w:fldSimple w:instr=" NUMPAGES  \\* MERGEFORMAT "><w:r><w:t>10</w:t></w:r></w:fldSimple>'
    file = docx.Document()
    file.add_paragraph("text")
    page = (
        f'<w:r><w:t xml:space="preserve">Page </w:t></w:r>{field("PAGE", "1", "7")}<w:r><w:t> of </w:t></w:r>{simple}'
    )
    add(file.sections[0].header, page, f"{field('STYLEREF 1', 'Chapter ', 'two')}")
    add(
        file.sections[0].footer, f"<w:r><w:t>Handbook</w:t><w:tab/></w:r>{page}", "<w:r><w:pgNum/></w:r>", field("PAGE")
    )
    file.sections[0].footer.add_table(1, 3, Pt(300)).cell(0, 1).text = "Draft"
    assert read("a.docx", saved(file)).text == "text\n\nChapter two\n\nHandbook\nDraft"


def test_watermarks_and_text_boxes_in_headers_are_read(read):
    shape = '<v:shape xmlns:v="urn:schemas-microsoft-com:vml"><v:textpath string="CONFIDENTIAL"/></v:shape>'
    box = "<w:txbxContent><w:p><w:r><w:t>No. 14</w:t></w:r></w:p></w:txbxContent>"
    file = docx.Document()
    file.add_paragraph("text")
    add(file.sections[0].header, f"<w:r><w:pict>{shape}</w:pict></w:r>", f"<w:r><w:pict>{box}</w:pict></w:r>")
    assert read("a.docx", saved(file)).text == "text\n\nCONFIDENTIAL\nNo. 14"


def test_headers_of_a_workbook_follow_the_rows_of_their_sheet_and_are_read_once(read):
    book = workbook([["item", "kg"], ["oil", 3]])
    sheet, other = book.active, book.create_sheet("Winter")
    other.append(["wick", 4])
    for each in (sheet, other):
        each.oddHeader.left.text, each.oddHeader.left.font = "Stores && oil", "Arial,Bold"
        each.oddHeader.center.text, each.oddHeader.center.size = "Kvitsøy", 12
        each.oddHeader.right.text, each.oddHeader.right.color = "&A", "FF0000"
        each.oddFooter.center.text = "Page &P of &N"
        each.evenFooter.center.text = "not shown"
    other.HeaderFooter.differentFirst = True
    other.firstFooter.left.text = "Counted by Holm\nin &D"
    assert read("a.xlsx", saved(book)).text == (
        "Sheet\n\nitem | kg\noil | 3\n\nStores & oil\nKvitsøy\n\nWinter\n\nwick | 4\n\nCounted by Holm\nin"
    )


def run(text: str) -> str:
    return f"<a:r><a:t>{text}</a:t></a:r>"


NUMBER_OF_SLIDE = '<a:fld id="{1}" type="slidenum"><a:t>2</a:t></a:fld>'


def test_footers_of_slides_and_what_is_on_all_of_them_are_read_once(read):
    file = pptx.Presentation()
    layout = file.slide_layouts[5]
    box = file.slides.add_slide(layout).shapes.add_textbox(0, 0, 9, 9)
    box.text_frame.text = "Kvitsøy Pilot Station"
    layout.slide_master.shapes._spTree.append(box._element)  # which moves it there
    file.slides[0].shapes.title.text = "Oil"
    file.slides.add_slide(layout).shapes.title.text = "Wick"
    for slide in file.slides:
        for kind, text in (("dt", run("23 November")), ("ftr", run("Internal")), ("sldNum", NUMBER_OF_SLIDE)):
            properties = f'<p:cNvPr id="9" name=""/><p:cNvSpPr/><p:nvPr><p:ph type="{kind}"/></p:nvPr>'
            shape = f"<p:nvSpPr>{properties}</p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/><a:p>{text}</a:p></p:txBody>"
            slide.shapes._spTree.append(slide_xml(f"<p:sp {slide_names('p', 'a')}>{shape}</p:sp>"))
    assert read("a.pptx", saved(file)).text == ("Oil\n\n23 November\n\nInternal\n\nKvitsøy Pilot Station\n\n\f\nWick")


STYLES = (
    '<style:master-page style:name="Standard"><style:header><text:p>Kvitsøy<text:tab/>Pilot Station</text:p>'
    "<text:p><text:title>The lamp</text:title></text:p></style:header>"
    '<style:header-left style:display="false"><text:p>not shown</text:p></style:header-left>'
    "<style:footer><text:p>Page <text:page-number>1</text:page-number> of <text:page-count>9</text:page-count></text:p>"
    '<text:p>Printed <text:date text:fixed="true">2026-11-23</text:date></text:p></style:footer></style:master-page>'
    '<style:master-page style:name="First"><style:header><text:p>Kvitsøy Pilot Station</text:p></style:header>'
    "<style:footer><style:region-left><text:p>Tel. 14</text:p></style:region-left></style:footer></style:master-page>"
)


@pytest.mark.parametrize("name", ["a.odt", "a.fodt", "a.ods"])
def test_headers_of_an_open_document(name, read):
    masters = f"<office:master-styles>{STYLES}</office:master-styles>"
    body = "<office:text><text:p>It is lit.</text:p></office:text>"
    if name == "a.ods":
        body = (
            "<office:spreadsheet><table:table><table:table-row><table:table-cell><text:p>It is lit.</text:p>"
            "</table:table-cell></table:table-row></table:table></office:spreadsheet>"
        )
    parts = {
        "content.xml": f"<office:document-content {NAMES}><office:body>{body}</office:body></office:document-content>",
        "styles.xml": f"<office:document-styles {NAMES}>{masters}</office:document-styles>",
    }
    data = flat(body).replace("<office:body>", f"{masters}<office:body>") if name == "a.fodt" else zipped(parts)
    assert read(name, data).text == "It is lit.\n\nKvitsøy Pilot Station\n\nPrinted 2026-11-23\n\nTel. 14"


def test_footers_of_open_document_slides_and_what_is_on_all_of_them(read):
    frame = "<draw:frame{0}><draw:text-box><text:p>{1}</text:p></draw:text-box></draw:frame>"
    master = (
        frame.format(' presentation:class="title" presentation:placeholder="true"', "Click to add a title")
        + frame.format(' presentation:class="footer"', "<presentation:footer/>")
        + frame.format("", "Pilot Station")
    )
    masters = f'<style:master-page style:name="M">{master}</style:master-page>'
    footer = '<presentation:footer-decl presentation:name="f1">Internal</presentation:footer-decl>'
    page = '<draw:page draw:master-page-name="M" presentation:use-footer-name="f1">'
    pages = "".join(f"{page}{frame.format('', text)}</draw:page>" for text in ("Oil", "Wick"))
    body = flat(f"<office:presentation>{footer}{pages}</office:presentation>")
    masters = f"<office:master-styles>{masters}</office:master-styles><office:body>"
    document = read("a.fodp", body.replace("<office:body>", masters))
    assert document.text == "Oil\n\nInternal\n\nPilot Station\n\n\f\nWick"


@pytest.mark.parametrize(
    ("rtf", "text"),
    [
        (r"{\header\pard\plain Kvits\'f8y\par Station\par}one\par {\footer Tel. 14}two", "one\ntwo\n\nKvitsøy\nStation\n\nTel. 14"),
        (r"one {\headerf\trowd\intbl a\cell b\cell\row}more\par{\footerl a | b}", "one more\n\na | b"),
        (r"{\footer\qc Page {\field{\*\fldinst { PAGE }}{\fldrslt {7}}} of {\field{\*\fldinst NUMPAGES}}\par}one", "one"),
        (r"{\footer{\field{\*\fldinst SECTION}{\fldrslt 2}} Annex}one", "one\n\nAnnex"),
        (r"{\footer\chpgn  {\field{\*\fldinst FILENAME}{\fldrslt a.rtf}}}one", "one\n\na.rtf"),
        (r"{\*\unknown{\header no}}one{\header {\*\unknown no}{\pict 00ff}yes", "one\n\nyes"),
    ],
)  # fmt: skip
def test_headers_of_rtf(rtf, text, read):
    assert read("a.rtf", r"{\rtf1\ansicpg1252 " + rtf + "}").text == text


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        ("Page # of #", ""),
        ("- # -", ""),
        ("第#頁　共#頁", ""),
        ("# / # ページ", ""),
        ("Seite # von # – Handbuch", "Handbuch"),
        ("Bank of Norway #", "Bank of Norway"),
        ("Handbook (#)", "Handbook"),
        ("The page of today", "The page of today"),
        ("Chapter 3 | p. #", "Chapter 3"),
        ("就業規則 第2版 #", "就業規則 第2版"),
        ("資料第#頁", "資料"),
    ],
)
def test_numbers_of_pages(line, rest):
    assert without_numbers(line.replace("#", NUMBER)) == rest
