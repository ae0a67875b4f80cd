"""Entities that XML declares itself give their text, and no bomb."""

import docx
import pptx
import pytest
from flat_document import flat
from made_office import workbook
from saved_file import parts_of, zipped

DECLARED = """<!DOCTYPE book SYSTEM "book.dtd" [
  <!-- <!ENTITY firm "no"> ]> -->
  <!ENTITY firm "Acme">
  <!ENTITY firm "the first one counts">
  <!ENTITY % parts "no">
  <!ATTLIST book kind CDATA "]>">
  <!ENTITY whole '&firm; &amp;
S&#246;hne'>
  <!ENTITY 会社 "灯台">
  <!ENTITY early "&later;">
  <!ENTITY later "x">
]>
"""


def test_entities_of_xml_give_their_text(read):
    book = "<book>&firm;: &whole;, &会社;, &early;, &parts;, &none;, &lt; <![CDATA[&firm;]]> <!-- &firm; --></book>"
    document = read("a.xml", DECLARED + book)
    assert document.text == DECLARED.replace("&#246;", "ö") + (
        "<book>Acme: Acme &amp; Söhne, 灯台, &later;, &parts;, &none;, &lt; <![CDATA[&firm;]]> <!-- &firm; --></book>"
    )
    assert document.warnings == ()


def test_files_that_xml_refers_to_are_not_read_and_are_named(read):
    files = '<!ENTITY one SYSTEM "file:///etc/passwd"><!ENTITY two PUBLIC "-//x" \'two.xml\'><!ENTITY three SYSTEM "3">'
    document = read("a.xml", f"<!DOCTYPE a [{files}]><a>&one; &two; end</a>")
    assert document.text.endswith("<a>&one; &two; end</a>")
    assert document.warnings == ("the files 'file:///etc/passwd', 'two.xml' that it refers to are not read",)


@pytest.mark.parametrize("declared", ['SYSTEM "common.ent"', "PUBLIC '-//x//y' \"common.ent\""])
def test_a_file_of_further_declarations_is_not_read_and_is_named(declared, read):
    book = f"<!DOCTYPE book [\n<!ENTITY % common {declared}>\n%common;\n<!ENTITY own 'Acme'>\n]>\n<book>&own; &other;</book>"
    document = read("a.xml", book)
    assert document.text.endswith("<book>Acme &other;</book>")
    assert document.warnings == ("the file 'common.ent' that it refers to is not read",)
    assert read("a.xml", book.replace("%common;", "<!-- %common; -->")).warnings == ()


OUTER = """<!DOCTYPE any [<!ENTITY x SYSTEM 'file.txt'><!ENTITY own 'with'><!ENTITY inner '&x;'><!ENTITY unused SYSTEM 'b.txt'>]>"""
WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
MESSAGE = "Subject: oil\nContent-Type: text/html; charset=utf-8\n\n"


def page_with(reference: str) -> str:
    html = f"<html xmlns='http://www.w3.org/1999/xhtml'><body><p>lamp {reference} oil</p></body></html>"
    return f"<?xml version='1.0'?>{OUTER}{html}"


def document_with(reference: str) -> str:
    return flat(f"<office:text><text:p>lamp {reference} oil</text:p></office:text>", f"<?xml version='1.0'?>{OUTER}")


def book_with(*pages: str) -> bytes:
    items = "".join(f'<item id="p{n}" href="{n}.xhtml" media-type="text/html"/>' for n in range(len(pages)))
    parts = {f"{number}.xhtml": page for number, page in enumerate(pages)}
    container = '<container><rootfile full-path="b.opf"/></container>'
    opf = f"<package><manifest>{items}</manifest></package>"
    return zipped({"META-INF/container.xml": container, "b.opf": opf, **parts})


def word_with(reference: str) -> bytes:
    body = f"<w:body><w:p><w:r><w:t>lamp {reference} oil</w:t></w:r></w:p></w:body>"
    main = f"{OUTER}<w:document {WORD}>{body}</w:document>"
    return zipped(parts_of(docx.Document()) | {"word/document.xml": main})


def slides_with(reference: str) -> bytes:
    file = pptx.Presentation()
    file.slides.add_slide(file.slide_layouts[6]).shapes.add_textbox(0, 0, 9, 9).text_frame.text = "lamp @ oil"
    parts = parts_of(file)
    root = parts["ppt/slides/slide1.xml"].partition(b"?>")[2].decode()
    return zipped(parts | {"ppt/slides/slide1.xml": OUTER + root.replace("@", reference)})


def sheet_with(reference: str) -> bytes:
    parts = parts_of(workbook([["lamp @ oil"]]))
    cells = parts["xl/worksheets/sheet1.xml"].decode().replace("@", reference)
    return zipped(parts | {"xl/worksheets/sheet1.xml": OUTER + cells})


REFERRING = {
    "a.odt": lambda reference: zipped({"content.xml": document_with(reference)}),
    "utf16.odt": lambda reference: zipped({"content.xml": document_with(reference).encode("utf-16")}),
    "a.fodt": document_with,
    "a.docx": word_with,
    "a.pptx": slides_with,
    "a.xlsx": sheet_with,
    "a.epub": lambda reference: book_with(page_with(reference), page_with(reference)),
    "a.xhtml": page_with,
    "a.eml": lambda reference: MESSAGE + page_with(reference),
}


@pytest.mark.parametrize("reference", ["&x;", "&inner;"])
@pytest.mark.parametrize("name", REFERRING)
def test_files_that_documents_refer_to_are_not_read_and_are_named(name, reference, read):
    document = read(name, REFERRING[name](reference))
    assert "lamp oil" in document.text or "lamp  oil" in document.text
    assert document.warnings == ("the file 'file.txt' that it refers to is not read",)


@pytest.mark.parametrize("name", REFERRING)
def test_files_that_documents_only_declare_are_not_named(name, read):
    assert read(name, REFERRING[name]("or")).warnings == ()


@pytest.mark.parametrize("name", REFERRING)
def test_entities_that_documents_declare_give_their_text(name, read):
    document = read(name, REFERRING[name]("&own;"))
    assert "lamp with oil" in document.text
    assert document.warnings == ()


@pytest.mark.parametrize("name", ["a.odt", "a.docx", "a.pptx", "a.xlsx"])
def test_entities_that_nothing_declares_cost_no_other_text_of_a_part(name, read):
    document = read(name, REFERRING[name]("&nothing;"))
    assert document.text.split() in (["lamp", "oil"], ["Sheet", "lamp", "oil"])
    (warning,) = document.warnings
    assert warning.endswith("is damaged, and its text not or not wholly read")


def test_of_very_many_files_that_a_document_refers_to_the_first_are_named(read):
    files = "".join(f"<!ENTITY x{n} SYSTEM '{n}'>" for n in range(30))
    body = f"<office:text><text:p>oil{''.join(f'&x{n};' for n in range(30))}</text:p></office:text>"
    warnings = read("a.odt", zipped({"content.xml": flat(body, f"<!DOCTYPE any [{files}]>")})).warnings
    (warning,) = warnings
    assert warning.startswith("the files '0', '1', '10', ")
    assert warning.endswith(" and 20 more that it refers to are not read")


def laughs(count: int) -> str:
    return "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, count))


def test_a_billion_laughs_stay_references_and_many_laughs_are_refused(read, refusal):
    start = f'<!DOCTYPE a [<!ENTITY l0 "lol">{laughs(10)}]><a>'
    assert read("a.xml", f"{start}&l9; &l1;</a>").text.endswith(f"<a>{'&l8;' * 10} {'lol' * 10}</a>")
    assert refusal("a.xml", f"{start}{'&l3;' * 10_000}</a>").startswith("its text has over 10,000,000 characters")
    loop = '<!DOCTYPE a [<!ENTITY a "&b;"><!ENTITY b "&a;">]><a>&a;&b;</a>'
    assert read("a.xml", loop).text.endswith("<a>&b;&b;</a>")


@pytest.mark.parametrize(
    "part", ['<!X "', "<!ENTITY a '", "<!--", "<!X a", '<!X "a"', "]", "<![CDATA[", "&a", "'", '"']
)
def test_declarations_without_end_are_searched_for_once(part, read):
    """Or this takes longer than a test may: each start would be looked at up to the end."""
    assert "&b;" not in read("a.xml", f"<!DOCTYPE a [<!ENTITY a 'b'>{part * 400_000}").text


def test_entities_of_xhtml_books_and_flat_documents(read):
    declared = '<!DOCTYPE html [ <!ENTITY firm "Acme"> ]>'
    page = f"<?xml version='1.0'?>{declared}<html xmlns='http://www.w3.org/1999/xhtml'><body><p>&firm; oil</p></body></html>"
    assert read("a.xhtml", page).text == "Acme oil"
    container = '<container><rootfile full-path="b.opf"/></container>'
    book = '<package><manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest></package>'
    assert (
        read("a.epub", zipped({"META-INF/container.xml": container, "b.opf": book, "a.xhtml": page})).text == "Acme oil"
    )
    body = "<office:text><text:p>&firm; oil</text:p></office:text>"
    assert (
        read("a.fodt", flat(body, f"<?xml version='1.0'?>{declared.replace('html', 'office:document')}")).text
        == "Acme oil"
    )
