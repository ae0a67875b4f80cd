"""Entities that XML declares itself give their text, and no bomb."""


import pytest
from flat_document import flat
from saved_file import zipped

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
    assert document.warnings == (
        "the file 'file:///etc/passwd' that it refers to is not read",
        "the file 'two.xml' that it refers to is not read",
    )


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
